// SPDX-License-Identifier: Apache-2.0
// Looks through conntrack: removes what has expired, so that the map holds flows that live, and what leads to a pod that is gone, which
// would keep its masquerade ports for hours, as such a pod ends no connection. Counts the flows that live by pod, and the ports that
// they hold by address and destination.
//
// Without it the map fills with what is over, and then the least recently used entry makes room, which may be a connection that only
// pauses. An entry is taken out and looked at once more: one that came back to life meanwhile is put back. In between, some microseconds,
// a packet of it would open the flow anew.

import type { Clock } from '../base/clock.ts';
import { ipFromBytes } from '../base/ip.ts';
import type { Ip } from '../base/ip.ts';
import type { Table } from '../base/table.ts';
import { ConntrackFlag } from '../datapath/schema.gen.ts';
import type { EndpointRow } from '../endpoints/endpoint.ts';
import { isPodLink } from '../datapath/pod-links.ts';
import { entryAt, flowAt, isExpired, oppositeKey } from '../flows/conntrack.ts';
import type { Forgotten } from '../flows/decoder.ts';
import { destinationText, portCount } from '../flows/port-use.ts';
import type { PortCount } from '../flows/port-use.ts';
import { visitCount } from '../flows/visits.ts';
import type { VisitCount, Visits } from '../flows/visits.ts';
import { isKernelError } from '../kernel/errors.ts';
import type { BpfMap } from '../kernel/map.ts';
import { UpdateFlag } from '../kernel/map.ts';

export type Talker = { /** 'namespace/name', or an address that is no pod's. */ readonly name: string; readonly flows: number };

/** Ports of `address` that are in use towards '203.0.113.10:80/TCP', and who has most of them. */
export type PortTalker = {
  readonly address: Ip;
  readonly destination: string;
  readonly ports: number;
  readonly most: { readonly name: string; readonly ports: number };
};

export type SweepResult = {
  /** Milliseconds since the Unix epoch. */
  readonly at: number;
  /** Entries that live, two for a flow. */
  readonly entries: number;
  readonly removed: number;
  readonly seconds: number;
  /** Who has opened most of the flows that live, most first. */
  readonly talkers: readonly Talker[];
  /** Where most masquerade ports are in use, most first. */
  readonly ports: readonly PortTalker[];
  /** Flows to load balancer addresses. */
  readonly visits: readonly Visits[];
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
  /** Of which visits are counted. */
  readonly vips: () => Iterable<Ip>;
  readonly clock: Clock;
  /** Hears of each flow that is forgotten because its time is over: once, with both of its entries. */
  readonly forgotten?: ((pair: Forgotten) => void) | undefined;
};

/** After its time is over an entry is left alone for so long: somebody may be about to use its key again. */
const GRACE_SECONDS = 5;
const TALKERS = 10;
const ENTRIES_PER_LOOK = 256;

/** Pairs of address and destination of which ports are counted at once. */
const PAIRS = 4096;

type Counts = {
  entries: number;
  removed: number;
  spent: number;
  readonly opened: Map<string, number>;
  readonly ports: PortCount;
  readonly visits: VisitCount;
};

export function conntrackSweep(options: SweepOptions): Sweep {
  const { map, endpoints, vips, clock } = options;
  let walk: Iterator<readonly [Buffer, Buffer]> | undefined;
  let counts: Counts = nothing([]);
  let last: SweepResult | undefined;
  let runs = 0;
  return {
    pending: 0,
    look(enough) {
      if (!walk) [walk, counts] = [map.entries(), nothing(vips())];
      const started = clock.monotonic();
      let more: boolean;
      do more = sweepPart(walk, options, counts);
      while (more && !enough());
      counts.spent += clock.monotonic() - started;
      if (more) return false;
      const { entries, removed, spent } = counts;
      const most = { talkers: talkersIn(counts, endpoints), ports: portTalkersIn(counts, endpoints) };
      last = { at: clock.now(), entries, removed, seconds: spent / 1000, ...most, visits: counts.visits.visits() };
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

function nothing(vips: Iterable<Ip>): Counts {
  const ports = portCount(monotonicSeconds(), { pairs: PAIRS });
  return { entries: 0, removed: 0, spent: 0, opened: new Map(), ports, visits: visitCount(vips) };
}

/** The next entries; false at the end. */
function sweepPart(walk: Iterator<readonly [Buffer, Buffer]>, { map, endpoints, forgotten }: SweepOptions, counts: Counts): boolean {
  const now = monotonicSeconds() - GRACE_SECONDS;
  for (let i = 0; i < ENTRIES_PER_LOOK; i++) {
    const next = walk.next();
    if (next.done === true) return false;
    const [key, value] = next.value;
    if (isExpired(key, value, now) && isRemoved(map, key, now)) {
      counts.removed++;
      if (forgotten) tell(map, key, value, forgotten);
      continue;
    }
    if (leadsNowhere(value, endpoints)) {
      counts.removed += removePair(map, key, value);
      continue;
    }
    counts.entries++;
    counts.ports.add(key, value);
    counts.visits.add(key, value);
    if (value.readUInt32LE(entryAt.flags) & ConntrackFlag.reply) continue;
    const source = key.toString('latin1', flowAt.source, flowAt.destination);
    counts.opened.set(source, (counts.opened.get(source) ?? 0) + 1);
  }
  return true;
}

/** The first of a flow's entries to go finds the other one; then that finds none. */
function tell(map: BpfMap, key: Buffer, value: Buffer, forgotten: (pair: Forgotten) => void): void {
  const opposite = map.lookup(oppositeKey(key, value));
  if (opposite) forgotten({ key, value, opposite });
}

/** To the interface of a pod that is gone. A flow to a pod is no older than its endpoint. */
function leadsNowhere(value: Buffer, endpoints: SweepOptions['endpoints']): boolean {
  if (!(value.readUInt32LE(entryAt.flags) & ConntrackFlag.local) || !endpoints.complete) return false;
  const index = value.readUInt32LE(entryAt.interfaceIndex);
  return isPodLink(index) && endpoints.by('interface', `${index}`)[Symbol.iterator]().next().done === true;
}

/** Removes both entries of a flow; how many there were. The other one may have begun anew, as another pair. */
function removePair(map: BpfMap, key: Buffer, value: Buffer): number {
  const opposite = oppositeKey(key, value);
  const other = map.lookup(opposite);
  const paired = other !== undefined && oppositeKey(opposite, other).equals(key);
  return Number(map.delete(key)) + Number(paired && map.delete(opposite));
}

function talkersIn({ opened }: Counts, endpoints: SweepOptions['endpoints']): readonly Talker[] {
  const most = Array.from(opened, ([bytes, flows]) => ({ bytes, flows })).sort((a, b) => b.flows - a.flows);
  return most.slice(0, TALKERS).map(({ bytes, flows }) => ({ name: nameOf(ipFromBytes(Buffer.from(bytes, 'latin1')), endpoints), flows }));
}

function portTalkersIn({ ports: counted }: Counts, endpoints: SweepOptions['endpoints']): readonly PortTalker[] {
  const uses = counted.uses().slice(0, TALKERS);
  return uses.flatMap(({ address, to, ports, holders: [first] }) => {
    const most = first && { name: nameOf(first.source, endpoints), ports: first.ports };
    return most ? [{ address, destination: destinationText(to), ports, most }] : [];
  });
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

function nameOf(address: Ip, endpoints: Table<string, EndpointRow>): string {
  const [pod] = endpoints.by('address', address);
  return pod ? `${pod.namespace}/${pod.pod}` : address;
}
