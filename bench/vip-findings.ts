// SPDX-License-Identifier: Apache-2.0
// The tables of north-south: each way in against a bare pair and the direct way, and who is ahead of whom. Pure.
import { LoadKind } from './loader.ts';
import type { Sample } from './loader.ts';
import type { VipKind, VipPath, VipResults } from './north-south.ts';
import { median, ratio, ratioOfSums, sum } from './statistics.ts';
import type { Interval } from './statistics.ts';
import { interval, met, number } from './table.ts';
import type { Bar, Findings } from './table.ts';

const BARE = 'bare veth pair';
const DIRECT = 'direct';
const CONNECTIONS_AIM = 0.7;
/** Of the CPU that the direct way takes: 12.5 µs a datagram where that takes 11.2. */
const DATAGRAM_AIM = 12.5 / 11.2;

type Measured = { readonly title: string; readonly paths: readonly VipPath[]; readonly results: VipResults };

/** Packets that an operation counts for. */
const packetsOf = (kind: VipKind): number => (kind === 'udp' ? 2 : 1);
const isDatagram = (kind: VipKind): boolean => kind === 'udp' || kind === 'burst';
const isOurs = (name: string): boolean => /SNAT|DSR/.test(name);

export function pathFindings(kind: VipKind, { title, paths, results }: Measured): Findings {
  const found = results.get(kind) ?? new Map<string, readonly Sample[]>();
  const bars = paths.map(({ name }): Bar => ({ label: name, value: median(ratesOf(found, name)), other: !isOurs(name) }));
  const cpu = isDatagram(kind) ? 'CPU µs a packet' : 'CPU µs each';
  const over = ['over bare veth [95 %]', 'over direct [95 %]', 'CPU over direct [95 %]'];
  return {
    title: `${title}: ${LoadKind[kind]}`,
    columns: ['', 'per second', cpu, 'p50 µs', 'p99 µs', ...over, 'aim', 'failed'],
    rows: paths.map(({ name }) => rowOf(kind, name, found)),
    notes: [],
    charts: [{ title: `${title}: ${LoadKind[kind]}`, unit: 'per second', bars }],
  };
}

type ByPath = ReadonlyMap<string, readonly Sample[]>;

const ratesOf = (found: ByPath, name: string): readonly number[] => (found.get(name) ?? []).map(({ rate }) => rate);

function rowOf(kind: VipKind, name: string, found: ByPath): readonly string[] {
  const samples = found.get(name) ?? [];
  const toBare = ratio(ratesOf(found, name), ratesOf(found, BARE));
  const cpu = ratioOfSums(cpuOf(samples), cpuOf(found.get(DIRECT) ?? []));
  const operations = sum(samples.map((sample) => sample.operations));
  return [
    name,
    number(median(ratesOf(found, name)).middle),
    number(((sum(samples.map(({ busy }) => busy)) / operations) * 1e6) / packetsOf(kind)),
    number(median(samples.map(({ p50 }) => p50)).middle),
    number(median(samples.map(({ p99 }) => p99)).middle),
    found.has(BARE) ? interval(toBare) : '',
    name === DIRECT ? '1' : interval(ratio(ratesOf(found, name), ratesOf(found, DIRECT))),
    name === DIRECT ? '1' : interval(cpu),
    isOurs(name) ? verdict(kind, found.has(BARE) ? toBare : undefined, cpu) : '',
    `${sum(samples.map(({ failed }) => failed))}`,
  ];
}

function verdict(kind: VipKind, toBare: Interval | undefined, cpu: Interval): string {
  if (kind === 'crr' && toBare !== undefined) return `≥ ${CONNECTIONS_AIM} of bare: ${met(toBare, CONNECTIONS_AIM)}`;
  return isDatagram(kind) ? `CPU ≤ ${DATAGRAM_AIM.toFixed(3)} of direct: ${met(cpu, DATAGRAM_AIM, false)}` : '';
}

const cpuOf = (samples: readonly Sample[]): readonly (readonly [number, number])[] =>
  samples.map(({ busy, operations }) => [busy, operations]);

/** Of each pair the rate of the first over that of the second, round by round. */
export function aheadFindings(results: VipResults, pairs: readonly (readonly [string, string])[]): Findings {
  const kinds = [...results.keys()];
  const rows = pairs.map(([one, other]) => [
    `${one} over ${other}`,
    ...kinds.map((kind) => {
      const rates = results.get(kind) ?? new Map<string, readonly Sample[]>();
      const found = ratio(ratesOf(rates, one), ratesOf(rates, other));
      return `${interval(found)} ${found.low > 1 ? 'ahead' : found.high < 1 ? '**behind**' : 'unclear'}`;
    }),
  ]);
  return { title: 'Who is ahead', columns: ['', ...kinds.map((kind) => LoadKind[kind])], rows, notes: [], charts: [] };
}
