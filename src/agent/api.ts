// SPDX-License-Identifier: Apache-2.0
// The agent's own voice: HTTP with JSON over a UNIX socket that only root can open. It reads and never changes anything.
//
//   GET /status /services /redirects /vips /endpoints /nodes /ips /trace?protocol=&source=&destination=&raw= /tables /tables/<name> /maps/diff /problems /drops /drops?follow=1

import type { IncomingMessage, ServerResponse } from 'node:http';
import { messageOf } from '../base/errors.ts';
import { createServer } from '../base/node-http.ts';
import type { Question } from '../trace/ends.ts';
import type { Providers } from './api-types.ts';
import { listenOnSocket } from './unix-socket.ts';

/** Bytes that a follower may be behind before rows are left out for it. */
const FOLLOWER_LIMIT = 1 << 20;

export type ApiOptions = { readonly path: string; readonly providers: Providers };

/** Serves until disposed. Throws SocketError when it cannot listen. */
export async function serveApi({ path, providers }: ApiOptions): Promise<AsyncDisposable> {
  const server = createServer((request, response) => {
    answer(request, response, providers).catch((error: unknown) =>
      refuse(response, 500, `Cannot answer ${request.url}: ${messageOf(error)}`),
    );
  });
  await listenOnSocket(server, path);
  return {
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}

const routes: Readonly<Record<string, (providers: Providers, query: URLSearchParams) => unknown>> = {
  '/status': (providers) => providers.status(),
  '/services': (providers) => providers.services(),
  '/redirects': (providers) => providers.redirects(),
  '/vips': (providers) => providers.vips(),
  '/endpoints': (providers) => providers.endpoints(),
  '/nodes': (providers) => providers.nodes(),
  '/ips': (providers) => providers.ips(),
  '/trace': (providers, query) => providers.trace(questionIn(query)),
  '/tables': (providers) => providers.tables(),
  '/maps/diff': (providers) => providers.differences(),
  '/problems': (providers) => providers.problems(),
  '/drops': (providers) => providers.drops(),
};

async function answer(request: IncomingMessage, response: ServerResponse, providers: Providers): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://agent');
  if (request.method !== 'GET') return refuse(response, 405, `Cannot ${request.method} ${url.pathname}, wanted GET`);
  if (url.pathname === '/drops' && url.searchParams.get('follow') === '1') return followDrops(response, providers);
  const route = Object.hasOwn(routes, url.pathname) ? routes[url.pathname] : undefined;
  if (route) return send(response, 200, await route(providers, url.searchParams));
  const name = /^\/tables\/([^/]+)$/.exec(url.pathname)?.[1];
  if (name === undefined) return refuse(response, 404, `Cannot find ${url.pathname}, wanted one of ${Object.keys(routes).join(', ')}`);
  const rows = providers.table(decodeURIComponent(name));
  if (rows) return send(response, 200, rows);
  return refuse(
    response,
    404,
    `Cannot find the table ${decodeURIComponent(name)}, wanted one of ${providers
      .tables()
      .map((table) => table.name)
      .join(', ')}`,
  );
}

function questionIn(query: URLSearchParams): Question {
  const word = (name: string) => query.get(name) ?? '';
  return { protocol: word('protocol'), source: word('source'), destination: word('destination'), raw: word('raw') === '1' };
}

/** One JSON object a line, the recent drops first: a drop, or {lost} after a follower was too slow for some. */
function followDrops(response: ServerResponse, providers: Providers): void {
  const gone = new AbortController();
  let lost = 0;
  response.on('close', () => gone.abort());
  response.writeHead(200, { 'content-type': 'application/x-ndjson' });
  response.flushHeaders();
  for (const row of providers.drops()) response.write(`${JSON.stringify(row)}\n`);
  providers.followDrops((row) => {
    if (response.writableLength > FOLLOWER_LIMIT) {
      lost++;
      return;
    }
    if (lost > 0) response.write(`${JSON.stringify({ lost })}\n`);
    lost = 0;
    response.write(`${JSON.stringify(row)}\n`);
  }, gone.signal);
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(`${JSON.stringify(body, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value))}\n`);
}

function refuse(response: ServerResponse, status: number, error: string): void {
  if (response.headersSent) response.destroy();
  else send(response, status, { error });
}
