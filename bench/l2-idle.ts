// SPDX-License-Identifier: Apache-2.0
// What announcing load balancer IPs costs while nothing happens: writes to the API, heartbeats, CPU.
import { setTimeout as delay } from 'node:timers/promises';
import { beatTimes } from '../src/agent/peers.ts';
import type { RequestRecord } from '../sandbox/api/server.ts';
import { createAll, seed } from '../sandbox/manifests.ts';
import { run } from '../sandbox/run.ts';
import { until } from '../sandbox/until.ts';
import { beatSeconds } from './beat-thread.ts';
import type { BeatCost } from './beat-cost.ts';
import { NAMESPACE, startBench } from './cluster.ts';
import type { Bench } from './cluster.ts';
import { cpuOf } from './lone-agent.ts';
import { PORT } from './loader.ts';
import { outOfProcess } from './out-of-process.ts';
import { pinnedMap } from './pinned-maps.ts';
import { sum } from './statistics.ts';
import { number } from './table.ts';
import type { Findings } from './table.ts';

const VIPS = 100;
const SETTLING_SECONDS = 20;
const IDLE_SECONDS = 60;
const LISTENING_SECONDS = 5;
/** Nodes of clusters whose heartbeats are simulated. */
const SIZES = [3, 9, 300] as const;

export async function l2Idle(say: (line: string) => void): Promise<readonly Findings[]> {
  const measured = await idle();
  say('Idle: done');
  const simulated = await outOfProcess<readonly BeatCost[]>('beat-cost.ts', ...SIZES.map(String));
  say('Heartbeats: done');
  return [...measured, beatFindings(simulated)];
}

async function idle(): Promise<readonly Findings[]> {
  await using bench = await startBench('stentor', 'l2');
  const beforehand = heard(bench);
  createAll(bench.cluster.store, await seed('cilium-l2.yaml'));
  const peers = bench.cluster.nodes.map((node) => pinnedMap(node, 'l2_beats'));
  await until('the nodes to hear each other', 30_000, () => peers.every((map) => map.count() >= peers.length - 1));
  for (let i = 0; i < VIPS; i++) createVip(bench, `vip-${i}`, `192.168.0.${110 + i}`);
  const answers = bench.cluster.nodes.map((node) => pinnedMap(node, 'l2_answers'));
  await until(`${VIPS} addresses to have an owner`, 30_000, () => sum(answers.map((map) => map.count())) === VIPS);
  await delay(SETTLING_SECONDS * 1_000);
  const announced = beforehand.end();
  const pids = bench.cluster.nodes.map(({ name }) => bench.agentPid(name));
  const before = pids.map((pid) => ({ agent: cpuOf(pid), beats: beatSeconds(pid) }));
  const meanwhile = heard(bench);
  await delay(IDLE_SECONDS * 1_000);
  const requests = meanwhile.end();
  const used = pids.map((pid, index) => ({
    agent: (cpuOf(pid) - (before[index]?.agent ?? 0)) / IDLE_SECONDS,
    beats: (beatSeconds(pid) - (before[index]?.beats ?? 0)) / IDLE_SECONDS,
  }));
  const owned = answers.map((map) => map.count());
  const frames = await Promise.all(bench.cluster.nodes.map(({ enter }) => framesOf(enter)));
  const rows = bench.cluster.nodes.map(({ name }, index) => [
    name,
    `${owned[index]}`,
    number(frames[index] ?? Number.NaN),
    `${((used[index]?.beats ?? 0) * 100).toFixed(2)} %`,
    `${((used[index]?.agent ?? 0) * 100).toFixed(2)} %`,
  ]);
  return [
    writesFindings(requests, announced),
    {
      title: `L2: an idle node among three, ${VIPS} addresses`,
      columns: ['', 'addresses', 'frames sent a second', 'CPU of the heartbeat thread', 'CPU of the agent'],
      rows,
      notes: [`CPU over ${IDLE_SECONDS} s, as part of one CPU; frames over ${LISTENING_SECONDS} s.`],
      charts: [],
    },
  ];
}

/** Requests to the API from now on, until somebody asks which there were. */
function heard({ cluster: { listeners } }: Bench): { end(): readonly RequestRecord[] } {
  const requests: RequestRecord[] = [];
  const listener = (request: RequestRecord) => void requests.push(request);
  listeners.add(listener);
  return {
    end() {
      listeners.delete(listener);
      return requests;
    },
  };
}

function createVip({ cluster: { store } }: Bench, name: string, ip: string): void {
  const metadata = { name, namespace: NAMESPACE };
  store.create('services', { metadata, spec: { type: 'LoadBalancer', selector: { app: 'far' }, ports: [{ name: 'tcp', port: PORT }] } });
  store.patchStatus('services', metadata, { loadBalancer: { ingress: [{ ip }] } });
}

const writesAmong = (requests: readonly RequestRecord[]) => requests.filter(({ verb }) => !['get', 'list', 'watch'].includes(verb));

function writesFindings(requests: readonly RequestRecord[], announced: readonly RequestRecord[]): Findings {
  const writes = writesAmong(requests);
  const kinds = [...Map.groupBy(writes, ({ verb, resource, subresource }) => [verb, resource, subresource].filter(Boolean).join(' '))];
  return {
    title: `L2: requests to the API while nothing happens, ${VIPS} addresses, three agents`,
    columns: ['', 'a minute'],
    rows: [
      ['writes (aim: 0)', `${(writes.length * 60) / IDLE_SECONDS}`],
      ...kinds.map(([kind, of]) => [kind, `${(of.length * 60) / IDLE_SECONDS}`]),
      ['reads', `${((requests.length - writes.length) * 60) / IDLE_SECONDS}`],
    ],
    notes: [
      `Before that, while the addresses got their owners: ${writesAmong(announced).length} writes and ${announced.length - writesAmong(announced).length} reads were counted.`,
    ],
    charts: [],
  };
}

/** Heartbeats and hellos that a node sends in a second. */
async function framesOf(enter: (command: readonly string[]) => string[]): Promise<number> {
  const capture = ['tcpdump', '-i', 'eth0', '-Q', 'out', '-nnq', '--immediate-mode', 'ether proto 0x88b5'];
  const { stdout } = await run(enter(['timeout', '--signal=INT', `${LISTENING_SECONDS}`, ...capture]), { timeoutMs: 20_000 });
  return stdout.trim().split('\n').length / LISTENING_SECONDS;
}

function beatFindings(costs: readonly BeatCost[]): Findings {
  return {
    title: 'L2: heartbeats of a node, by how many nodes there are',
    columns: ['nodes', 'interval ms', 'sent a second', 'received', 'CPU to send and receive'],
    rows: costs.map(({ nodes, sent, heard, busy }) => [
      `${nodes}`,
      `${beatTimes(nodes - 1).intervalMs}`,
      number(sent),
      number(heard),
      `${(busy * 100).toFixed(2)} %`,
    ]),
    notes: [
      "The agent's own thread, by a veth pair whose other end has host_from: each frame that it sends is also one that it receives. Part of one CPU.",
    ],
    charts: [],
  };
}
