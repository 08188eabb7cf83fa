// SPDX-License-Identifier: Apache-2.0
// The names by which pods know addresses: what DNS has told each of them.

import type { Ip } from '../base/ip.ts';

export type Names = {
  /** `who` was told that `name` is at `address`. */
  learn(who: Ip, address: Ip, name: string): void;
  /** As `who` knows `address`, newest first. */
  of(who: Ip, address: Ip): readonly string[] | undefined;
};

/** Pairs of a pod and an address; the ones that were learned longest ago are forgotten first. */
const LIMIT = 20_000;
const NAMES_OF_ONE = 4;

export function learnedNames(limit = LIMIT): Names {
  const known = new Map<string, readonly string[]>();
  const keyOf = (who: Ip, address: Ip) => `${who} ${address}`;
  return {
    learn(who, address, name) {
      const key = keyOf(who, address);
      const before = known.get(key) ?? [];
      if (before[0] === name) return;
      known.delete(key);
      if (known.size >= limit) for (const oldest of known.keys()) if (known.delete(oldest)) break;
      known.set(key, [name, ...before.filter((one) => one !== name)].slice(0, NAMES_OF_ONE));
    },
    of: (who, address) => (known.size === 0 ? undefined : known.get(keyOf(who, address))),
  };
}
