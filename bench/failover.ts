// SPDX-License-Identifier: Apache-2.0
// How long an address of the LAN is silent when its node fails, and what is lost when it is handed over. The API says nothing meanwhile.
//
//   client ── who has it? every millisecond ──▶ the one that answers
//          ── datagrams, one a millisecond, and connections that stay ──▶ the one it knows ──▶ pods of the other two nodes
import { setTimeout as delay } from 'node:timers/promises';
import { StentorError } from '../src/base/errors.ts';
import { clientProgram } from '../test/faults/client-program.ts';
import { bringUp } from '../test/faults/cluster.ts';
import type { Faulty } from '../test/faults/cluster.ts';
import { failoversIn, judged, macOf, names } from '../test/faults/failovers.ts';
import type { Failovers } from '../test/faults/failovers.ts';
import type { Tally } from '../test/faults/prober.ts';
import { IPV, ofFamily } from '../sandbox/checks/check.ts';
import { median, quantile, sum } from './statistics.ts';
import { number } from './table.ts';
import type { Bar, Findings } from './table.ts';

const VIP = '192.168.0.239';
const PORT = 80;
const LONG = 20;
const AIM = { p95: 700, max: 1000 } as const;
/** Less than a node needs to notice that another has failed: then the old one has served on, or a switch has flooded. */
const TOO_SOON_MS = 50;
const SLICES = 'endpointslices.discovery.k8s.io';
const SERVICE = { namespace: 'checks', name: 'failover' } as const;

type Round = {
  /** Milliseconds without an answer to who has the address. */
  readonly silent: number;
  readonly moved: boolean;
  /** Of datagrams: sent, lost, and the longest time in milliseconds in which those were sent that got lost. */
  readonly sent: number;
  readonly lost: number;
  readonly gap: number;
  /** Established connections that broke, and the longest time in which one of them had no answer. */
  readonly broken: number;
  readonly stalled: number;
};

/** Acts on the node that answers; `mend` makes it as it was. `wait`: how long to look after it. */
type Case = {
  readonly name: string;
  readonly act: (owner: string) => Promise<unknown>;
  readonly mend: (owner: string) => Promise<unknown>;
  readonly isPlanned?: true;
  readonly moves: boolean;
};

export async function failover(rounds: number, say: (line: string) => void): Promise<readonly Findings[]> {
  await using stack = new AsyncDisposableStack();
  const faulty = await bringUp('benchfail', stack);
  const all = failoversIn(() => faulty, VIP);
  await faulty.dismissAgents();
  stack.defer(async () => {
    for (const agent of all.agents.values()) agent.signal('SIGKILL');
    await Promise.all(Array.from(all.agents.values(), ({ exited }) => exited));
  });
  await Promise.all(names.map(all.startOn));
  announce(faulty);
  await all.settled();
  const measured: { readonly one: Case; readonly rounds: readonly Round[] }[] = [];
  for (const one of casesOf(faulty, all)) {
    const found: Round[] = [];
    for (let round = 0; round < rounds; round++) found.push(await roundOf(one, faulty, all));
    measured.push({ one, rounds: found });
    say(`${one.name}: at most ${number(Math.max(...found.map(({ silent }) => silent)))} ms`);
  }
  return [failures(measured.filter(({ one }) => !one.isPlanned)), planned(measured.filter(({ one }) => one.isPlanned))];
}

/** Without a selector: its pods are those that `place` names. */
function announce({ cluster: { store } }: Faulty): void {
  const ports = [
    { name: 'tcp', port: PORT, targetPort: 8080, protocol: 'TCP' },
    { name: 'udp', port: PORT, targetPort: 8080, protocol: 'UDP' },
  ];
  store.create('services', {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { ...SERVICE, annotations: { 'lbipam.cilium.io/ips': VIP } },
    spec: { type: 'LoadBalancer', ports },
  });
  store.create(SLICES, {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { ...SERVICE, labels: { 'kubernetes.io/service-name': SERVICE.name } },
    addressType: 'IPv4',
    ports: ports.map(({ name, targetPort, protocol }) => ({ name, port: targetPort, protocol })),
    endpoints: [],
  });
}

/** Pods on the nodes that do not answer: that pods die with their node is another matter. */
async function place({ cluster: { store }, places }: Faulty, owner: string): Promise<void> {
  const endpoints = names
    .filter((name) => name !== owner)
    .map((nodeName) => ({ addresses: [ofFamily(places.echoOn(nodeName).ips, IPV[0])], nodeName, conditions: { ready: true } }));
  store.patch(SLICES, SERVICE, { endpoints });
  await delay(150); // until all agents know
}

function casesOf(faulty: Faulty, all: Failovers): readonly Case[] {
  const { store } = faulty.cluster;
  const ready = (node: string, isReady: boolean) => {
    const conditions = [
      isReady
        ? { type: 'Ready', status: 'True', reason: 'KubeletReady', message: '' }
        : { type: 'Ready', status: 'False', reason: 'KubeletNotReady', message: 'node is shutting down' },
    ];
    store.patchStatus('nodes', { name: node }, { conditions });
  };
  const restart = async (owner: string) => {
    await all.signal(owner, 'SIGTERM');
    await all.agents.get(owner)?.exited;
    await all.startOn(owner);
  };
  return [
    ...all.faults.map(({ name, act, mend }) => ({ name, act, mend, moves: true })),
    {
      name: "the owner's node is cordoned, as kubectl drain does first",
      act: (owner) => Promise.resolve(all.cordon(owner, true)),
      mend: (owner) => Promise.resolve(all.cordon(owner, false)),
      isPlanned: true,
      moves: true,
    },
    {
      name: "the owner's node shuts down: the kubelet says so, a second later it is gone",
      async act(owner) {
        ready(owner, false);
        await delay(1000); // the grace of kubelets is longer
        await all.signal(owner, 'SIGTERM');
        await all.inNode(owner, 'ip link set eth0 down');
      },
      async mend(owner) {
        await all.agents.get(owner)?.exited;
        await all.linkUp(owner);
        ready(owner, true);
        await all.startOn(owner);
      },
      isPlanned: true,
      moves: true,
    },
    { name: "the owner's agent is restarted", act: restart, mend: () => Promise.resolve(), isPlanned: true, moves: false },
  ];
}

