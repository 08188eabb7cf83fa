// SPDX-License-Identifier: Apache-2.0
// The names by which pods know addresses: what DNS has told each of them.

import type { Ip } from '../base/ip.ts';

export type Names = {
  /** `who` was told that `name` is at `address`. */
  learn(who: Ip, address: Ip, name: string): void;
  /** As `who` knows `address`, newest first. */
  of(who: Ip, address: Ip): readonly string[] | undefined;
};

/** Pairs of a pod and an address; when there are more, learning begins anew. */
const LIMIT = 20_000;
const NAMES_OF_ONE = 4;

export function learnedNames(limit = LIMIT): Names {
  const known = new Map<Ip, Map<Ip, readonly string[]>>();
  let size = 0;
  return {
    learn(who, address, name) {
      if (size >= limit) {
        known.clear();
        size = 0;
      }
      const own = known.get(who) ?? new Map<Ip, readonly string[]>();
      const before = own.get(address) ?? [];
      if (before[0] === name) return;
      if (before.length === 0) size++;
      known.set(who, own.set(address, [name, ...before.filter((one) => one !== name)].slice(0, NAMES_OF_ONE)));
    },
    of: (who, address) => known.get(who)?.get(address),
  };
}
