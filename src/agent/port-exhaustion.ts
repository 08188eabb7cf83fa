// SPDX-License-Identifier: Apache-2.0
// Packets that found no port to leave with: looks through conntrack for who holds the ports, and reports that pod.

import { setImmediate as turn, setTimeout as pause } from 'node:timers/promises';
import type { Clock } from '../base/clock.ts';
import type { Ip } from '../base/ip.ts';
import type { Problem } from '../base/problem.ts';
import type { Table } from '../base/table.ts';
import { configDefaults } from '../datapath/schema.gen.ts';
import type { EndpointRow } from '../endpoints/endpoint.ts';
import { exhaustionProblems, shortages } from '../flows/exhaustion.ts';
import type { Shortage } from '../flows/exhaustion.ts';
import { portCount } from '../flows/port-use.ts';
import type { PortUse } from '../flows/port-use.ts';
import type { BpfMap } from '../kernel/map.ts';
import { monotonicSeconds } from './conntrack-sweep.ts';
import type { Drops } from './drops.ts';

export type PortExhaustionOptions = {
  readonly drops: Pick<Drops, 'watch'>;
  /** The map conntrack. */
  readonly map: BpfMap;
  readonly endpoints: Table<string, EndpointRow>;
  /** Name of this node. */
  readonly self: string;
  readonly natPortFirst: number;
  readonly report: (problems: readonly Problem[]) => void;
  readonly clock: Clock;
  /** Milliseconds after the last drop in which a shortage is over; conntrack is looked through six times in them at most. */
  readonly quietMs: number;
};

/** Bytes of a look are copied in parts of some milliseconds. */
const SHARE_MS = 4;
const ENTRIES_PER_LOOK = 256;

/** Runs until `signal` aborts. Nothing is looked at before a packet is dropped for want of a port. */
export async function watchPortExhaustion(options: PortExhaustionOptions, signal: AbortSignal): Promise<void> {
  const { drops, endpoints, self, natPortFirst, report, clock, quietMs } = options;
  const known = shortages();
  let dropped = Promise.withResolvers<void>();
  signal.addEventListener('abort', () => dropped.resolve(), { once: true });
  drops.watch((event) => {
    if (known.note(event, clock.monotonic())) dropped.resolve();
  }, signal);
  const ownerOf = (address: Ip) => {
    const [pod] = endpoints.by('address', address);
    return pod ? `Pod ${pod.namespace}/${pod.pod}` : `Node ${self}`;
  };
  for (;;) {
    await dropped.promise;
    if (signal.aborted) return;
    dropped = Promise.withResolvers<void>();
    let current = known.current(clock.monotonic(), quietMs);
    let uses: readonly PortUse[] = [];
    for (let seen = -1; current.length > 0 && !signal.aborted; current = known.current(clock.monotonic(), quietMs)) {
      const last = Math.max(...current.map((one) => one.last));
      if (last > seen) uses = await usesOf(current, options, signal);
      seen = last;
      report(exhaustionProblems(current, uses, { ownerOf, range: [natPortFirst, configDefaults.natPortLast] }));
      await pause(quietMs / 6, undefined, { signal }).catch(() => {});
    }
    report([]);
  }
}

async function usesOf(current: readonly Shortage[], { map, clock }: PortExhaustionOptions, signal: AbortSignal) {
  const count = portCount(monotonicSeconds(), { only: current.map(({ to }) => to) });
  let [left, end] = [ENTRIES_PER_LOOK, clock.monotonic() + SHARE_MS];
  for (const [key, value] of map.entries()) {
    count.add(key, value);
    if (--left > 0) continue;
    left = ENTRIES_PER_LOOK;
    if (clock.monotonic() < end) continue;
    await turn();
    if (signal.aborted) break; // the map is about to be closed
    end = clock.monotonic() + SHARE_MS;
  }
  return count.uses();
}
