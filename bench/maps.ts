// SPDX-License-Identifier: Apache-2.0
// Kernel memory of a small node's maps.
import { startBench } from './cluster.ts';
import { pinnedMaps } from './pinned-maps.ts';
import { sum } from './statistics.ts';
import type { Findings } from './table.ts';

export async function maps(): Promise<readonly Findings[]> {
  await using bench = await startBench('stentor');
  const node = bench.cluster.nodes[0];
  if (node === undefined) return [];
  const found = pinnedMaps(node).map((map) => ({ map, bytes: map.info().memoryBytes }));
  const total = sum(found.map(({ bytes }) => bytes)) / 1e6;
  const rows = found
    .toSorted((a, b) => b.bytes - a.bytes)
    .map(({ map, bytes }) => [
      map.name,
      (bytes / 1e6).toFixed(2),
      map.maxEntries.toLocaleString('en-US'),
      map.keySize > 0 ? `${map.count()}` : '–',
    ]);
  const bars = found
    .filter(({ bytes }) => bytes > 1e5)
    .map(({ map, bytes }) => ({ label: map.name, value: { middle: bytes / 1e6, low: bytes / 1e6, high: bytes / 1e6 } }));
  return [
    {
      title: 'Maps of a node with three pods',
      columns: ['map', 'MB', 'limit', 'entries'],
      rows: [['**all**', total.toFixed(1), '', ''], ...rows],
      notes: [`As the kernel counts them (memlock in fdinfo). Aim: ≤ 40 MB: ${total <= 40 ? 'met' : '**missed**'}.`],
      charts: [{ title: 'BPF maps of a node', unit: 'MB', bars }],
    },
  ];
}
