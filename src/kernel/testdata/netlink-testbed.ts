// SPDX-License-Identifier: Apache-2.0
// For the tests of netlink: a network namespace with a socket in it, and what iproute2 says of the same namespace.

import { execFileSync } from 'node:child_process';
import { NetlinkSocket } from '../socket.ts';
import { temporaryNetns } from './harness.ts';
import type { TemporaryPlace } from './harness.ts';

export type TestNamespace = TemporaryPlace & {
  readonly socket: NetlinkSocket;
  /** What a command prints when it runs in the namespace. */
  readonly run: (...command: readonly string[]) => string;
  /** `ip -j -d ...` in the namespace, parsed. */
  readonly ip: (...words: readonly string[]) => readonly { readonly [key: string]: unknown }[];
};

/** A fresh namespace; dispose removes it. */
export function testNamespace(): TestNamespace {
  const place = temporaryNetns();
  const socket = NetlinkSocket.open({ netns: place.path });
  const run = (...command: readonly string[]): string => execFileSync('nsenter', [`--net=${place.path}`, ...command], { encoding: 'utf8' });
  return {
    path: place.path,
    socket,
    run,
    ip: (...words) => JSON.parse(run('ip', '-j', '-d', ...words).trim() || '[]') as { [key: string]: unknown }[], // as: what ip prints
    [Symbol.dispose]: () => {
      socket[Symbol.dispose]();
      place[Symbol.dispose]();
    },
  };
}
