// SPDX-License-Identifier: Apache-2.0
// Looks through conntrack: removes what has expired, so that the map holds flows that live, and counts those by pod.
//
// Without it the map fills with what is over, and then the least recently used entry makes room, which may be a connection that only
// pauses. An entry is taken out and looked at once more: one that came back to life meanwhile is put back. In between, some microseconds,
// a packet of it would open the flow anew.

import type { Clock } from '../base/clock.ts';
import { ipFromBytes } from '../base/ip.ts';
import type { Table } from '../base/table.ts';
import { ConntrackFlag } from '../datapath/schema.gen.ts';
import type { EndpointRow } from '../endpoints/endpoint.ts';
import { entryAt, flowAt, isExpired } from '../flows/conntrack.ts';
import { isKernelError } from '../kernel/errors.ts';
import type { BpfMap } from '../kernel/map.ts';
import { UpdateFlag } from '../kernel/map.ts';

export type Talker = { /** 'namespace/name', or an address that is no pod's. */ readonly name: string; readonly flows: number };

export type SweepResult = {
  /** Milliseconds since the Unix epoch. */
  readonly at: number;
  /** Entries that live, two for a flow. */
  readonly entries: number;
  readonly removed: number;
  readonly seconds: number;
  /** Who has opened most of the flows that live, most first. */
  readonly talkers: readonly Talker[];
};

export type Sweep = {
  readonly pending: 0;
  /** Goes on until `enough`; true at the end of a whole sweep. */
  look(enough: () => boolean): boolean;
  /** The last whole sweep. */
  readonly last: SweepResult | undefined;
  /** Sweeps since the start. */
  readonly runs: number;
};

export type SweepOptions = {
  /** The map conntrack. */
  readonly map: BpfMap;
  readonly endpoints: Table<string, EndpointRow>;
  readonly clock: Clock;
};

/** After its time is over an entry is left alone for so long: somebody may be about to use its key again. */
const GRACE_SECONDS = 5;
const TALKERS = 10;
const ENTRIES_PER_LOOK = 256;

type Counts = { entries: number; removed: number; spent: number; readonly opened: Map<string, number> };

export function conntrackSweep({ map, endpoints, clock }: SweepOptions): Sweep {
  let walk: Iterator<readonly [Buffer, Buffer]> | undefined;
  let counts: Counts = nothing();
  let last: SweepResult | undefined;
  let runs = 0;
  return {
    pending: 0,
    look(enough) {
      if (!walk) [walk, counts] = [map.entries(), nothing()];
      const started = clock.monotonic();
      let more: boolean;
      do more = sweepPart(walk, map, counts);
      while (more && !enough());
      counts.spent += clock.monotonic() - started;
      if (more) return false;
      const { entries, removed, spent } = counts;
      last = { at: clock.now(), entries, removed, seconds: spent / 1000, talkers: talkersIn(counts, endpoints) };
      walk = undefined;
      runs++;
      return true;
    },
    get last() {
      return last;
    },
    get runs() {
      return runs;
    },
  };
}

function nothing(): Counts {
  return { entries: 0, removed: 0, spent: 0, opened: new Map() };
}

/** The next entries; false at the end. */
function sweepPart(walk: Iterator<readonly [Buffer, Buffer]>, map: BpfMap, counts: Counts): boolean {
  const now = monotonicSeconds() - GRACE_SECONDS;
  for (let i = 0; i < ENTRIES_PER_LOOK; i++) {
    const next = walk.next();
    if (next.done === true) return false;
    const [key, value] = next.value;
    if (isExpired(key, value, now) && isRemoved(map, key, now)) {
      counts.removed++;
      continue;
    }
    counts.entries++;
    if (value.readUInt32LE(entryAt.flags) & ConntrackFlag.reply) continue;
    const source = key.toString('latin1', flowAt.source, flowAt.destination);
    counts.opened.set(source, (counts.opened.get(source) ?? 0) + 1);
  }
  return true;
}

function talkersIn({ opened }: Counts, endpoints: SweepOptions['endpoints']): readonly Talker[] {
  const most = Array.from(opened, ([bytes, flows]) => ({ bytes, flows })).sort((a, b) => b.flows - a.flows);
  return most.slice(0, TALKERS).map(({ bytes, flows }) => ({ name: nameOf(Buffer.from(bytes, 'latin1'), endpoints), flows }));
}

/** As the programs count: CLOCK_MONOTONIC. */
export function monotonicSeconds(): number {
  return Number(process.hrtime.bigint() / 1_000_000_000n);
}

/** Takes an entry that has expired out of the map, unless it is used again meanwhile. */
function isRemoved(map: BpfMap, key: Buffer, now: number): boolean {
  const taken = map.take(key);
  if (!taken || isExpired(key, taken, now)) return true;
  try {
    map.update(key, taken, UpdateFlag.mustNotExist);
  } catch (error) {
    if (!isKernelError(error, 'EEXIST')) throw error; // else somebody has opened it anew
  }
  return false;
}

function nameOf(bytes: Buffer, endpoints: Table<string, EndpointRow>): string {
  const address = ipFromBytes(bytes);
  const [pod] = endpoints.by('address', address);
  return pod ? `${pod.namespace}/${pod.pod}` : address;
}
