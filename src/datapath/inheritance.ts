// SPDX-License-Identifier: Apache-2.0
// Maps outlive the programs that made them, also when another version wants them otherwise: with other fields, or larger.
//
//   maps/conntrack/5a10…        this version's map, named after its definition
//   maps/conntrack/90be…        a predecessor: another definition, or the same one when it was smaller
//
//   load ─▶ copy what predecessors have ─▶ copy flows anew ─▶ swap programs, and copy what they get meanwhile ─▶ remove them
//
// While programs are swapped a packet of no known flow waits for its flow to be copied: bpf/lib/handover.h.
//
// Every step may be the last one of this process: whoever comes next finds the predecessors and copies again what is missing. A map
// whose definition is the same in both versions is the same map, and both see it while programs are swapped.

import { readdirSync, renameSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { codeOf } from '../base/errors.ts';
import { convert, piecesBetween } from '../kernel/conversion.ts';
import type { Piece } from '../kernel/conversion.ts';
import type { Layout } from '../kernel/layout.ts';
import { BpfMap, MapType } from '../kernel/map.ts';
import { maps as schemas } from './schema.gen.ts';

/** Where a map of this version is pinned, below the directory of all maps. */
export function pinNameOf(map: string): string {
  return `${map}/${definitionOf(map)}`;
}

/** Where this version's map is while a larger one is being made in its place; the programs that run still use it. */
export function retiredPinOf(map: string): string {
  return `${pinNameOf(map)}_small`;
}

function definitionOf(map: string): string {
  const schema = Object.values(schemas).find(({ name }) => name === map);
  if (!schema) throw new RangeError(`Cannot name the pin of map ${map}: the schema does not have it`);
  return schema.hash;
}

/** Pins of earlier maps of this name. Before pins were named after single maps, a directory of 12 hex digits held all maps of a version. */
export function predecessorsOf(directory: string, map: string): readonly string[] {
  const own = namesIn(join(directory, map)).filter((name) => name !== definitionOf(map));
  const former = namesIn(directory).filter((name) => /^[0-9a-f]{12}$/.test(name) && namesIn(join(directory, name)).includes(map));
  return [...own.map((name) => join(directory, map, name)), ...former.map((name) => join(directory, name, map))];
}

/** Makes this version's map a predecessor, so that the next load makes a larger one. */
export function retire(directory: string, map: string): void {
  renameSync(join(directory, pinNameOf(map)), join(directory, retiredPinOf(map)));
}

/** Removes what nobody looks at any more, and directories that are empty then. */
export function forgetPredecessors(directory: string): void {
  for (const { name } of Object.values(schemas)) for (const path of predecessorsOf(directory, name)) rmSync(path, { force: true });
  for (const name of namesIn(directory)) removeIfEmpty(join(directory, name));
}

function removeIfEmpty(path: string): void {
  try {
    rmdirSync(path);
  } catch (error) {
    if (codeOf(error) !== 'ENOTEMPTY' && codeOf(error) !== 'ENOTDIR') throw error;
  }
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return [];
    throw error;
  }
}

const inheritable: ReadonlySet<number> = new Set([MapType.hash, MapType.lruHash, MapType.lpmTrie]);
const BATCH = 2048;
/** So long a copy goes on before others have their turn, who may take long. */
const SLICE_MS = 10;

/**
 * Entries of the map at `path` that `to` does not have, converted, and those that are newer there. How many were written. Throws KernelError
 * when `to` is full. `since`, in seconds of CLOCK_MONOTONIC: of entries that say when they were last seen only those that have been since
 * then. What is older was copied before, and if it is missing somebody has removed it: a flow that ended must not come back in the way
 * of one that has its ports.
 */
export async function inherit(path: string, to: BpfMap, since = 0): Promise<number> {
  let added = 0;
  let began = performance.now();
  const write = (batch: Batch, times: Times | undefined) =>
    times ? addNewer(to, batch, times) : to.addBatch(batch.keys, batch.values, batch.count);
  for (const count of copied(path, { to, since, write })) {
    added += count;
    if (performance.now() - began < SLICE_MS) continue;
    await turn();
    began = performance.now();
  }
  return added;
}

