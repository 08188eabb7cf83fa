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

/** Entries of the map at `path` that `to` does not have, converted. How many there were. Throws KernelError when `to` is full. */
export async function inherit(path: string, to: BpfMap): Promise<number> {
  let added = 0;
  for (const count of copied(path, to, (keys, values, filled) => to.addBatch(keys, values, filled))) {
    added += count;
    await turn();
  }
  return added;
}

/** All entries of the map at `path`, converted, at once and in place of what `to` has of the same keys. Throws KernelError when `to` is full. */
export function overwrite(path: string, to: BpfMap): void {
  const write: Write = (keys, values, filled) => (to.updateBatch(keys, values, filled), filled);
  for (const _ of copied(path, to, write));
}

type Write = (keys: Buffer, values: Buffer, filled: number) => number;

/** Yields what `write` says of each batch. */
function* copied(path: string, to: BpfMap, write: Write): Generator<number> {
  using from = BpfMap.openPinned(path);
  const plan = inheritable.has(from.type) && from.type === to.type ? planBetween(from, to) : undefined;
  if (!plan) return;
  const keys = Buffer.alloc(BATCH * to.keySize);
  const values = Buffer.alloc(BATCH * to.valueBytes);
  let filled = 0;
  for (const [key, value] of from.entries()) {
    convert(plan.key, key, keys.subarray(filled * to.keySize, (filled + 1) * to.keySize));
    convert(plan.value, value, values.subarray(filled * to.valueBytes, (filled + 1) * to.valueBytes));
    if (++filled < BATCH) continue;
    yield write(keys, values, filled);
    keys.fill(0);
    values.fill(0);
    filled = 0;
  }
  if (filled > 0) yield write(keys, values, filled);
}

type Plan = { readonly key: readonly Piece[]; readonly value: readonly Piece[] };

/** Undefined when nothing of the keys means the same. */
function planBetween(from: BpfMap, to: BpfMap): Plan | undefined {
  const [old, now] = [from.layouts(), to.layouts()];
  if (!old || !now) return undefined;
  const plan = { key: piecesBetween(old.key, now.key), value: piecesBetween(old.value, now.value) };
  return plan.key.length > 0 ? plan : undefined;
}
