// SPDX-License-Identifier: Apache-2.0
// What it costs to see every flow: two clusters, one with hubble.enabled and one without, in turn; and how many events a second become
// flows in one process.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseDocument } from 'yaml';
import { eventKindNames, eventLossesCodec } from '../src/datapath/schema.gen.ts';
import { CHECKOUT } from './checkout.ts';
import { startBench, VALUES } from './cluster.ts';
import type { Bench } from './cluster.ts';
import type { Effort } from './east-west.ts';
import { flowPipeline } from './flow-pipeline.ts';
import { interleave } from './interleave.ts';
import type { Variant } from './interleave.ts';
import { LoadKind } from './loader.ts';
import type { Sample } from './loader.ts';
import { pinnedMap } from './pinned-maps.ts';
import { median, ratio, ratioOfSums, sum } from './statistics.ts';
import { interval, met, number } from './table.ts';
import type { Findings } from './table.ts';

const RATE_AIM = 0.95;
const CPU_AIM = 1.1;

type Path = { readonly name: string; run(bench: Bench, kind: LoadKind, milliseconds: number): Promise<Sample> };

/** Loaders are made once for each cluster. */
function pathsIn(benches: readonly Bench[]): readonly Path[] {
  const clients = new Map(benches.map((bench) => [bench, bench.loaderIn('client')]));
  const path = (name: string, address: (bench: Bench) => string): Path => ({
    name,
    run: (bench, kind, milliseconds) => {
      const client = clients.get(bench);
      if (client === undefined) throw new RangeError('Cannot run in a cluster that has no loader');
      return client.run(kind, address(bench), milliseconds);
    },
  });
  return [
    path('pod → pod, same node', (bench) => bench.podIp('near')),
    path('pod → pod, other node', (bench) => bench.podIp('far')),
    path('pod → ClusterIP, other node', (bench) => bench.serviceIp('far')),
  ];
}

export async function flows({ rounds, milliseconds }: Effort, say: (line: string) => void): Promise<readonly Findings[]> {
  const pipeline = flowPipeline();
  say('pipeline: done');
  await using on = await startBench('stentor', 'flows');
  await using off = await startBench('stentor', 'noflows', valuesWithout());
  const paths = pathsIn([on, off]);
  const findings: Findings[] = [];
  for (const kind of ['rr', 'crr', 'udp', 'stream'] as const) {
    const lostBefore = lossesOf(on);
    const variants: Variant<Sample>[] = paths.flatMap(({ name, run }) =>
      [on, off].map((bench) => ({ name: `${bench === on ? 'on' : 'off'} ${name}`, run: () => run(bench, kind, milliseconds) })),
    );
    const results = await interleave(variants, rounds);
    findings.push(findingsOf(kind, paths, results, lossesOf(on) - lostBefore));
    say(`${LoadKind[kind]}: done`);
  }
  return [pipeline, ...findings];
}

/** The seed's values but for this one. */
function valuesWithout(): string {
  const values = parseDocument(readFileSync(VALUES, 'utf8'));
  values.setIn(['hubble', 'enabled'], false);
  const directory = join(CHECKOUT, 'build', 'bench');
  mkdirSync(directory, { recursive: true });
  const path = join(directory, 'values-without-flows.yaml');
  writeFileSync(path, String(values));
  return path;
}

function lossesOf({ cluster }: Bench): number {
  const losses = cluster.nodes.flatMap((node) => {
    using map = pinnedMap(node, 'event_losses');
    return Object.keys(eventKindNames).flatMap((kind) => {
      const key = Buffer.alloc(4);
      key.writeUInt32LE(Number(kind));
      const values = map.lookup(key) ?? Buffer.alloc(0);
      return Array.from({ length: values.length / eventLossesCodec.size }, (_, cpu) => {
        const { limited, full } = eventLossesCodec.decode(values, cpu * eventLossesCodec.size);
        return limited + full;
      });
    });
  });
  return sum(losses);
}

function findingsOf(kind: LoadKind, paths: readonly Path[], results: ReadonlyMap<string, readonly Sample[]>, lost: number): Findings {
  const scale = kind === 'stream' ? 8e-9 : 1;
  const of = (state: string, name: string) => results.get(`${state} ${name}`) ?? [];
  const compared = paths.map(({ name }) => {
    const [on, off] = [of('on', name), of('off', name)];
    const pairs = (samples: readonly Sample[]) => samples.map(({ busy, operations }) => [busy, operations] as const);
    const rates = (samples: readonly Sample[]) => samples.map(({ rate }) => rate);
    return { name, on: rates(on), off: rates(off), rate: ratio(rates(on), rates(off)), cpu: ratioOfSums(pairs(on), pairs(off)) };
  });
  const operations = sum(paths.flatMap(({ name }) => of('on', name).map((sample) => sample.operations)));
  return {
    title: `Flows: ${LoadKind[kind]}`,
    columns: ['', 'off', 'on', 'on over off [95 %]', `≥ ${RATE_AIM}`, 'CPU of one, on over off [95 %]', `≤ ${CPU_AIM}`],
    rows: compared.map(({ name, on, off, rate, cpu }) => [
      name,
      number(median(off).middle * scale),
      number(median(on).middle * scale),
      interval(rate),
      met(rate, RATE_AIM),
      interval(cpu),
      met(cpu, CPU_AIM, false),
    ]),
    notes: [
      `${number(operations)} operations with flows; ${number(lost)} events beyond their share of a second were counted and not told.`,
    ],
    charts: [
      {
        title: `${LoadKind[kind]} with flows`,
        unit: 'of without',
        aim: RATE_AIM,
        bars: compared.map(({ name, rate }) => ({ label: name, value: rate })),
      },
    ],
  };
}
