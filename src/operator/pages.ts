// SPDX-License-Identifier: Apache-2.0
// Pages for those who probe and scrape. An address that cannot be had is said in the log; the work goes on without it.

import type { Server } from 'node:http';
import { messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { createServer } from '../base/node-http.ts';

export type Page = {
  readonly host: string;
  readonly port: number;
  readonly path: string;
  readonly answer: () => { readonly status: number; readonly body: string };
};

/** Serves until disposed. */
export async function servePages(pages: readonly Page[], log: Log): Promise<AsyncDisposable> {
  const servers = await Promise.all(pages.map((page) => listening(page, log)));
  return {
    async [Symbol.asyncDispose]() {
      await Promise.all(servers.map(closed));
    },
  };
}

function listening({ host, port, path, answer }: Page, log: Log): Promise<Server> {
  const server = createServer((request, response) => {
    const { status, body } = request.url?.split('?')[0] === path ? answer() : { status: 404, body: `${path} is what there is\n` };
    response.writeHead(status, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8', 'x-content-type-options': 'nosniff' });
    response.end(body);
  });
  return new Promise((resolve) => {
    server.on('error', (error) => {
      log.error('Cannot serve a page', { host, port, path, error: messageOf(error) });
      resolve(server);
    });
    server.listen({ host, port }, () => resolve(server));
  });
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
