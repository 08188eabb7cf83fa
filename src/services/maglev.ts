// SPDX-License-Identifier: Apache-2.0
// Maglev tables (Eisenbud et al., NSDI 2016, section 3.4): each backend has an order of its own in which it wants the entries of the
// table; in turn each takes the first that is free. All nodes that know the same backends have the same table, whatever was before,
// and a backend that comes or goes moves little but its own share.

import type { Numbered } from '../base/assign.ts';
import { numbersHash, textHash } from '../base/hash.ts';
import { derive, from } from '../base/derive.ts';
import type { Derivation } from '../base/derive.ts';
import { sameRow } from '../base/same.ts';
import { table } from '../base/table.ts';
import type { Table } from '../base/table.ts';
import { mapEntry, mapKinds } from '../datapath/maps.ts';
import type { MapEntry } from '../datapath/maps.ts';
import { lbMaglevPartCodec } from '../datapath/schema.gen.ts';
import type { LbMaglev, LbMaglevKey, LbMaglevPart, LbMaglevPartKey } from '../datapath/schema.gen.ts';
import type { BalanceOptions } from './choice.ts';
import { frontendKey } from './frontends.ts';
import type { BackendSet, SetKey } from './frontends.ts';
import type { SlotTables } from './entries.ts';

/** A table as the kernel has it; `parts` are of one size, zeroes behind the end of the last. */
export type MaglevRow = {
  readonly service: number;
  readonly generation: number;
  readonly size: number;
  readonly parts: readonly Uint8Array[];
};

/** Primes below powers of two, each four times the one before: another size is another table, so sizes change seldom. */
const SIZES = [1021, 4093, 16_381, 65_521, 131_071] as const;

/** What may be said to be the largest table. */
export const TABLE_SIZES: readonly number[] = [251, 509, 1021, 2039, 4093, 8191, 16_381, 32_749, 65_521, 131_071];

/** More than 100 entries for each backend make shares that differ by at most 1 %. `largest` holds unless some backend would get none. */
export function maglevSize(backends: number, largest: number): number {
  const wanted = SIZES.find((size) => size > 100 * backends) ?? 131_071;
  return wanted <= largest ? wanted : (TABLE_SIZES.find((size) => size >= Math.max(largest, backends)) ?? 131_071);
}

/** `name` says where it is in the table, on every node; `id`, above 0, what stands there, on this one. */
export type Candidate = { readonly name: string; readonly id: number; readonly weight?: number };

/** Ids of the backends by entry. `candidates`: in the same order on every node. Weights are relative; one of 0 gets nothing. */
export function maglevTable(candidates: readonly Candidate[], size: number, seed: number): Uint32Array {
  const entries = new Uint32Array(size);
  const heaviest = Math.max(0, ...candidates.map(({ weight = 1 }) => weight));
  if (heaviest === 0) return entries;
  const turns = candidates.map(({ name, id, weight = 1 }) => ({
    id,
    next: textHash(name, seed) % size,
    skip: (textHash(name, ~seed) % (size - 1)) + 1,
    share: weight / heaviest,
    due: 0,
  }));
  for (let free = size; free > 0;)
    for (const turn of turns) {
      turn.due += turn.share;
      if (turn.due < 1 || free === 0) continue;
      turn.due -= 1;
      let { next } = turn;
      while (entries[next] !== 0) {
        next += turn.skip;
        if (next >= size) next -= size;
      }
      entries[next] = turn.id;
      turn.next = next;
      free -= 1;
    }
  return entries;
}

export type MaglevTables = {
  readonly maglev: Table<string, MaglevRow>;
  readonly lbMaglevParts: Table<string, MapEntry<LbMaglevPartKey, LbMaglevPart>>;
  readonly lbMaglev: Table<string, MapEntry<LbMaglevKey, LbMaglev>>;
  readonly derivations: readonly Derivation[];
};

/** sets ─▶ maglev ─▶ lb_maglev_parts, lb_maglev */
export function maglevTables(tables: SlotTables, options: BalanceOptions): MaglevTables {
  const same = { same: sameRow };
  const maglev = table<string, MaglevRow>('maglev', same);
  const lbMaglevParts = table<string, MapEntry<LbMaglevPartKey, LbMaglevPart>>('lb_maglev_parts', same);
  const lbMaglev = table<string, MapEntry<LbMaglevKey, LbMaglev>>('lb_maglev', same);
  const derivations = [
    derive({
      name: 'maglev',
      inputs: [from(tables.sets), from(tables.setIds)],
      out: maglev.writer('maglev'),
      compute: (key) => maglevFor(key, tables, options),
    }),
    derive({
      name: 'lb_maglev_parts',
      inputs: [from(maglev)],
      out: lbMaglevParts.writer('lb_maglev_parts'),
      compute: (key) => maglevPartEntries(maglev.get(key)),
    }),
    derive({
      name: 'lb_maglev',
      inputs: [from(maglev)],
      out: lbMaglev.writer('lb_maglev'),
      compute: (key) => maglevEntries(maglev.get(key)),
    }),
  ];
  return { maglev, lbMaglevParts, lbMaglev, derivations };
}

/** The table of a set that is chosen from by client; none where there is no choice. */
function* maglevFor(
  key: SetKey,
  { sets, setIds, backendIds }: SlotTables,
  { tableSize, seed }: BalanceOptions,
): Iterable<readonly [SetKey, MaglevRow]> {
  const set = sets.get(key);
  const service = setIds.get(key)?.id;
  if (!set?.maglev || service === undefined) return;
  const candidates = candidatesOf(set, backendIds);
  if (candidates.length < 2) return;
  const size = maglevSize(candidates.length, tableSize);
  const entries = maglevTable(candidates, size, seed);
  yield [key, { service, generation: numbersHash(entries), size, parts: partsOf(entries) }];
}

function candidatesOf({ backends }: BackendSet, ids: Table<string, Numbered>): readonly Candidate[] {
  return backends.flatMap((backend) => {
    const name = frontendKey(backend);
    const id = ids.get(name)?.id;
    return id === undefined ? [] : { name, id };
  });
}

function partsOf(entries: Uint32Array): readonly Uint8Array[] {
  const { size } = lbMaglevPartCodec;
  const bytes = new Uint8Array(Math.ceil(entries.byteLength / size) * size);
  new Uint32Array(bytes.buffer).set(entries);
  return Array.from({ length: bytes.length / size }, (_, part) => bytes.subarray(part * size, (part + 1) * size));
}

/** The ids that parts hold, in their order. */
export function idsIn(parts: Iterable<Uint8Array>, size: number): readonly number[] {
  const ids: number[] = [];
  for (const part of parts) {
    const view = new DataView(part.buffer, part.byteOffset, part.byteLength);
    for (let at = 0; at < part.byteLength && ids.length < size; at += 4) ids.push(view.getUint32(at, true));
  }
  return ids;
}

function* maglevEntries(row: MaglevRow | undefined): Iterable<readonly [string, MapEntry<LbMaglevKey, LbMaglev>]> {
  if (row) yield mapEntry(mapKinds.lbMaglev, { service: row.service }, { generation: row.generation, size: row.size });
}

function* maglevPartEntries(row: MaglevRow | undefined): Iterable<readonly [string, MapEntry<LbMaglevPartKey, LbMaglevPart>]> {
  if (!row) return;
  const { service, generation } = row;
  for (const [part, backends] of row.parts.entries()) yield mapEntry(mapKinds.lbMaglevParts, { service, generation, part }, { backends });
}