async function roundOf({ name, act, mend, isPlanned, moves }: Case, faulty: Faulty, all: Failovers): Promise<Round> {
  const { layout, faults } = faulty.cluster;
  const owner = await all.settled();
  await place(faulty, owner);
  const datagrams = clientProgram(layout, 'udp-prober.ts', [VIP, `${PORT}`, '1']);
  const connections = clientProgram(layout, 'prober.ts', ['0', `${LONG}`, `${VIP},${PORT}`]);
  await Promise.all([datagrams.ready(), connections.ready()]);
  await delay(300); // every connection has been answered by then
  faults.silent = !isPlanned;
  const asked = await all.asked(() => act(owner), 1200, 1);
  faults.silent = false;
  const probes = JSON.parse((await datagrams.end()).split('\n')[1] ?? '') as readonly (readonly [sent: number, answered?: number])[]; // as: what udp-prober.ts prints
  const tally = JSON.parse((await connections.end()).split('\n')[1] ?? '') as Tally; // as: what prober.ts prints
  const { gap, owner: heir } = judged(asked);
  if (moves && !isPlanned && gap < TOO_SOON_MS) throw new StentorError('BENCH_WRONG', `Cannot believe a gap of ${gap} ms: ${name}`);
  if ((heir !== macOf(owner)) !== moves) throw new StentorError('BENCH_WRONG', `${heir} answers after ${owner}: ${name}`);
  await mend(owner);
  const lost = probes.filter(([, answered]) => answered === undefined);
  return {
    silent: gap,
    moved: heir !== macOf(owner),
    sent: probes.length,
    lost: lost.length,
    gap: longestRun(probes),
    broken: tally.failed,
    stalled: tally.longestGap,
  };
}

/** Milliseconds, from the first to the last probe in a row that has no answer. */
function longestRun(probes: readonly (readonly [sent: number, answered?: number])[]): number {
  let longest = 0;
  let began: number | undefined;
  for (const [sent, answered] of probes) {
    began = answered === undefined ? (began ?? sent) : undefined;
    if (began !== undefined) longest = Math.max(longest, sent - began + 1);
  }
  return longest;
}

type Measured = readonly { readonly one: Case; readonly rounds: readonly Round[] }[];

const three = (values: readonly number[]): readonly string[] => [0.5, 0.95, 1].map((part) => number(quantile(values, part)));

function failures(measured: Measured): Findings {
  const silences = measured.map(({ rounds }) => rounds.map(({ silent }) => silent));
  const bars = measured.map(({ one, rounds }): Bar => ({ label: one.name, value: median(rounds.map(({ silent }) => silent)) }));
  return {
    title: 'A node fails',
    columns: [
      '',
      'runs',
      'nobody answers: p50 ms',
      'p95',
      'max',
      `p95 < ${AIM.p95}, max < ${AIM.max}`,
      'its traffic: p50 ms',
      'p95',
      'max',
      `broken of ${LONG} connections each`,
    ],
    rows: measured.map(({ one, rounds }, i) => {
      const silent = silences[i] ?? [];
      const isMet = quantile(silent, 0.95) < AIM.p95 && Math.max(...silent) < AIM.max;
      const broken = sum(rounds.map((round) => round.broken));
      return [
        one.name,
        `${rounds.length}`,
        ...three(silent),
        isMet ? 'met' : '**missed**',
        ...three(rounds.map(({ gap }) => gap)),
        `${broken}`,
      ];
    }),
    notes: [
      'ARP is asked every millisecond by the client, and the API server is silent. Traffic is a datagram a millisecond from a client that knew the old owner, to pods on the other two nodes.',
    ],
    charts: [{ title: 'Without an answer', unit: 'ms', bars, aim: AIM.p95 }],
  };
}

function planned(measured: Measured): Findings {
  return {
    title: 'As planned',
    columns: [
      '',
      'runs',
      'moved',
      'datagrams sent',
      'lost (aim: 0)',
      'nobody answers: max ms',
      'connections broken',
      'longest without an answer, ms',
    ],
    rows: measured.map(({ one, rounds }) => [
      one.name,
      `${rounds.length}`,
      `${rounds.filter(({ moved }) => moved).length}`,
      sum(rounds.map(({ sent }) => sent)).toLocaleString('en-US'),
      `${sum(rounds.map(({ lost }) => lost))}`,
      number(Math.max(...rounds.map(({ silent }) => silent))),
      `${sum(rounds.map(({ broken }) => broken))} of ${rounds.length * LONG}`,
      number(Math.max(...rounds.map(({ stalled }) => stalled))),
    ]),
    notes: ['Connections ask ten times a second, so 100 ms of the longest time are theirs. ARP is asked every millisecond.'],
    charts: [],
  };
}
