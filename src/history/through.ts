// SPDX-License-Identifier: Apache-2.0
// Flows of the past and of the present in one row: what the ring does not have any more comes from the store, then the ring goes on
// where that ended. Who reads sees no seam: the uuid of a flow says its position, and positions only grow.
//
//   store …41 42 43 44 45 46│           the store has everything up to now, but for what the disk did not take
//   ring           44 45 46│47 …        the ring has the newest of it, as they were made

import type { Entry, FlowQuery, FlowRing } from '../flows/flow-ring.ts';
import { LostEventSource } from '../flows/flow-enums.ts';
import type { Flow, LostEvent } from '../flows/flow.ts';
import { read } from './reader.ts';
import type { Cursor, Query } from './reader.ts';
import type { Gap, HistoryEntry } from './rows.ts';
import type { Store } from './store.ts';
import type { Uuids } from './uuid.ts';
import type { Wanted } from './wanted.ts';

export type Past = {
  readonly store: Store;
  readonly ring: FlowRing;
  readonly uuids: Uuids;
};

export type PastQuery = FlowQuery & { /** `matches`, told as conditions. */ readonly wanted: Wanted };

/** What of the past comes first, and the query of the ring that goes on from there. */
export type Through = { readonly past: AsyncGenerator<readonly Entry[]>; readonly present: () => FlowQuery };

/** So many of the newest flows are collected on the way back; of more only the first one is looked for. */
const COLLECTED = 10_000;

/** Undefined when the ring has all that is asked for. */
export function throughPast(past: Past, query: PastQuery, signal: AbortSignal): Through | undefined {
  if (isInRing(past.ring, query)) return undefined;
  const { number = 0, first = false, follow = false, since } = query;
  const newest = number > 0 && !first && since === undefined;
  let left = number > 0 && !follow ? number : Number.POSITIVE_INFINITY;
  let from = past.ring.next;
  const told = (entries: readonly Entry[]): readonly Entry[] => {
    left -= entries.reduce((sum, { kind }) => sum + (kind === 'flow' ? 1 : 0), 0);
    return entries;
  };
  const generate = async function* (): AsyncGenerator<readonly Entry[]> {
    const end = endOf(past.store);
    from = ringPositionAfter(past, past.store.position);
    const last = newest ? await lastOf(past, { ...query, number: number - matchesFrom(past.ring, from, query) }, signal) : {};
    if (last.entries) yield told(last.entries);
    if (last.entries && !follow) return;
    const forwards: Query = { ...pastQuery(query, signal), order: 'oldest first', from: last.entries ? end : last.start };
    for await (const { entries } of read(past.store, forwards)) {
      yield told(limited(entries, left).map(entryOf));
      if (left <= 0) return;
    }
    from = ringPositionAfter(past, past.store.position); // in the turn in which the store had no more
    const { missing } = past.store;
    if (missing && from === past.ring.oldest) yield [{ kind: 'lost', lost: lossOf(missing) }];
  };
  return { past: generate(), present: () => ({ ...query, from, number: Number.isFinite(left) ? left : undefined }) };
}

const pastQuery = ({ wanted, since, until }: PastQuery, signal: AbortSignal) => ({ wanted, since, until, signal });

/** Where what is not in the store begins. */
function ringPositionAfter({ ring, uuids }: Past, position: number): number {
  let at = ring.next;
  for (; at > ring.oldest; at--) {
    const entry = ring.at(at - 1);
    if (entry?.kind === 'flow' && (uuids.position(entry.flow.uuid) ?? 0) <= position) break;
  }
  return at;
}

function isInRing(ring: FlowRing, query: PastQuery): boolean {
  const { number = 0, first = false, follow = false, since } = query;
  if (follow && number === 0 && since === undefined) return true;
  if (since !== undefined) return (oldestFlow(ring)?.time ?? since + 1n) <= since;
  return number > 0 && !first && matchesFrom(ring, ring.oldest, query) >= number;
}

function oldestFlow(ring: FlowRing): Flow | undefined {
  for (let at = ring.oldest; at < ring.next; at++) {
    const entry = ring.at(at);
    if (entry?.kind === 'flow') return entry.flow;
  }
  return undefined;
}

function matchesFrom(ring: FlowRing, from: number, { matches, until }: PastQuery): number {
  let count = 0;
  for (let at = from; at < ring.next; at++) {
    const entry = ring.at(at);
    if (entry?.kind === 'flow' && (until === undefined || entry.flow.time <= until) && matches(entry.flow)) count++;
  }
  return count;
}

function endOf({ blocks, places }: Store): Cursor {
  const newest = blocks.at(-1);
  return newest ? { block: newest.block, row: newest.builder.count } : { block: (places.at(-1)?.block ?? 0) + 1, row: 0 };
}

/** The newest flows that match, oldest first; or where they begin, if they are many. */
async function lastOf(
  { store }: Past,
  query: PastQuery,
  signal: AbortSignal,
): Promise<{ readonly entries?: readonly Entry[]; readonly start?: Cursor }> {
  const { number = 0 } = query;
  if (number <= 0) return { entries: [] };
  const found: Entry[] = [];
  let count = 0;
  const backwards: Query = { ...pastQuery(query, signal), order: 'newest first' };
  for await (const { entries, cursors } of read(store, backwards))
    for (const [i, entry] of entries.entries()) {
      if (number <= COLLECTED) found.push(entryOf(entry));
      if (entry.kind === 'flow' && ++count === number) {
        const start = cursors[i];
        return number <= COLLECTED ? { entries: found.toReversed() } : { ...(start && { start }) };
      }
    }
  return number <= COLLECTED ? { entries: found.toReversed() } : {};
}

/** Up to the flow with which it is enough. */
function limited(entries: readonly HistoryEntry[], left: number): readonly HistoryEntry[] {
  if (flowsIn(entries) < left) return entries;
  let count = 0;
  const last = entries.findIndex(({ kind }) => kind === 'flow' && ++count >= left);
  return entries.slice(0, last + 1);
}

const flowsIn = (entries: readonly HistoryEntry[]): number => entries.reduce((sum, { kind }) => sum + (kind === 'flow' ? 1 : 0), 0);

const entryOf = (entry: HistoryEntry): Entry => (entry.kind === 'gap' ? { kind: 'lost', lost: lossOf(entry.gap) } : entry);

/** What a gap is to clients that know of losses only. */
function lossOf({ first, last, flows, why }: Gap): LostEvent {
  const source = why === 'slow' ? LostEventSource.OBSERVER_EVENTS_QUEUE : LostEventSource.UNKNOWN_LOST_EVENT_SOURCE;
  return { source, numEventsLost: BigInt(flows), first, last };
}
