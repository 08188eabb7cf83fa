// SPDX-License-Identifier: Apache-2.0
// Maglev tables in words: who has which share of one, or all its entries.

import { mapKinds } from '../datapath/maps.ts';
import type { MapEntry } from '../datapath/maps.ts';
import type { LbMaglev, LbMaglevKey, LbMaglevPart, LbMaglevPartKey } from '../datapath/schema.gen.ts';
import { idsIn } from '../services/maglev.ts';

export type MaglevMaps = {
  readonly tables: Iterable<MapEntry<LbMaglevKey, LbMaglev>>;
  /** Undefined: there is none. */
  readonly part: (key: LbMaglevPartKey) => LbMaglevPart | undefined;
};

export type MaglevTable = {
  readonly service: number;
  readonly generation: number;
  readonly size: number;
  readonly backends: readonly number[];
};

/** By service id. A table that lacks a part has fewer backends than its size. */
export function maglevTables({ tables, part }: MaglevMaps): readonly MaglevTable[] {
  const found = Array.from(tables, ({ key: { service }, value: { generation, size } }) => {
    const parts: Uint8Array[] = [];
    for (let number = 0, next = part({ service, generation, part: 0 }); next; next = part({ service, generation, part: ++number }))
      parts.push(next.backends);
    return { service, generation, size, backends: idsIn(parts, size) };
  });
  return found.sort((a, b) => a.service - b.service);
}

/** What of the table is whose, by backend id: 'id (share)'. */
export function sharesText({ backends, size }: MaglevTable): string {
  const counts = new Map<number, number>();
  for (const id of backends) counts.set(id, (counts.get(id) ?? 0) + 1);
  if (backends.length < size) return `${size - backends.length} of ${size} entries are missing`;
  return [...counts]
    .sort(([a], [b]) => a - b)
    .map(([id, count]) => `${id} (${((count * 100) / size).toFixed(1)} %)`)
    .join(', ');
}

/** A function that finds a part among those that the map holds. */
export function partsBy(parts: Iterable<MapEntry<LbMaglevPartKey, LbMaglevPart>>): MaglevMaps['part'] {
  const byKey = new Map(Array.from(parts, ({ key, value }) => [mapKinds.lbMaglevParts.text(key), value]));
  return (key) => byKey.get(mapKinds.lbMaglevParts.text(key));
}
