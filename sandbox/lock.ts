// SPDX-License-Identifier: Apache-2.0
// One sandbox of a name at a time on a machine. The lock is an abstract UNIX socket: it goes with the process that holds
// it, whatever ends that process, and it tells who asks which process that is.
import { connect, createServer } from 'node:net';
import type { Layout } from './layout.ts';

export type Holder = { readonly pid: number; readonly checkout: string };

const socketName = ({ name }: Layout): string => `\0stentor-sandbox-${name}`;

/** Takes the lock for as long as this process lives; undefined if it is taken. */
export function takeLock(layout: Layout): Promise<{ release(): void } | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<{ release(): void } | undefined>();
  const holder: Holder = { pid: process.pid, checkout: layout.checkout };
  const server = createServer((socket) => socket.on('error', () => undefined).end(JSON.stringify(holder)));
  server.on('error', (error: NodeJS.ErrnoException) => (error.code === 'EADDRINUSE' ? resolve(undefined) : reject(error)));
  server.listen(socketName(layout), () => {
    server.unref();
    resolve({ release: () => server.close() });
  });
  return promise;
}

/** Who holds the lock, or undefined. */
export function lockHolder(layout: Layout): Promise<Holder | undefined> {
  const { promise, resolve } = Promise.withResolvers<Holder | undefined>();
  let text = '';
  const socket = connect(socketName(layout));
  socket.setTimeout(5_000, () => socket.destroy());
  socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
  socket.on('error', () => resolve(undefined));
  socket.on('close', () => resolve(text === '' ? undefined : (JSON.parse(text) as Holder))); // as: written by takeLock
  return promise;
}
