// SPDX-License-Identifier: Apache-2.0
// Addresses that this node hands over though it could go on with them: those that others do not find here, and what it has above its share
// when a node has come back. That one comes late and slowly: each move costs the segment an announcement.

import type { Clock } from '../base/clock.ts';
import type { Ip } from '../base/ip.ts';
import { sameRow } from '../base/same.ts';
import { surplusOf } from '../l2/surplus.ts';
import type { L2Tables } from '../l2/tables.ts';

export type CessionsOptions = {
  readonly self: string;
  readonly l2: Pick<L2Tables, 'owners' | 'peers' | 'cedes'>;
  readonly clock: Clock;
  readonly changed: () => void;
};

export type Cessions = {
  /** For so long others come first. */
  readonly cede: (ip: Ip, why: string, ms: number) => void;
  /** To be called once a second. */
  readonly seldom: () => void;
};

/** Nobody came, went or moved for so long: only then is anything evened out. */
export const STEADY_MS = 60_000;
/** Whoever has not taken it by then does not want it. */
const OFFER_MS = 5000;
const ROOM = 'makes room for a node that has less';

export function cessionsOf({ self, l2, clock, changed }: CessionsOptions): Cessions {
  const writer = l2.cedes.writer('cessions');
  writer.complete();
  const ends = new Map<Ip, number>();
  let seen: readonly string[] = [];
  let since = clock.monotonic();
  const cede = (ip: Ip, why: string, ms: number) => {
    ends.set(ip, clock.monotonic() + ms);
    writer.put(ip, { ip, why });
    changed();
  };
  const withdrawIf = (isOver: (ip: Ip, end: number) => boolean) => {
    for (const [ip, end] of ends) {
      if (!isOver(ip, end)) continue;
      ends.delete(ip);
      writer.delete(ip);
      changed();
    }
  };
  const isSteady = () => {
    const now = [
      ...Array.from(l2.peers.entries(), ([node]) => node),
      ...Array.from(l2.owners.entries(), ([ip, { owner }]) => `${ip} ${owner}`),
    ];
    if (!sameRow(now.sort(), seen)) since = clock.monotonic();
    seen = now;
    return clock.monotonic() - since >= STEADY_MS;
  };
  return {
    cede,
    seldom() {
      const hasMoved = (ip: Ip) => l2.cedes.get(ip)?.why === ROOM && l2.owners.get(ip)?.owner !== self;
      withdrawIf((ip, end) => clock.monotonic() >= end || hasMoved(ip));
      if (!isSteady()) return;
      for (const ip of surplusOf(
        self,
        Array.from(l2.owners.entries(), ([, row]) => row),
      ))
        cede(ip, ROOM, OFFER_MS);
    },
  };
}
