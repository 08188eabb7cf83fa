// SPDX-License-Identifier: Apache-2.0
// Listening on a UNIX socket whose file may be left over from an agent that was killed.

import { chmodSync, lstatSync, mkdirSync, unlinkSync } from 'node:fs';
import { createConnection } from 'node:net';
import type { Server } from 'node:net';
import { dirname } from 'node:path';
import { codeOf, StentorError } from '../base/errors.ts';

export class SocketError extends StentorError {}

/**
 * Makes `server` listen on `path`, mode 0600, making the directory and replacing a socket on which nobody listens.
 * Throws SocketError: SocketInUse when somebody listens there, SocketPathTaken when it is no socket, else the errno's name.
 */
export async function listenOnSocket(server: Server, path: string): Promise<void> {
  await freeSocketPath(path);
  await new Promise<void>((resolve, reject) => {
    const refuse = (cause: Error) => reject(new SocketError(codeOf(cause) ?? 'ListenFailed', `Cannot listen on ${path}`, { cause }));
    server.once('error', refuse);
    server.listen(path, () => {
      server.off('error', refuse);
      resolve();
    });
  });
  chmodSync(path, 0o600);
}

/** Makes the directory and takes away a socket on which nobody listens. Throws SocketError: SocketInUse, SocketPathTaken. */
export async function freeSocketPath(path: string): Promise<void> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  await removeStale(path);
}

/** For a beginning: throws SocketError SocketInUse when another agent answers at `path`, before anything has been touched. */
export async function requireNobodyAt(path: string): Promise<void> {
  if (await answersAt(path)) throw new SocketError('SocketInUse', `Cannot listen on ${path}: another agent listens there`);
}

async function removeStale(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (!found) return;
  if (!found.isSocket()) throw new SocketError('SocketPathTaken', `Cannot listen on ${path}: it is no socket, wanted a free path`);
  await requireNobodyAt(path);
  unlinkSync(path);
}

/** Whether somebody listens at `path`. */
export function answersAt(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createConnection(path);
    probe.on('connect', () => resolve(true)).on('error', () => resolve(false));
    probe.on('connect', () => probe.destroy());
  });
}
