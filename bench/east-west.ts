// SPDX-License-Identifier: Apache-2.0
// Pod to pod and pod to service, against a bare veth pair.
import { startBareVeth } from './bare-veth.ts';
import { startBench } from './cluster.ts';
import type { Bench } from './cluster.ts';
import { interleave } from './interleave.ts';
import type { Variant } from './interleave.ts';
import { LoadKind } from './loader.ts';
import type { Loader, Sample } from './loader.ts';
import { programCosts } from './program-cost.ts';
import { median, ratio, sum } from './statistics.ts';
import { interval, met, number } from './table.ts';
import type { Bars, Findings } from './table.ts';

export type Effort = { readonly rounds: number; readonly milliseconds: number };

type Path = {
  readonly name: string;
  readonly from: Loader;
  readonly to: string;
  /** What it is compared with beside the bare pair. */ readonly direct?: string;
};

const BARE = 'bare veth pair';
const AIMS: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  rr: { 'pod → pod, same node': 0.9, 'pod → pod, other node': 0.68 },
  crr: { 'pod → pod, same node': 0.8, 'pod → pod, other node': 0.65 },
};
const DIRECT_AIM = 0.98;

export async function eastWest({ rounds, milliseconds }: Effort, say: (line: string) => void): Promise<readonly Findings[]> {
  using bare = await startBareVeth();
  await using bench = await startBench('stentor');
  const paths: readonly Path[] = [{ name: BARE, from: bare.client, to: bare.address }, ...pathsOf(bench)];
  const findings: Findings[] = [];
  for (const kind of ['rr', 'crr', 'udp', 'stream'] as const) {
    const title = LoadKind[kind];
    const variants: Variant<Sample>[] = paths.map(({ name, from, to }) => ({ name, run: () => from.run(kind, to, milliseconds) }));
    const results = await interleave(variants, rounds);
    findings.push(findingsOf(kind, title, paths, results));
    say(`${title}: done`);
  }
  findings.push(await costs(bench, paths.slice(1)));
  return findings;
}

function pathsOf(bench: Bench): readonly Path[] {
  const [client, bypass] = [bench.loaderIn('client'), bench.loaderIn('bypass')];
  const same = { name: 'pod → pod, same node', from: client, to: bench.podIp('near') };
  const other = { name: 'pod → pod, other node', from: client, to: bench.podIp('far') };
  return [
    same,
    { name: 'pod → ClusterIP (socket), same node', from: client, to: bench.serviceIp('near'), direct: same.name },
    { name: 'pod → ClusterIP (per packet), same node', from: bypass, to: bench.serviceIp('near'), direct: same.name },
    other,
    { name: 'pod → ClusterIP (socket), other node', from: client, to: bench.serviceIp('far'), direct: other.name },
    { name: 'pod → ClusterIP (per packet), other node', from: bypass, to: bench.serviceIp('far'), direct: other.name },
  ];
}

function findingsOf(kind: LoadKind, title: string, paths: readonly Path[], results: ReadonlyMap<string, readonly Sample[]>): Findings {
  const rates = (name: string) => (results.get(name) ?? []).map(({ rate }) => rate);
  const scale = kind === 'stream' ? 8e-9 : 1;
  const bars: Bars['bars'][number][] = [];
  const rows = paths.map(({ name, direct }) => {
    const samples = results.get(name) ?? [];
    const toBare = ratio(rates(name), rates(BARE));
    const toDirect = direct === undefined ? undefined : ratio(rates(name), rates(direct));
    bars.push({ label: name, value: toBare, other: name === BARE });
    const aim = AIMS[kind]?.[name];
    const verdict =
      aim !== undefined
        ? `≥ ${aim}: ${met(toBare, aim)}`
        : toDirect && name.includes('socket')
          ? `≥ ${DIRECT_AIM}: ${met(toDirect, DIRECT_AIM)}`
          : '';
    return [
      name,
      number(median(rates(name)).middle * scale),
      number(
        ((sum(samples.map(({ busy }) => busy)) / sum(samples.map(({ operations }) => operations))) * 1e6) /
          (kind === 'stream' ? 1 / 65536 : 1),
      ),
      number(median(samples.map(({ p50 }) => p50)).middle),
      number(median(samples.map(({ p99 }) => p99)).middle),
      name === BARE ? '1' : interval(toBare),
      toDirect ? interval(toDirect) : '',
      verdict,
      `${sum(samples.map(({ failed }) => failed))}`,
    ];
  });
  const unit = kind === 'stream' ? 'Gbit/s' : 'per second';
  const cpu = kind === 'stream' ? 'CPU µs per 64 KiB' : 'CPU µs each';
  return {
    title: `East-west: ${title}`,
    columns: ['', unit, cpu, 'p50 µs', 'p99 µs', 'over bare veth [95 %]', 'over pod → pod [95 %]', 'aim', 'failed'],
    rows,
    notes: [`Noise: the bare pair's own quartiles are ${quartiles(rates(BARE))} of its median.`],
    charts: [{ title, unit: 'of a bare veth pair', bars }],
  };
}

function quartiles(values: readonly number[]): string {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = median(values).middle;
  return [0.25, 0.75].map((part) => ((sorted[Math.floor(sorted.length * part)] ?? 0) / middle).toFixed(2)).join(' and ');
}

/** Where the time goes: one run of each kind on each path, under the kernel's program counters. */
async function costs(bench: Bench, paths: readonly Path[]): Promise<Findings> {
  const pids = bench.cluster.nodes.map(({ name }) => bench.agentPid(name));
  const rows: string[][] = [];
  for (const kind of ['rr', 'crr'] as const) {
    for (const { name, from, to } of paths) {
      let operations = 1;
      const programs = await programCosts(pids, async () => ({ operations } = await from.run(kind, to, 200)));
      const busy = programs.filter(({ runs }) => runs > operations / 10);
      rows.push([
        LoadKind[kind],
        name,
        busy.map((one) => `${one.name} ${(one.runs / operations).toFixed(1)} × ${one.nanoseconds.toFixed(0)}`).join(', '),
      ]);
    }
  }
  return {
    title: 'East-west: programs, runs for each operation × nanoseconds of a run',
    columns: ['', 'path', 'programs'],
    rows,
    notes: [
      'The counters themselves add some 30 ns to each run. Redirect targets and conntrack creation are inside the program that does them.',
    ],
    charts: [],
  };
}
