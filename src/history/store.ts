// SPDX-License-Identifier: Apache-2.0
// The flows of a node, kept. What comes goes into rows in memory at once; everything that takes time goes one after the other and off
// the loop: new rows to the tail every second, full rows to a block. What the disk does not take is counted and told.
//
//   append ─▶ rows of the newest block ─ every second ─▶ its tail
//                  └─ full ─▶ waiting ─ packed ─▶ segment ─▶ its tail goes

import { setTimeout as delay } from 'node:timers/promises';
import { codeOf, messageOf } from '../base/errors.ts';
import type { Clock } from '../base/clock.ts';
import type { Flow, LostEvent } from '../flows/flow.ts';
import { rowBuilder } from './builder.ts';
import type { RowBuilder } from './builder.ts';
import { packed } from './packed.ts';
import { timeAt } from './rows.ts';
import type { Gap, HistoryEntry } from './rows.ts';
import type { Place, Segments } from './segments.ts';
import { tailOf } from './tails.ts';
import type { Tail } from './tails.ts';

export type StoreOptions = {
  readonly directory: string;
  /** 'cluster/node': whose flows these are. */
  readonly node: string;
  /** Of all files. The oldest go first. */
  readonly maxBytes: number;
  readonly clock: Clock;
  /** Hears what is wrong, whenever that changes. */
  readonly report: (trouble: Trouble) => void;
  readonly rowsPerBlock?: number;
  /** How long the disk may take for one thing before it is told to hang. */
  readonly patienceMs?: number;
};

export type Trouble = {
  /** Why nothing is written now. */
  readonly disk: { readonly kind: 'full' | 'fails' | 'hangs'; readonly message: string } | undefined;
  /** Files that are set aside. */
  readonly damaged: readonly string[];
};

/** Rows of a block that is in memory, and how many of them are in its tail. */
export type Block = { readonly block: number; readonly builder: RowBuilder; readonly tail: Tail; written: number };

