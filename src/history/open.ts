// SPDX-License-Identifier: Apache-2.0
// A store out of what is on disk: blocks, and the tails of those that were not yet written. A restart has no other way than the first
// start, except that it tells since when nobody looked.

import { mkdir, open, readdir, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { rowBuilder } from './builder.ts';
import { entryAt, timeAt } from './rows.ts';
import type { Rows } from './rows.ts';
import { openSegments } from './segments.ts';
import type { Segments } from './segments.ts';
import { ROWS_PER_BLOCK, storeOf } from './store.ts';
import type { Block, Store, StoreOptions } from './store.ts';
import { tailsIn } from './tails.ts';

/** Its time is when an agent was last there. */
const ALIVE = 'alive';
/** Of the room that of blocks, so that a tail has some before the next block makes it. */
const BLOCKS_PART = 31 / 32;
const TOUCH_MS = 10_000;
const ROWS_PER_TURN = 1024;

/** Reads what is there. Throws what the disk says. */
export async function openStore(options: StoreOptions): Promise<Store> {
  const { directory, clock } = options;
  await mkdir(directory, { recursive: true, mode: 0o700 });
  for (const name of await readdir(directory)) if (name.endsWith('.new')) await rm(join(directory, name), { force: true }); // half mended
  const blocks: Block[] = [];
  const tailBytes = () => blocks.reduce((sum, { tail }) => sum + tail.bytes, 0);
  const segments = await openSegments({ directory, maxBytes: () => options.maxBytes * BLOCKS_PART - tailBytes() });
  const alive = await stat(join(directory, ALIVE)).catch(() => undefined);
  await recover(options, segments, blocks);
  const store = storeOf(options, { segments, blocks, touch: toucher(join(directory, ALIVE), options) });
  const last = lastTime(segments, blocks);
  if (last !== undefined) {
    const [now, seen] = [nanoseconds(clock.now()), nanoseconds(alive?.mtimeMs ?? 0)];
    const first = seen > last && seen < now ? seen : last < now ? last : now;
    store.add({ kind: 'gap', gap: { why: 'stopped', first, last: now, flows: 0 } });
  }
  if (segments.damaged.length > 0) options.report({ disk: undefined, damaged: segments.damaged });
  return store;
}

const nanoseconds = (milliseconds: number): bigint => BigInt(Math.floor(milliseconds)) * 1_000_000n;

/** Rows of tails, as if they had just come. */
async function recover(
  { directory, node, rowsPerBlock = ROWS_PER_BLOCK }: StoreOptions,
  segments: Segments,
  blocks: Block[],
): Promise<void> {
  let after = segments.places.at(-1)?.positions[1] ?? 0;
  for (const { block, tail, rows, damaged } of await tailsIn(directory, segments.places.at(-1)?.block ?? 0)) {
    const written = rows.reduce((sum, { count }) => sum + count, 0);
    const builder = rowBuilder({ capacity: Math.max(rowsPerBlock, written + 1), node, after });
    for (const part of rows)
      for (let row = 0; row < part.count; row++) {
        builder.add(entryAt(part, row));
        if (row % ROWS_PER_TURN === ROWS_PER_TURN - 1) await setImmediate();
      }
    const last = builder.count > 0 ? timeAt(builder.rows(), builder.count - 1) : 0n;
    if (damaged) builder.add({ kind: 'gap', gap: { why: 'damaged', first: last, last, flows: 0 } });
    blocks.push({ block, builder, tail, written });
    after = builder.position;
  }
}

function lastTime(segments: Segments, blocks: readonly Block[]): bigint | undefined {
  const rows: Rows | undefined = blocks.findLast(({ builder }) => builder.count > 0)?.builder.rows();
  return rows ? timeAt(rows, rows.count - 1) : segments.places.at(-1)?.times[1];
}

/** Touches the file, when that was long enough ago. */
function toucher(path: string, { clock }: StoreOptions): () => Promise<void> {
  let touched = Number.NEGATIVE_INFINITY;
  return async () => {
    if (clock.monotonic() - touched < TOUCH_MS) return;
    touched = clock.monotonic();
    const now = clock.now() / 1000;
    await utimes(path, now, now).catch(async () => (await open(path, 'a', 0o600)).close());
  };
}
