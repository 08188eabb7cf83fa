// SPDX-License-Identifier: Apache-2.0
// Reads what is kept, forwards or backwards, a block at a time and a part of its rows to a turn of the loop. A block may pass from
// memory to disk meanwhile: its rows have the same numbers there, so a reader that knows block and row misses none and sees none twice.

import { setImmediate } from 'node:timers/promises';
import { FormatError } from './bytes.ts';
import { fileCache, inMemory, onDisk } from './sources.ts';
import type { Source } from './sources.ts';
import { entryAt, timeAt } from './rows.ts';
import type { HistoryEntry, Rows } from './rows.ts';
import type { Place } from './segments.ts';
import type { Store } from './store.ts';
import type { Wanted } from './wanted.ts';

export type Cursor = { readonly block: number; readonly row: number };

export type Query = {
  readonly wanted: Wanted;
  readonly order: 'oldest first' | 'newest first';
  /** Nanoseconds since the epoch; both included. */
  readonly since?: bigint | undefined;
  readonly until?: bigint | undefined;
  /** The row to begin with; backwards the one before which to begin. Undefined: the first or the last one. */
  readonly from?: Cursor | undefined;
  readonly signal?: AbortSignal | undefined;
};

export type Batch = {
  /** In the order that was asked for. */
  readonly entries: readonly HistoryEntry[];
  /** Where each of them is. */
  readonly cursors: readonly Cursor[];
};

const ROWS_PER_TURN = 1024;
const END = Number.POSITIVE_INFINITY;

/** Until there is nothing more. What is no flow comes in between, whatever is wanted. */
export async function* read(store: Store, query: Query): AsyncGenerator<Batch> {
  const forwards = query.order === 'oldest first';
  await using files = fileCache();
  const skipped = new Set<Place>(); // damaged, and the disk does not let it be mended
  let cursor = query.from ?? (forwards ? { block: 0, row: 0 } : { block: END, row: END });
  for (;;) {
    const found = forwards ? blockFrom(store, cursor.block) : blockUpTo(store, cursor.block);
    if (!found || query.signal?.aborted || isPast(found, query)) return;
    const row = found.block === cursor.block ? cursor.row : forwards ? 0 : END;
    if (found.kind === 'memory' && found.newest && row >= found.rows.count && forwards) return;
    const source =
      found.kind === 'memory'
        ? inMemory(found.rows, query.wanted)
        : skipped.has(found.place)
          ? 'none'
          : await onDisk(found.place, query, files);
    if (source === 'damaged') await mended(store, found, skipped);
    if (source === 'damaged' || (source === 'gone' && isGone(store, found))) continue;
    if (typeof source !== 'string' && !(yield* scanned(source, { block: found.block, row }, query))) {
      await mended(store, found, skipped);
      continue;
    }
    if (!forwards) cursor = { block: found.block - 1, row: END };
    else
      cursor = found.kind === 'memory' && found.newest ? { block: found.block, row: found.rows.count } : { block: found.block + 1, row: 0 };
  }
}

type Found =
  | { readonly kind: 'disk'; readonly block: number; readonly place: Place }
  | { readonly kind: 'memory'; readonly block: number; readonly rows: Rows; /** More may come. */ readonly newest: boolean };

/** The first block with that number or a higher one. */
function blockFrom({ places, blocks }: Store, block: number): Found | undefined {
  const place = places[firstIndex(places, (one) => one.block >= block)];
  const held = blocks.find((one) => one.block >= block);
  return foundOf(place, held, blocks, (a, b) => a <= b);
}

/** The last block with that number or a lower one. */
function blockUpTo({ places, blocks }: Store, block: number): Found | undefined {
  const place = places[firstIndex(places, (one) => one.block > block) - 1];
  const held = blocks.findLast((one) => one.block <= block);
  return foundOf(place, held, blocks, (a, b) => a >= b);
}

function foundOf(
  place: Place | undefined,
  held: Store['blocks'][number] | undefined,
  blocks: Store['blocks'],
  before: (a: number, b: number) => boolean,
): Found | undefined {
  if (place && (!held || before(place.block, held.block))) return { kind: 'disk', block: place.block, place };
  return held && { kind: 'memory', block: held.block, rows: held.builder.rows(), newest: held === blocks.at(-1) };
}

/** Where `after` begins to be true. */
function firstIndex<T>(all: readonly T[], after: (one: T) => boolean): number {
  let [low, high] = [0, all.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    const one = all[middle];
    if (one !== undefined && after(one)) high = middle;
    else low = middle + 1;
  }
  return low;
}

function isPast(found: Found, { order, since, until }: Query): boolean {
  if (found.kind === 'memory') return false;
  const [first, last] = found.place.times;
  return order === 'oldest first' ? until !== undefined && first > until : since !== undefined && last < since;
}

const isGone = ({ places }: Store, found: Found): boolean => found.kind === 'disk' && !places.includes(found.place);

async function mended(store: Store, found: Found, skipped: Set<Place>): Promise<void> {
  if (found.kind !== 'disk') return;
  await store.mend(found.place);
  if (!isGone(store, found)) skipped.add(found.place);
}

/** False when it turns out to be damaged: then nothing came of it yet. */
async function* scanned(source: Source, start: Cursor, query: Query): AsyncGenerator<Batch, boolean> {
  try {
    yield* scan(source, start, query);
    return true;
  } catch (error) {
    if (error instanceof FormatError) return false;
    throw error;
  }
}

async function* scan({ count, rows, complete }: Source, { block, row }: Cursor, query: Query): AsyncGenerator<Batch> {
  for (const part of parts(rows, query.order === 'oldest first' ? [row, count] : [0, Math.min(count, row)], query.order)) {
    if (query.signal?.aborted) return;
    const found = wantedOf(await complete(), part, query);
    if (found.length > 0) yield { entries: found.map(([, entry]) => entry), cursors: found.map(([at]) => ({ block, row: at })) };
    await setImmediate();
  }
  await setImmediate();
}

/** Rows that may be wanted, as many at a time as there are in a part of the block. */
function* parts(rows: Uint8Array, [first, end]: readonly [number, number], order: Query['order']): Generator<readonly number[]> {
  const count = Math.max(0, Math.ceil((end - first) / ROWS_PER_TURN));
  for (let i = 0; i < count; i++) {
    const start = first + (order === 'oldest first' ? i : count - 1 - i) * ROWS_PER_TURN;
    const part = rowsIn(rows.subarray(start, Math.min(end, start + ROWS_PER_TURN)), start);
    if (part.length > 0) yield order === 'oldest first' ? part : part.toReversed();
  }
}

function rowsIn(rows: Uint8Array, start: number): readonly number[] {
  const found: number[] = [];
  for (let at = rows.indexOf(1); at >= 0; at = rows.indexOf(1, at + 1)) found.push(start + at);
  return found;
}

function wantedOf(
  rows: Rows,
  candidates: readonly number[],
  { since, until, wanted }: Query,
): (readonly [row: number, entry: HistoryEntry])[] {
  const found: (readonly [row: number, entry: HistoryEntry])[] = [];
  for (const row of candidates) {
    const time = timeAt(rows, row);
    if ((since !== undefined && time < since) || (until !== undefined && time > until)) continue;
    const entry = entryAt(rows, row);
    if (entry.kind !== 'flow' || wanted.matches(entry.flow)) found.push([row, entry]);
  }
  return found;
}