export type Store = {
  append(flows: readonly Flow[]): void;
  add(entry: HistoryEntry): void;
  lose(lost: LostEvent): void;
  /** Those on disk, and those in memory, oldest first. A block that is just being written may be among both. */
  readonly places: readonly Place[];
  readonly blocks: readonly Block[];
  readonly bytes: number;
  /** Of places. */
  readonly segments: number;
  readonly maxBytes: number;
  /** Rows that are kept: flows, and what else is told. */
  readonly rows: number;
  /** When the oldest of them was, in nanoseconds since the epoch; undefined: there is none. */
  readonly oldest: bigint | undefined;
  /** Gaps that were told since it was opened, by why. */
  readonly gaps: Readonly<Record<GapWhy, number>>;
  /** The highest of a flow that is kept, 0 when there is none. */
  readonly position: number;
  /** Flows that came and were not kept, since it was opened. */
  readonly missed: number;
  /** Those of them that no row tells of yet. */
  readonly missing: Gap | undefined;
  /** Writes what is new, and what could not be written before. Resolves when that is done or has failed. */
  flush(): Promise<void>;
  /** A block on disk is damaged: resolves when its file is mended. */
  mend(place: Place): Promise<void>;
  /** Writes every second until `signal`, and then once more. */
  run(signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
};

/** Those of damage are in files that are set aside. */
type GapWhy = Exclude<Gap['why'], 'damaged'>;

/** In so many rows what they have in common costs little, and reading them takes milliseconds. */
export const ROWS_PER_BLOCK = 16_384;
const MAX_WAITING = 4;
const FLUSH_MS = 1000;
const RETRY_MS = 5000;
export const PATIENCE_MS = 30_000;

/** What is on disk and in memory when the store opens. */
export type StoreParts = { readonly segments: Segments; readonly blocks: Block[]; readonly touch: () => Promise<void> };

export function storeOf(options: StoreOptions, parts: StoreParts): Store {
  const { segments, blocks } = parts;
  const pen = penOf(options, parts);
  const memory = memoryOf(options, parts, pen);
  return {
    append: (flows) => flows.forEach((flow) => memory.add({ kind: 'flow', flow })),
    add: memory.add,
    lose: (lost) => memory.add({ kind: 'lost', lost }),
    places: segments.places,
    blocks,
    get bytes() {
      return blocks.reduce((sum, { tail }) => sum + tail.bytes, segments.bytes);
    },
    get segments() {
      return segments.count;
    },
    maxBytes: options.maxBytes,
    get rows() {
      return blocks.reduce((sum, { builder }) => sum + builder.count, 0) + segments.places.reduce((sum, { count }) => sum + count, 0);
    },
    get oldest() {
      const rows = blocks.find(({ builder }) => builder.count > 0)?.builder.rows();
      return segments.places[0]?.times[0] ?? (rows && timeAt(rows, 0));
    },
    gaps: memory.gaps,
    get position() {
      return lastPosition(parts);
    },
    get missed() {
      return memory.missing.total;
    },
    get missing() {
      return memory.missing.gap;
    },
    flush: pen.flush,
    mend: pen.mend,
    async run(signal) {
      while (!signal.aborted) {
        await pen.flush();
        await delay(pen.disk ? RETRY_MS : FLUSH_MS, undefined, { signal, ref: false }).catch(() => undefined);
      }
      await pen.flush();
    },
    async close() {
      await pen.flush();
      await Promise.all([segments.close(), ...blocks.map(({ tail }) => tail.close())]);
    },
  };
}

const lastPosition = ({ segments, blocks }: StoreParts): number =>
  blocks.at(-1)?.builder.position ?? segments.places.at(-1)?.positions[1] ?? 0;

type Pen = Pick<Store, 'flush' | 'mend'> & { readonly disk: Trouble['disk'] };

/** Whatever touches the disk, one after the other. */
function penOf(options: StoreOptions, { segments, blocks, touch }: StoreParts): Pen {
  let disk: Trouble['disk'];
  let last: Promise<void> = Promise.resolve();
  let next: Promise<void> | undefined; // a flush that has not begun has what comes until then
  const settle = (trouble: Trouble['disk']) => {
    const changed = disk?.message !== trouble?.message;
    disk = trouble;
    if (changed) options.report({ disk, damaged: segments.damaged });
  };
  const { directory, patienceMs = PATIENCE_MS } = options;
  const slow = `${directory} has not answered within ${patienceMs / 1000} s`;
  const watched = async (act: () => Promise<void>) => {
    const timer = setTimeout(() => settle({ kind: 'hangs', message: slow }), patienceMs).unref();
    await act().finally(() => clearTimeout(timer));
  };
  const queued = (act: () => Promise<void>): Promise<void> =>
    (last = last
      .then(() => watched(act))
      .then(
        () => settle(undefined),
        (error: unknown) => settle(troubleOf(directory, error)),
      ));
  const write = async () => {
    next = undefined;
    await writeBlocks(segments, blocks);
    await touch();
  };
  return {
    get disk() {
      return disk;
    },
    flush: () => (next ??= queued(write)),
    mend: (place) =>
      queued(async () => {
        await segments.mend(place);
        options.report({ disk, damaged: segments.damaged });
      }),
  };
}

async function writeBlocks(segments: Segments, blocks: Block[]): Promise<void> {
  for (let full = blocks[0]; full && blocks.length > 1; full = blocks[0]) {
    await segments.append(await packed(full.builder.rows(), full.block));
    blocks.shift();
    await full.tail.remove().catch(() => undefined); // what is left of it goes with the next start
  }
  const now = blocks.at(-1);
  if (!now || now.builder.count === now.written) return;
  const rows = now.builder.rows(now.written);
  await now.tail.append(rows);
  now.written += rows.count;
}

/** The rows in memory: those of blocks that wait, and of the newest one. */
function memoryOf({ directory, node, clock, rowsPerBlock = ROWS_PER_BLOCK }: StoreOptions, parts: StoreParts, pen: Pen) {
  const { segments, blocks } = parts;
  const missing = missingFlows(clock);
  const gaps = { stopped: 0, full: 0, slow: 0 };
  const tell = ({ why }: Gap) => {
    if (why !== 'damaged') gaps[why]++;
  };
  const begin = (): Block | undefined => {
    if (blocks.length > MAX_WAITING) return undefined;
    const block = 1 + (blocks.at(-1)?.block ?? segments.places.at(-1)?.block ?? 0);
    const builder = rowBuilder({ capacity: rowsPerBlock, node, after: lastPosition(parts) });
    const fresh = { block, builder, tail: tailOf(directory, block), written: 0 };
    blocks.push(fresh);
    const gap = missing.take();
    if (gap) {
      tell(gap);
      builder.add({ kind: 'gap', gap });
    }
    if (blocks.length > 1) void pen.flush();
    return fresh;
  };
  return {
    missing,
    gaps,
    add(entry: HistoryEntry): void {
      if (entry.kind === 'gap') tell(entry.gap);
      if (blocks.at(-1)?.builder.add(entry) || begin()?.builder.add(entry) || begin()?.builder.add(entry)) return;
      missing.note(entry, pen.disk?.kind === 'full' ? 'full' : 'slow');
    },
  };
}

function troubleOf(directory: string, error: unknown): NonNullable<Trouble['disk']> {
  const code = codeOf(error);
  return code === 'ENOSPC' || code === 'EDQUOT'
    ? { kind: 'full', message: `there is no room left on the file system of ${directory} (${code})` }
    : { kind: 'fails', message: `${directory} cannot be written: ${messageOf(error)}` };
}

/** Flows for which there was no room: a gap, once there is. */
function missingFlows(clock: Clock) {
  let gap: Gap | undefined;
  let total = 0;
  return {
    get total() {
      return total;
    },
    get gap() {
      return gap;
    },
    note(entry: HistoryEntry, why: 'full' | 'slow') {
      const time = entry.kind === 'flow' ? entry.flow.time : BigInt(Math.floor(clock.now())) * 1_000_000n;
      const flows = (gap?.flows ?? 0) + (entry.kind === 'flow' ? 1 : 0);
      gap = { why: gap?.why === 'full' ? 'full' : why, first: gap?.first ?? time, last: time, flows };
      if (entry.kind === 'flow') total++;
    },
    take(): Gap | undefined {
      const taken = gap;
      gap = undefined;
      return taken;
    },
  };
}
