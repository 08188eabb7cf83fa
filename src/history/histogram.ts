// SPDX-License-Identifier: Apache-2.0
// How many flows of which verdict there were when: of what is on disk out of the summaries of blocks, each of which has counts for 16
// parts of its time, and of what is in memory flow by flow.

import type { Verdict } from '../flows/flow-enums.ts';
import { FormatError } from './bytes.ts';
import { bytesAt } from './frames.ts';
import { headerFrom } from './packed.ts';
import { fileCache } from './sources.ts';
import { codeOf } from '../base/errors.ts';
import type { Store } from './store.ts';
import { SLICES, summaryOf } from './summary.ts';
import type { Summary } from './summary.ts';

export type Bucket = {
  /** Nanoseconds since the epoch: it ends where the next one begins. */
  readonly since: bigint;
  /** Flows by verdict. */
  readonly flows: Readonly<Partial<Record<Verdict, number>>>;
};

export type HistogramQuery = { readonly since: bigint; readonly until: bigint; readonly buckets: number };

/** A part of a block counts where its middle is. */
export async function histogram(store: Store, { since, until, buckets }: HistogramQuery): Promise<readonly Bucket[]> {
  const width = until > since ? Number(until - since) / buckets : 1;
  const counts = Array.from({ length: buckets }, (): Partial<Record<string, number>> => ({}));
  const add = ({ times: [first, last], verdicts }: Summary) => {
    const [start, slice] = [Number(first - since), Number(last - first) / SLICES];
    for (const [verdict, parts] of Object.entries(verdicts))
      for (const [i, count] of parts.entries()) {
        const bucket = counts[Math.floor((start + (i + 0.5) * slice) / width)];
        if (bucket && count > 0) bucket[verdict] = (bucket[verdict] ?? 0) + count;
      }
  };
  for await (const summary of summariesOf(store, since, until)) add(summary);
  return counts.map((flows, i) => ({ since: since + BigInt(Math.floor(i * width)), flows }));
}

async function* summariesOf(store: Store, since: bigint, until: bigint): AsyncGenerator<Summary> {
  await using files = fileCache();
  const held = store.blocks.map(({ block, builder }) => ({ block, rows: builder.rows() }));
  const isHeld = (block: number) => held.some((one) => one.block === block);
  for (const place of store.places.slice()) {
    if (place.times[1] < since || place.times[0] > until || isHeld(place.block)) continue;
    try {
      const file = await files.open(place.path);
      yield headerFrom(await bytesAt(file, place.offset, place.headerLength)).summary;
    } catch (error) {
      if (!(error instanceof FormatError) && codeOf(error) !== 'ENOENT') throw error; // whoever reads it has it mended; or it is gone
    }
  }
  for (const { rows } of held) if (rows.count > 0) yield summaryOf(rows, false);
}
