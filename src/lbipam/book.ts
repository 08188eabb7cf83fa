// SPDX-License-Identifier: Apache-2.0
// Who has which address, while all is given out once.

import { ipFromNumber } from '../base/ip.ts';
import type { Family, Ip } from '../base/ip.ts';
import type { PoolRow } from './pool.ts';
import { usable } from './range.ts';
import type { Range } from './range.ts';
import type { Ground } from './refusal.ts';
import type { LbServiceRow } from './service.ts';

/** One that has addresses which it does not want. */
export type Leaver = { old: Ip[] };

/** Addresses that were free become taken and never the other way, so what is behind a cursor stays taken. */
export type Book = {
  holders(ip: Ip): readonly LbServiceRow[];
  /** Has it and does not want it: whoever asks for it by name may have it. */
  leave(ip: Ip, leaver: Leaver): void;
  isLeft(ip: Ip): boolean;
  take(ip: Ip, service: LbServiceRow): void;
  /** Those who have it and do not want it have it no longer. */
  evict(ip: Ip): void;
  /** The lowest address that nobody has. */
  lowest(pool: PoolRow, family: Family, without: ReadonlySet<Ip>): Ip | undefined;
  /** Addresses of those with this sharing key, oldest first. */
  shared(key: string): readonly LbServiceRow[];
  has(service: LbServiceRow): readonly Ip[];
};

export function bookOf({ nodes }: Ground): Book {
  const holders = new Map<Ip, LbServiceRow[]>();
  const leaving = new Map<Ip, Leaver[]>();
  const cursors = new Map<Range, bigint>();
  const byKey = new Map<string, Set<LbServiceRow>>();
  const byService = new Map<LbServiceRow, Ip[]>();
  const isTaken = (ip: Ip) => holders.has(ip) || leaving.has(ip) || nodes.has(ip);
  const inRange = (range: Range, without: ReadonlySet<Ip>) => {
    const [first, last] = usable(range);
    let cursor = cursors.get(range) ?? first;
    while (cursor <= last && isTaken(ipFromNumber(cursor, range.family))) cursor++;
    cursors.set(range, cursor);
    for (let at = cursor; at <= last; at++) {
      const ip = ipFromNumber(at, range.family);
      if (!isTaken(ip) && !without.has(ip)) return ip;
    }
    return undefined;
  };
  const take = (ip: Ip, service: LbServiceRow) => {
    holders.set(ip, [...(holders.get(ip) ?? []), service]);
    byService.set(service, [...(byService.get(service) ?? []), ip]);
    const { sharing } = service;
    if (sharing) byKey.set(sharing.key, (byKey.get(sharing.key) ?? new Set()).add(service));
  };
  return {
    holders: (ip) => holders.get(ip) ?? [],
    leave: (ip, leaver) => leaving.set(ip, [...(leaving.get(ip) ?? []), leaver]),
    isLeft: (ip) => leaving.has(ip),
    take,
    evict(ip) {
      for (const leaver of leaving.get(ip) ?? []) leaver.old = leaver.old.filter((one) => one !== ip);
      leaving.delete(ip);
    },
    lowest(pool, family, without) {
      for (const range of pool.ranges) {
        const found = range.family === family ? inRange(range, without) : undefined;
        if (found !== undefined) return found;
      }
      return undefined;
    },
    shared: (key) => [...(byKey.get(key) ?? [])],
    has: (service) => byService.get(service) ?? [],
  };
}
