// SPDX-License-Identifier: Apache-2.0
// The agent itself: how soon it is there, how soon it has programmed a large cluster, and what it takes meanwhile.
import { setImmediate as turn, setTimeout as delay } from 'node:timers/promises';
import { ip } from '../src/base/ip.ts';
import { lbFrontendCodec } from '../src/datapath/schema.gen.ts';
import type { BpfMap } from '../src/kernel/map.ts';
import type { SandboxNode } from '../sandbox/node.ts';
import { until } from '../sandbox/until.ts';
import { startBench } from './cluster.ts';
import type { Bench } from './cluster.ts';
import { cpuOf, forget, LoneAgent, residentOf } from './lone-agent.ts';
import type { LoopDelay } from './lone-agent.ts';
import { createMany, manyServices, setReady } from './many-services.ts';
import { pinnedMap, pinnedMaps } from './pinned-maps.ts';
import { median, quantile, sum } from './statistics.ts';
import { number } from './table.ts';
import type { Findings } from './table.ts';

type Size = {
  readonly services: number;
  readonly endpoints: number;
  readonly programmedMs?: number;
  readonly rssMiB?: number;
  readonly type?: 'NodePort';
};

/** Aims: milliseconds until a cold agent has programmed everything, MiB when it has settled. */
const SIZES: readonly Size[] = [
  { services: 0, endpoints: 0, rssMiB: 110 },
  { services: 1_100, endpoints: 3, rssMiB: 130 },
  { services: 5_000, endpoints: 3, programmedMs: 2_000, rssMiB: 180 },
  { services: 10_000, endpoints: 10, programmedMs: 5_000, rssMiB: 350 },
  { services: 1_100, endpoints: 3, type: 'NodePort' },
  { services: 10_000, endpoints: 10, type: 'NodePort' },
];

const CHANGED_AT = 5_000;
const CHANGES = 200;
const STARTS = 3;
const IDLE_SECONDS = 15; // the clock of /proc/PID/stat has steps of 10 ms

type Measured = {
  readonly size: Size;
  readonly healthy: readonly number[];
  readonly programmed: readonly number[];
  readonly warm: number;
  readonly exits: readonly number[];
  readonly rss: number;
  readonly idle: number;
  readonly loop: LoopDelay;
  readonly maps: number;
  readonly changes: readonly number[];
};

export async function agent(say: (line: string) => void): Promise<readonly Findings[]> {
  const measured: Measured[] = [];
  for (const size of SIZES) {
    await using bench = await startBench('nobody'); // a new one each time: endpoints differ
    const started = performance.now();
    createMany(bench.cluster.store, manyServices(0, size.services, size.endpoints), size.type);
    say(`${size.services} services: in the API after ${Math.round(performance.now() - started)} ms`);
    measured.push(await measure(bench, size));
    say(`${size.services} services: done`);
  }
  return [startFindings(measured), changeFindings(measured)];
}

async function measure({ cluster }: Bench, size: Size): Promise<Measured> {
  const node = cluster.nodes[2];
  if (node === undefined) throw new RangeError('Cannot measure without a third node');
  const [healthy, programmed, exits]: [number[], number[], number[]] = [[], [], []];
  for (let start = 0; start < (size.services > CHANGED_AT ? 1 : STARTS); start++) {
    await forget(node);
    const cold = new LoneAgent(cluster, node);
    programmed.push((await programmedAt(node, size)) - cold.startedAt);
    healthy.push(await cold.healthy);
    exits.push(await cold.end());
  }
  const one = new LoneAgent(cluster, node);
  const warm = await one.healthy;
  await settled(one);
  const loop = await one.loopDelay();
  const rss = residentOf(one.pid);
  const changes = size.services === CHANGED_AT ? await changeTimes(cluster.store, node) : [];
  const cpu = cpuOf(one.pid);
  await delay(IDLE_SECONDS * 1_000);
  const idle = (cpuOf(one.pid) - cpu) / IDLE_SECONDS;
  const maps = sum(pinnedMaps(node).map((map) => map.info().memoryBytes)) / 1e6;
  exits.push(await one.end());
  return { size, healthy, programmed, warm, exits, rss, idle, loop, maps, changes };
}

/** Waits until the agent has next to nothing to do for a second. */
async function settled({ pid }: LoneAgent): Promise<void> {
  let before = cpuOf(pid);
  await until('the agent to have settled', 30_000, async () => {
    await delay(1_000);
    const used = cpuOf(pid) - before;
    before += used;
    return used < 0.08;
  });
}

