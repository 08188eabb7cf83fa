// SPDX-License-Identifier: Apache-2.0
// Maglev tables against what their paper (Eisenbud et al., NSDI 2016) says of its own: how even, how steady, how long to build.
import { maglevSize, maglevTable } from '../src/services/maglev.ts';
import type { Candidate } from '../src/services/maglev.ts';
import { lbMaglevCodec, lbMaglevKeyCodec, lbMaglevPartCodec, lbMaglevPartKeyCodec } from '../src/datapath/schema.gen.ts';
import { median } from './statistics.ts';
import { number } from './table.ts';
import type { Findings } from './table.ts';

const SEED = 7;
const BUILDS = 9;
/** Of a backend that goes; all of them would take minutes. */
const REMOVALS = 12;
/** Bytes that the kernel has around key and value of a hash element. */
const ELEMENT = 56;

const candidates = (count: number): readonly Candidate[] =>
  Array.from({ length: count }, (_, i) => ({ name: `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}:8080/TCP`, id: i + 1 }));

export function maglev(): Promise<readonly Findings[]> {
  const sizes = [2, 3, 10, 40, 163, 655].map((backends) => [backends, maglevSize(backends, 131_071)] as const);
  return Promise.resolve([evenAndSteady(sizes), buildTimes(), memory()]);
}

function evenAndSteady(sizes: readonly (readonly [backends: number, size: number])[]): Findings {
  const rows = sizes.map(([backends, size]) => {
    const all = candidates(backends);
    const whole = maglevTable(all, size, SEED);
    const counts = new Uint32Array(backends);
    for (const id of whole) counts[id - 1] = (counts[id - 1] ?? 0) + 1;
    const uneven = (Math.max(...counts) - Math.min(...counts)) / (size / backends);
    const step = Math.ceil(backends / REMOVALS);
    const moved = all
      .filter((_, i) => i % step === 0)
      .map((gone) =>
        changed(
          whole,
          all.filter((one) => one !== gone),
          gone.id,
        ),
      );
    return [`${backends}`, `${size}`, percent(uneven), percent(median(moved).middle), percent(1 / backends)];
  });
  return {
    title: 'How even, and what moves when one backend goes (the paper: at most 1 % uneven with 100 entries for each backend)',
    columns: [
      'backends',
      'entries',
      'fullest − emptiest, of the mean',
      'entries of others that move, of all',
      'its own share, which has to move',
    ],
    rows,
    charts: [],
    notes: [],
  };
}

/** The share of entries whose backend stays and that have another one afterwards. */
function changed(before: Uint32Array, left: readonly Candidate[], gone: number): number {
  const after = maglevTable(left, before.length, SEED);
  return before.filter((id, i) => id !== gone && after[i] !== id).length / before.length;
}

function buildTimes(): Findings {
  const cases = [
    [3, 1021, '–'],
    [10, 1021, '–'],
    [163, 16_381, '–'],
    [1000, 65_537, '1.8 ms'],
    [1000, 655_373, '22.9 ms'],
  ] as const;
  const rows = cases.map(([backends, size, published]) => {
    const all = candidates(backends);
    const times = Array.from({ length: BUILDS }, () => {
      const started = performance.now();
      maglevTable(all, size, SEED);
      return performance.now() - started;
    });
    return [`${backends}`, `${size}`, `${number(median(times).middle)} ms`, published];
  });
  return { title: 'Time to build a table', columns: ['backends', 'entries', 'ours', 'published'], rows, charts: [], notes: [] };
}

function memory(): Findings {
  const part = lbMaglevPartKeyCodec.size + lbMaglevPartCodec.size + ELEMENT;
  const head = lbMaglevKeyCodec.size + lbMaglevCodec.size + ELEMENT;
  const rows = [
    [100, 3],
    [1_000, 10],
    [10_000, 10],
  ].map(([services = 0, backends = 0]) => {
    const parts = Math.ceil(maglevSize(backends, 131_071) / 1024);
    const kib = (services * (parts * part + head)) / 1024;
    return [`${services} × ${backends}`, `${number(kib)} KiB`, `${number(2 * kib)} KiB`];
  });
  return { title: 'Memory of the kernel', columns: ['services × backends', 'one family', 'both'], rows, charts: [], notes: [] };
}

function percent(share: number): string {
  return `${(share * 100).toFixed(2)} %`;
}
