// SPDX-License-Identifier: Apache-2.0
// Server-sent events over one response, compressed where the browser takes it.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { constants, createGzip } from 'node:zlib';

export type EventStream = {
  send(name: string, data: unknown): void;
  /** When the browser has gone, or was too slow. */
  readonly signal: AbortSignal;
  end(): void;
};

/** Bytes that a browser may be behind: then it is let go, and begins anew with what holds then. */
const MOST_BEHIND = 8 << 20;
const HEARTBEAT_MS = 15_000;

const texts = new WeakMap<object, string>();

/** What goes to many is written once. */
function textOf(data: unknown): string {
  if (typeof data !== 'object' || data === null) return JSON.stringify(data);
  let text = texts.get(data);
  if (text === undefined) texts.set(data, (text = JSON.stringify(data)));
  return text;
}

export function eventStream(request: IncomingMessage, response: ServerResponse): EventStream {
  const gone = new AbortController();
  const compress = /\bgzip\b/.test(String(request.headers['accept-encoding'] ?? ''));
  response.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
    ...(compress && { 'content-encoding': 'gzip' }),
  });
  const gzip = compress ? createGzip({ level: 1, flush: constants.Z_SYNC_FLUSH }) : undefined;
  gzip?.pipe(response);
  const out = gzip ?? response;
  const write = (text: string) => {
    if (gone.signal.aborted) return;
    out.write(text);
    if (out.writableLength + response.writableLength > MOST_BEHIND) response.destroy();
  };
  const heartbeat = setInterval(() => write(': still here\n\n'), HEARTBEAT_MS);
  response.on('close', () => {
    clearInterval(heartbeat);
    gzip?.destroy();
    gone.abort();
  });
  // Browsers come back when a server ends; all of them at once would be a storm.
  write(`retry: ${Math.round(1000 + Math.random() * 4000)}\n\n`);
  return {
    send: (name, data) => write(`event: ${name}\ndata: ${textOf(data)}\n\n`),
    signal: gone.signal,
    end: () => out.end(),
  };
}