/** Resolves when the maps hold as much as the API: services are written last. */
async function programmedAt(node: SandboxNode, { services }: Size): Promise<number> {
  let map: BpfMap | undefined;
  await until(`${services} services in lb_services`, 60_000, () => {
    try {
      map ??= pinnedMap(node, 'lb_services');
    } catch {
      return false; // not made yet
    }
    return map.count() > services; // and the one named kubernetes
  });
  return performance.now();
}

/** Milliseconds from a change of one EndpointSlice in the API to the entry of its service, for one change after the other. */
async function changeTimes(store: Bench['cluster']['store'], node: SandboxNode): Promise<readonly number[]> {
  const map = pinnedMap(node, 'lb_services');
  const times: number[] = [];
  for (const { name, ip: address, port } of manyServices(1_000, 1_000 + CHANGES / 2, 3)) {
    const key = lbFrontendCodec.encode({ address: ip(address), port, protocol: 6 });
    for (const ready of [false, true]) {
      const before = map.lookup(key);
      const started = performance.now();
      setReady(store, name, ready);
      while (map.lookup(key)?.equals(before ?? Buffer.alloc(0)) !== false && performance.now() - started < 5_000) await turn();
      times.push(performance.now() - started);
      await delay(5);
    }
  }
  return times;
}

const named = ({ services, endpoints, type }: Size): string =>
  services === 0 ? 'no services' : `${services.toLocaleString('en-US')} × ${endpoints}${type === undefined ? '' : ', node ports (Maglev)'}`;
const verdict = (value: number, aim: number | undefined): string =>
  aim === undefined ? '' : value <= aim ? `≤ ${aim}: met` : `≤ ${aim}: **missed**`;
const worst = (values: readonly number[]): number => Math.max(...values);

function startFindings(measured: readonly Measured[]): Findings {
  const bars = measured
    .filter(({ size }) => size.services > 0)
    .map(({ size, programmed }) => ({ label: named(size), value: median(programmed) }));
  return {
    title: 'Agent: start, memory, end',
    columns: [
      'services × endpoints',
      'cold: programmed ms',
      'aim',
      'cold: healthy ms',
      'warm: healthy ms',
      'RSS MiB',
      'aim',
      'idle CPU %',
      'loop delay p50 / p99 / max ms',
      'SIGTERM to exit ms',
      'maps MB',
    ],
    rows: measured.map(({ size, healthy, programmed, warm, exits, rss, idle, loop, maps }) => [
      named(size),
      number(median(programmed).middle),
      verdict(median(programmed).middle, size.programmedMs),
      number(median(healthy).middle),
      number(warm),
      rss.toFixed(0),
      verdict(rss, size.rssMiB),
      (idle * 100).toFixed(1),
      [loop.p50, loop.p99, loop.max].map((value) => value.toFixed(1)).join(' / '),
      number(worst(exits)),
      maps.toFixed(1),
    ]),
    notes: [
      `Times from fork of the agent's process. Cold: no pins and no files of an earlier agent; median of ${STARTS}, one at more than ${CHANGED_AT} services. RSS and loop delay: the warm agent, once it has settled, resync included. The exit is the slowest.`,
      'Aims: healthy ≤ 1,000 ms, loop delay p99 ≤ 10 ms above the resolution of 1 ms, idle CPU ≤ 0.5 %, exit ≤ 2,000 ms, maps ≤ 40 MB on a small node. The API server, which the agent waits for, is in the process that measures.',
    ],
    charts: [{ title: 'Cold agent until programmed', unit: 'ms', bars }],
  };
}

function changeFindings(measured: readonly Measured[]): Findings {
  const rows = measured
    .filter(({ changes }) => changes.length > 0)
    .map(({ size, changes }) => [
      named(size),
      `${changes.length}`,
      quantile(changes, 0.5).toFixed(1),
      verdict(quantile(changes, 0.5), 5),
      quantile(changes, 0.99).toFixed(1),
      verdict(quantile(changes, 0.99), 50),
    ]);
  return {
    title: 'Agent: one endpoint changes in the API, until the map entry changes',
    columns: ['services × endpoints', 'changes', 'p50 ms', 'aim', 'p99 ms', 'aim'],
    rows,
    notes: [],
    charts: [],
  };
}