/** The same entries, at once and in place of what `to` has of the same keys. Throws KernelError when `to` is full. */
export function overwrite(path: string, to: BpfMap, since = 0): void {
  const write = ({ keys, values, count }: Batch) => (to.updateBatch(keys, values, count), count);
  for (const _ of copied(path, { to, since, write }));
}

/** Packed entries. */
type Batch = { readonly keys: Buffer; readonly values: Buffer; readonly count: number };

/** Where values say when a flow began, in nanoseconds (0: not known), and when it was last seen, in seconds. */
type Times = { readonly opened: number; readonly lastSeen: number };

/** A key may be another flow's by now: the one that began later has it, and of one and the same what was seen later. */
function addNewer(to: BpfMap, { keys, values, count }: Batch, times: Times): number {
  const present = Buffer.alloc(to.valueBytes);
  let written = 0;
  for (let i = 0; i < count; i++) {
    const key = keys.subarray(i * to.keySize, (i + 1) * to.keySize);
    const value = values.subarray(i * to.valueBytes, (i + 1) * to.valueBytes);
    if (to.lookupInto(key, present) && !isNewer(value, present, times)) continue;
    to.update(key, value);
    written++;
  }
  return written;
}

function isNewer(value: Buffer, than: Buffer, { opened, lastSeen }: Times): boolean {
  const [began, before] = [value.readBigUInt64LE(opened), than.readBigUInt64LE(opened)];
  return began === before ? value.readUInt32LE(lastSeen) > than.readUInt32LE(lastSeen) : began > before;
}

type Copy = {
  readonly to: BpfMap;
  readonly since: number;
  /** `times`: of values in `to`, where they have both. */
  readonly write: (batch: Batch, times: Times | undefined) => number;
};

/** Yields what `write` says of each batch, and 0 for each chunk that was read. */
function* copied(path: string, { to, since, write }: Copy): Generator<number> {
  using from = BpfMap.openPinned(path);
  const plan = inheritable.has(from.type) && from.type === to.type ? planBetween(from, to) : undefined;
  if (!plan) return;
  const keys = Buffer.alloc(BATCH * to.keySize);
  const values = Buffer.alloc(BATCH * to.valueBytes);
  let filled = 0;
  for (const chunk of from.chunks()) {
    for (let i = 0; i < chunk.count; i++) {
      const [key, value] = [i * from.keySize, i * from.valueBytes];
      if (plan.lastSeen !== undefined && chunk.values.readUInt32LE(value + plan.lastSeen) < since) continue;
      convert(plan.key, { bytes: chunk.keys, at: key }, { bytes: keys, at: filled * to.keySize });
      convert(plan.value, { bytes: chunk.values, at: value }, { bytes: values, at: filled * to.valueBytes });
      if (++filled < BATCH) continue;
      yield write({ keys, values, count: filled }, plan.times);
      keys.fill(0);
      values.fill(0);
      filled = 0;
    }
    yield 0;
  }
  if (filled > 0) yield write({ keys, values, count: filled }, plan.times);
}

/** `lastSeen`: where entries of the old map say in seconds when they were last seen. `times`: of the new one. */
type Plan = {
  readonly key: readonly Piece[];
  readonly value: readonly Piece[];
  readonly lastSeen: number | undefined;
  readonly times: Times | undefined;
};

/** Undefined when nothing of the keys means the same. */
function planBetween(from: BpfMap, to: BpfMap): Plan | undefined {
  const [old, now] = [from.layouts(), to.layouts()];
  if (!old || !now) return undefined;
  const [opened, lastSeen] = [offsetOf(now.value, 'opened', 8), offsetOf(now.value, 'last_seen', 4)];
  const plan = {
    key: piecesBetween(old.key, now.key),
    value: piecesBetween(old.value, now.value),
    lastSeen: offsetOf(old.value, 'last_seen', 4),
    times: opened === undefined || lastSeen === undefined ? undefined : { opened, lastSeen },
  };
  return plan.key.length > 0 ? plan : undefined;
}

const offsetOf = (layout: Layout, field: string, size: number): number | undefined =>
  layout.kind === 'struct' ? layout.fields.find(({ name, layout: of }) => name === field && of.size === size)?.offset : undefined;
