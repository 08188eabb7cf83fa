// SPDX-License-Identifier: Apache-2.0
// What `stentor vip` shows of each address, and since when it is so.

import type { Clock } from '../base/clock.ts';
import type { Ip, Mac } from '../base/ip.ts';
import type { Log } from '../base/log.ts';
import { l2AskedCodec, l2KeyCodec } from '../datapath/schema.gen.ts';
import type { BpfMap } from '../kernel/map.ts';
import { sightsOf } from '../l2/members.ts';
import type { MemberRow } from '../l2/members.ts';
import type { OwnerRow } from '../l2/owners.ts';
import type { L2Tables } from '../l2/tables.ts';
import type { Visits } from '../flows/visits.ts';
import { lopsided } from '../services/lopsided.ts';
import type { ServiceTables } from '../services/tables.ts';
import type { VipRow } from './api-types.ts';

export type Vips = {
  /** To be called after each commit. */
  readonly look: () => void;
  readonly rows: () => readonly VipRow[];
  /** Moves that this agent has seen, by address. */
  readonly moves: () => ReadonlyMap<Ip, number>;
};

type Seen = { readonly owner: string | undefined; readonly since: number; readonly from: string | undefined; readonly why: string };

export type VipsOptions = {
  readonly l2: L2Tables;
  readonly self: string;
  readonly asked: BpfMap;
  readonly services: Pick<ServiceTables, 'frontends' | 'sets'>;
  /** Flows to load balancer addresses, as of the last look. */
  readonly visits: () => readonly Visits[];
  readonly clock: Clock;
  readonly log: Log;
};

export function vipsOf({ l2, self, asked, services, visits, clock, log }: VipsOptions): Vips {
  const seen = new Map<Ip, Seen>();
  const moves = new Map<Ip, number>();
  return {
    look() {
      for (const [, { ip, owner, why }] of l2.owners.entries()) {
        const last = seen.get(ip);
        if (last && last.owner === owner) continue;
        seen.set(ip, { owner, since: clock.now(), from: last?.owner ?? last?.from, why });
        if (owner === self || last?.owner === self)
          log.info('Another node answers for an address', { ip, from: last?.owner, to: owner, why });
        if (last?.owner !== undefined) moves.set(ip, (moves.get(ip) ?? 0) + 1);
      }
      for (const ip of seen.keys()) if (!l2.owners.has(ip)) seen.delete(ip);
    },
    rows() {
      const answers = answersOf(asked);
      const visited = Map.groupBy(visits(), ({ address }) => address);
      const members = new Map([l2.self(), ...Array.from(l2.peers.entries(), ([, row]) => row)].map((row) => [row.node, row]));
      return Array.from(l2.owners.entries(), ([, row]) =>
        rowOf(row, seen.get(row.ip), { self, members, answers, visited, services }),
      ).toSorted((a, b) => (a.ip < b.ip ? -1 : 1));
    },
    moves: () => moves,
  };
}

type Known = Pick<VipsOptions, 'self' | 'services'> & {
  readonly members: ReadonlyMap<string, MemberRow>;
  readonly answers: ReadonlyMap<string, number>;
  readonly visited: ReadonlyMap<Ip, readonly Visits[]>;
};

function rowOf(row: OwnerRow, seen: Seen | undefined, { self, services: served, members, answers, visited }: Known): VipRow {
  const { ip, services, policies, owner, interfaces, why, candidates, rivals, held } = row;
  const of = members.get(owner ?? '')?.interfaces.filter(({ name }) => interfaces.includes(name)) ?? [];
  const macs = of.map(({ mac }) => mac).filter((mac): mac is Mac => mac !== undefined);
  return {
    ip,
    services,
    policies,
    owner,
    interfaces,
    macs,
    since: seen?.since,
    from: seen?.from,
    why,
    answers: owner === self ? (answers.get(ip) ?? 0) : undefined,
    packets: visited.get(ip)?.reduce((sum, { packets }) => sum + packets, 0),
    lopsided: (visited.get(ip) ?? []).flatMap((one) => [...lopsided(one, served)]),
    reachable: sightsOf(ip, [...members.values()]),
    alsoClaimed: held === undefined ? [] : rivals,
    candidates,
  };
}

/** How often this node has answered, by address, on all interfaces together. */
function answersOf(asked: BpfMap): ReadonlyMap<string, number> {
  const out = new Map<string, number>();
  for (const [key, value] of asked.entries()) {
    const { address } = l2KeyCodec.decode(key);
    out.set(address, (out.get(address) ?? 0) + l2AskedCodec.decode(value).answers);
  }
  return out;
}
