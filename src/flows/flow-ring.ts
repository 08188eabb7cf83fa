// SPDX-License-Identifier: Apache-2.0
// The flows that a node still has in memory: the newest `capacity` of them, under positions that only grow. Whoever reads has a
// position; who is overtaken learns how many flows he missed, and nobody waits for a reader.
//
//   append ─▶ [ position 41 | 42 | 43 | … | 4136 ] ◀─ read(query).take(budget)
//
// A loss that happened before the ring (a ring buffer of the kernel that ran over) stands in it as what it is, between flows.

import type { Flow, LostEvent, Nanoseconds } from './flow.ts';
import { LostEventSource } from './flow-enums.ts';

export type Entry = { readonly kind: 'flow'; readonly flow: Flow } | { readonly kind: 'lost'; readonly lost: LostEvent };

export type FlowRing = {
  readonly capacity: number;
  /** How many entries are there to read. */
  readonly length: number;
  /** Flows that were ever appended. */
  readonly seen: number;
  /** Position of the oldest entry that is still there, and the one that the next entry gets. */
  readonly oldest: number;
  readonly next: number;
  /** In the order in which they were seen. Tells the listeners once. */
  append(flows: readonly Flow[]): void;
  /** Flows that were lost on their way here, after those that were appended and before those that will be. */
  lose(lost: LostEvent): void;
  at(position: number): Entry | undefined;
  read(query: FlowQuery): FlowReader;
  /** Flows that readers did not get because they were overtaken. */
  readonly missed: number;
  /** Calls `listener` after each change until the returned function is called; it must be quick. */
  listen(listener: () => void): () => void;
};

export type FlowQuery = {
  /** Newest that many that match, or the oldest of them with `first`. Undefined: all that there are, or with `follow` none of the past. */
  readonly number?: number | undefined;
  readonly first?: boolean | undefined;
  /** Goes on with what comes; then `number` is how many of the past come first. */
  readonly follow?: boolean | undefined;
  /** Position to begin with, whatever else is asked for: who has read elsewhere goes on here. */
  readonly from?: number | undefined;
  /** From the first flow that is not older. Says where to begin instead of `number`, which then only ends. */
  readonly since?: Nanoseconds | undefined;
  /** Ends before the first flow that is later. */
  readonly until?: Nanoseconds | undefined;
  readonly matches: (flow: Flow) => boolean;
};

export type FlowReader = {
  /** What is next, oldest first: looks at no more than `budget` entries, so that a rare match does not hold up the rest. */
  take(budget: number): readonly Entry[];
  /** Whether there is something to look at now. */
  readonly pending: boolean;
  /** Nothing comes any more. Never with `follow` and without `until`. */
  readonly ended: boolean;
};

/** Capacities that Hubble knows: 1, 3, 7 and so on until 65535. */
export const isRingCapacity = (capacity: number): boolean =>
  Number.isInteger(capacity) && capacity >= 1 && capacity <= 65535 && (capacity & (capacity + 1)) === 0;

export function flowRing(capacity: number): FlowRing {
  const slots: (Entry | undefined)[] = Array.from({ length: capacity });
  const listeners = new Set<() => void>();
  const at = (position: number): Entry | undefined => (position < next && position >= oldest() ? slots[position % capacity] : undefined);
  const oldest = () => Math.max(0, next - capacity);
  const put = (entry: Entry) => void (slots[next++ % capacity] = entry);
  const tell = () => listeners.forEach((listener) => listener());
  let [next, seen, missed] = [0, 0, 0];
  const ring: FlowRing = {
    capacity,
    get length() {
      return next - oldest();
    },
    get seen() {
      return seen;
    },
    get oldest() {
      return oldest();
    },
    get next() {
      return next;
    },
    get missed() {
      return missed;
    },
    append(flows) {
      for (const flow of flows) put({ kind: 'flow', flow });
      seen += flows.length;
      if (flows.length > 0) tell();
    },
    lose(lost) {
      put({ kind: 'lost', lost });
      tell();
    },
    at,
    read: (query) => flowReader(ring, query, (count) => void (missed += count)),
    listen(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
  return ring;
}

function flowReader(ring: FlowRing, query: FlowQuery, missing: (count: number) => void): FlowReader {
  const { matches, follow = false, until } = query;
  const end = follow ? Number.POSITIVE_INFINITY : ring.next;
  let position = startOf(ring, query);
  let left = follow ? Number.POSITIVE_INFINITY : (query.number ?? Number.POSITIVE_INFINITY);
  let ended = position >= end || left === 0;
  let last: Nanoseconds | undefined;
  const overtaken = (): Entry => {
    const count = Math.min(ring.oldest, end) - position;
    position += count;
    missing(count);
    return {
      kind: 'lost',
      lost: { source: LostEventSource.HUBBLE_RING_BUFFER, numEventsLost: BigInt(count), first: last, last: timeAt(ring, position) },
    };
  };
  const look = (entry: Entry, found: Entry[]) => {
    if (entry.kind === 'lost') return void found.push(entry);
    if (until !== undefined && entry.flow.time > until) return void (ended = true);
    last = entry.flow.time;
    if (!matches(entry.flow)) return;
    found.push(entry);
    if (--left === 0) ended = true;
  };
  return {
    take(budget) {
      const found: Entry[] = [];
      if (!ended && position < ring.oldest) found.push(overtaken());
      for (let looks = budget; looks > 0 && !ended && position < Math.min(end, ring.next); looks--) {
        const entry = ring.at(position++);
        if (entry) look(entry, found);
      }
      if (position >= end) ended = true;
      return found;
    },
    get pending() {
      return !ended && position < ring.next;
    },
    get ended() {
      return ended;
    },
  };
}

function timeAt(ring: FlowRing, position: number): Nanoseconds | undefined {
  const entry = ring.at(position);
  return entry?.kind === 'flow' ? entry.flow.time : undefined;
}

function startOf(ring: FlowRing, { from, number = 0, first = false, follow = false, since, until, matches }: FlowQuery): number {
  if (from !== undefined) return from;
  if (since !== undefined) {
    for (let position = ring.oldest; position < ring.next; position++) if ((timeAt(ring, position) ?? -1n) >= since) return position;
    return ring.next;
  }
  if (number === 0) return follow ? ring.next : ring.oldest;
  if (first) return ring.oldest;
  let [start, missing] = [ring.next, number];
  for (let position = ring.next - 1; position >= ring.oldest && missing > 0; position--) {
    const entry = ring.at(position);
    if (entry?.kind !== 'flow' || (until !== undefined && entry.flow.time > until) || !matches(entry.flow)) continue;
    missing--;
    start = position;
  }
  return start;
}
