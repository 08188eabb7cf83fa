// SPDX-License-Identifier: Apache-2.0
// HTTPS on any number of TCP ports and unix sockets, all answered by one router.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Certificates } from './tls.ts';

export type Router = {
  readonly request: (request: IncomingMessage, response: ServerResponse) => void;
  readonly upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
  readonly close: () => void;
};

export type Listeners = {
  readonly listen: (where: { readonly path: string } | { readonly host: string; readonly port: number }) => Promise<AddressInfo | string>;
  readonly close: () => Promise<void>;
};

const KEEP_ALIVE = 120_000; // milliseconds

export const createListeners = ({ cert, key }: Certificates, router: Router): Listeners => {
  const servers: Server[] = [];
  const sockets = new Set<Socket>(); // upgraded and half-open ones too, which node:http forgets

  const newServer = (): Server => {
    const server = createServer(
      { cert, key, ALPNProtocols: ['http/1.1'], keepAliveTimeout: KEEP_ALIVE, maxHeaderSize: 64 * 1024, requestTimeout: 60_000 },
      router.request,
    );
    server.on('upgrade', router.upgrade);
    server.on('connection', (socket: Socket) => {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
    });
    server.on('clientError', (_error, socket) => {
      if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n');
      else socket.destroy();
    });
    server.on('tlsClientError', (_error, socket) => socket.destroy());
    return server;
  };

  return {
    listen(where) {
      const server = newServer();
      servers.push(server);
      return new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen(where, () => resolve(server.address() ?? ''));
      });
    },
    async close() {
      const closed = servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve())));
      for (const socket of sockets) socket.destroy();
      await Promise.all(closed);
    },
  };
};
