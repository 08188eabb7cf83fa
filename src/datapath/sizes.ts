// SPDX-License-Identifier: Apache-2.0
// How large maps are: as declared at first, less on a node with little memory, and twice as large whenever one has become too full.

import type { MapSchema } from '../kernel/codec.ts';

export type Found = {
  /** Of this version's map; undefined: there is none yet. */
  readonly size: number | undefined;
  readonly entries: number;
  /** Sizes of earlier maps, whose entries have to fit. */
  readonly predecessors: readonly number[];
};

/** A map that is fuller grows. */
const FULL = 0.7;
/** An LRU map is allocated as a whole: of the node's memory it may have this share. */
const SHARE = 0.01;
/** What the kernel adds to an entry, roughly: hash node, LRU lists, per-CPU bookkeeping. */
const OVERHEAD_BYTES = 64;
/** A hash without preallocation costs what it holds, and buckets for its limit. */
const MOST_DOUBLINGS = 4;

/** The largest size that a map may have on a node with so much memory. A power of two for LRU maps, which have their own buckets then. */
export function largestSize({ type, keySize, valueSize, maxEntries }: MapSchema, memoryBytes: number): number {
  if (type !== 'lru_hash') return maxEntries << MOST_DOUBLINGS;
  const fits = (memoryBytes * SHARE) / (keySize + valueSize + OVERHEAD_BYTES);
  return 2 ** Math.max(10, Math.floor(Math.log2(fits)));
}

export function isTooFull(entries: number, size: number): boolean {
  return entries > size * FULL;
}

/** The size for the next load. It never shrinks. `start`: in place of what the schema declares. */
export function nextSize(schema: MapSchema, found: Found, memoryBytes: number, start: number = schema.maxEntries): number {
  const largest = largestSize(schema, memoryBytes);
  if (found.size === undefined) return Math.max(Math.min(start, largest), ...found.predecessors);
  return isTooFull(found.entries, found.size) ? Math.max(found.size, Math.min(found.size * 2, largest)) : found.size;
}
