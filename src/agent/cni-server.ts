// SPDX-License-Identifier: Apache-2.0
// The socket behind the CNI plugin: one connection is one request and one reply; many at a time.
//
//   cni/shim.c ──▶ socket ──▶ cniRequest() ──▶ handle() ──▶ replyBytes() ──▶ socket
//
// Every connection is answered: a request that is too long, too slow, or whose handler throws gets an error in CNI's shape.

import { createServer } from 'node:net';
import type { Socket } from 'node:net';
import { messageOf } from '../base/errors.ts';
import type { CniCall, CniRequest } from '../endpoints/cni-protocol.ts';
import { cniRequest } from '../endpoints/cni-protocol.ts';
import type { CniReply } from '../endpoints/cni-reply.ts';
import { CniCode, failed, FALLBACK_VERSION, replyBytes } from '../endpoints/cni-reply.ts';
import { listenOnSocket } from './unix-socket.ts';

export const CNI_SOCKET = '/var/run/cilium/cni.sock';
const LIMIT = 1 << 20;

export type CniServerOptions = {
  readonly path: string;
  /** `signal` ends when nobody waits for the reply any more: the deadline has passed or the server stops. */
  readonly handle: (request: CniCall, signal: AbortSignal) => Promise<CniReply>;
  /** From connect to reply. Default 100 s: less than the plugin's 110 s, so that the plugin gets our reason. */
  readonly timeoutMs?: number;
};

/** Serves until disposed; disposal answers whoever waits with "try again later". Throws SocketError when it cannot listen. */
export async function serveCni(options: CniServerOptions): Promise<AsyncDisposable> {
  const waiting = new Set<AbortController>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const patience = patienceFor(socket, options.timeoutMs ?? 100_000);
    waiting.add(patience);
    socket.on('close', () => waiting.delete(patience));
    void serveOne(socket, options.handle, patience.signal);
  });
  await listenOnSocket(server, options.path);
  return {
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const patience of waiting) patience.abort(new Error('the agent stops'));
      await closed;
    },
  };
}

/** Ends with the reason why nobody waits for a reply on `socket` any more. */
function patienceFor(socket: Socket, timeoutMs: number): AbortController {
  const patience = new AbortController();
  const timer = setTimeout(() => patience.abort(new Error(`no reply within ${timeoutMs} ms`)), timeoutMs);
  socket.on('error', () => socket.destroy()); // the plugin was killed: nobody is left to answer
  socket.on('close', () => {
    clearTimeout(timer);
    patience.abort(new Error('the plugin has gone'));
  });
  return patience;
}

async function serveOne(socket: Socket, handle: CniServerOptions['handle'], signal: AbortSignal): Promise<void> {
  const request = await requestFrom(socket, signal);
  const reply = await replyTo(request, handle, signal);
  socket.end(replyBytes(request.cniVersion, reply));
  socket.resume();
  void abandoned(signal).then(() => socket.destroySoon());
}

async function replyTo(request: CniRequest, handle: CniServerOptions['handle'], signal: AbortSignal): Promise<CniReply> {
  if (request.kind === 'version') return { kind: 'versions' };
  if (request.kind === 'refused') return { kind: 'failed', failure: request.failure };
  const what = `Cannot finish ${request.kind.toUpperCase()}${subjectOf(request)}`;
  try {
    return await Promise.race([handle(request, signal), abandoned(signal).then((why) => failed(CniCode.tryAgainLater, `${what}: ${why}`))]);
  } catch (error) {
    return failed(CniCode.internal, `${what}: ${messageOf(error)}`);
  }
}

function subjectOf(request: CniCall): string {
  if (request.kind === 'add') return ` of ${request.namespace}/${request.pod}`;
  return 'containerId' in request ? ` of ${request.containerId}` : '';
}

/** Resolves with the reason once `signal` ends. */
function abandoned(signal: AbortSignal): Promise<string> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(messageOf(signal.reason));
    else signal.addEventListener('abort', () => resolve(messageOf(signal.reason)), { once: true });
  });
}

/** Reads to the end of the stream, of LIMIT bytes, or of patience. */
function requestFrom(socket: Socket, signal: AbortSignal): Promise<CniRequest> {
  const refused = (code: CniCode, message: string): CniRequest => ({
    kind: 'refused',
    cniVersion: FALLBACK_VERSION,
    failure: { code, message },
  });
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let size = 0;
    socket.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= LIMIT) chunks.push(chunk);
      else resolve(refused(CniCode.undecodable, `Cannot read a request of more than ${LIMIT} bytes`));
    });
    socket.on('end', () => resolve(cniRequest(Buffer.concat(chunks))));
    void abandoned(signal).then((why) => resolve(refused(CniCode.tryAgainLater, `Cannot read the request: ${why}`)));
  });
}
