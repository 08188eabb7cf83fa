// SPDX-License-Identifier: Apache-2.0
// Addresses move from a node that fails to one that lives, in less than a second and without the Kubernetes API.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { CLIENT, LAN, NODES } from '../../sandbox/layout.ts';
import { inNetns } from '../../sandbox/network.ts';
import { mustRun, run } from '../../sandbox/run.ts';
import { until } from '../../sandbox/until.ts';
import type { TableRow } from '../../src/agent/api-types.ts';
import { ask } from '../../src/cli/client.ts';
import { BpfMap } from '../../src/kernel/map.ts';
import { agentReady, faultyCluster, skip, statusOn } from './cluster.ts';
import type { Agent } from './cluster.ts';

const faulty = faultyCluster('faultsl');
const VIP = '192.168.0.239';
const agents = new Map<string, Agent>();
const names = NODES.map(({ name }) => name);

type Owner = { readonly owner: string | undefined; readonly held: object | undefined; readonly why: string };

async function ownerOn(node: string): Promise<Owner | undefined> {
  const rows: readonly TableRow[] = await ask(faulty().node(node).path('/run/cilium/cilium.sock'), '/tables/l2_owners');
  return rows.find(({ key }) => key === VIP)?.row as Owner | undefined; // as: what this table has
}

/** The node that answers, when all agents that live agree on it. */
async function settled(living = names): Promise<string> {
  let found: string | undefined;
  await until('one owner', 10_000, async () => {
    const rows = await Promise.all(living.map((name) => ownerOn(name).catch(() => undefined)));
    const holders = living.filter((_, i) => rows[i]?.held !== undefined);
    found = holders[0];
    return holders.length === 1 && rows.every((row) => row?.owner === found);
  });
  return found ?? assert.fail('no owner');
}

type Answer = { readonly at: number; readonly mac: string };

/** Asks who has the address while `act` runs and a little longer. */
async function asked(act: () => Promise<unknown>, ms = 1500): Promise<{ readonly answers: readonly Answer[]; readonly acted: number }> {
  const { layout } = faulty().cluster;
  const place = inNetns(layout, CLIENT.name);
  const index = /^(\d+):/.exec(await mustRun([...place, 'ip', '-o', 'link', 'show', 'eth0']))?.[1] ?? '';
  const [program, ...rest] = [
    'nsenter',
    ...place.slice(1),
    process.execPath,
    join(import.meta.dirname, 'arp-prober.ts'),
    index,
    CLIENT.mac,
    CLIENT.ipv4,
    VIP,
    '2',
  ];
  const child = spawn(program, rest, { stdio: ['pipe', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
  await until('the prober to be answered', 5000, () => text.split('\n').length > 20);
  const acted = performance.timeOrigin + performance.now();
  await act();
  await delay(ms); // the time in which it is asked
  child.stdin.end();
  await new Promise((resolve) => child.on('close', resolve));
  const answers = text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Answer); // as: what arp-prober.ts prints
  return { answers, acted };
}

/** The longest time without an answer, and from when on only `mac` answered. */
function judged(answers: readonly Answer[], acted: number) {
  const times = answers.map(({ at }) => at);
  const gap = Math.max(...times.slice(1).map((at, i) => at - (times[i] ?? at)));
  const owner = answers.at(-1)?.mac;
  const others = answers.filter(({ mac }) => mac !== owner).map(({ at }) => at);
  return {
    gap,
    owner,
    exclusive: Math.max(acted, ...others) - acted,
    first: (answers.find(({ mac, at }) => mac === owner && at > acted)?.at ?? NaN) - acted,
  };
}

const macOf = (name: string) => (NODES.find((node) => node.name === name)?.mac ?? '').replaceAll(':', '');

async function startOn(name: string): Promise<void> {
  const node = faulty().node(name);
  const agent = faulty().start(node);
  agents.set(name, agent);
  await agentReady(node, agent);
}

const lan = (command: string) => mustRun([...inNetns(faulty().cluster.layout, LAN), 'ip', 'link', 'set', ...command.split(' ')]);

test('three nodes agree on who answers for an address', { skip }, async () => {
  const { store } = faulty().cluster;
  await faulty().dismissAgents();
  await Promise.all(names.map(startOn));
  store.create('services', {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { namespace: 'checks', name: 'failover', annotations: { 'lbipam.cilium.io/ips': VIP } },
    spec: { type: 'LoadBalancer', selector: { app: 'echo' }, ports: [{ port: 80, targetPort: 8080 }] },
  });
  assert.ok(names.includes(await settled()));
});

/** `cut`: the owner does not notice, and answers until it hears of the others again. */
type Fault = {
  readonly name: string;
  readonly cut?: true;
  readonly act: (owner: string) => Promise<unknown>;
  readonly mend: (owner: string) => Promise<unknown>;
};

const cord = (node: string, unschedulable: boolean) =>
  void faulty().cluster.store.patch('nodes', { name: node }, { spec: { unschedulable } });
const inNode = (node: string, command: string) => mustRun([...inNetns(faulty().cluster.layout, node), ...command.split(' ')]);

const signal = (name: string, what: NodeJS.Signals) => Promise.resolve(agents.get(name)?.signal(what));

async function linkUp(node: string): Promise<void> {
  await inNode(node, 'ip link set eth0 up');
  const host = NODES.find(({ name }) => name === node);
  for (const command of [
    `ip addr replace ${host?.ipv6}/64 dev eth0 nodad`,
    'ip route replace default via 192.168.0.1',
    'ip route replace default via fd00:192:168::1',
  ])
    await inNode(node, command);
}

const faults: readonly Fault[] = [
  {
    name: "the owner's agent is frozen",
    act: (owner) => signal(owner, 'SIGSTOP'),
    mend: (owner) => signal(owner, 'SIGCONT'),
  },
  { name: "the owner's agent is killed", act: (owner) => signal(owner, 'SIGKILL'), mend: startOn },
  {
    name: "the owner's cable is cut",
    cut: true,
    act: (owner) => lan(`${owner} down`),
    mend: (owner) => lan(`${owner} up`),
  },
  { name: "the owner's interface is down", act: (owner) => inNode(owner, 'ip link set eth0 down'), mend: linkUp },
];

/** One failure and its end; the milliseconds in which nobody answered. */
async function failOver({ cut, act, mend }: Fault): Promise<number> {
  const owner = await settled();
  faulty().cluster.faults.silent = true;
  const { answers, acted } = await asked(() => act(owner));
  faulty().cluster.faults.silent = false;
  const { gap, owner: heir, exclusive } = judged(answers, acted);
  assert.notEqual(heir, macOf(owner));
  assert.ok(gap < 1000, `${gap} ms`);
  const first = answers.find(({ mac, at }) => mac !== macOf(owner) && at > acted)?.at ?? NaN;
  assert.ok(first - acted >= exclusive, `two nodes answered: ${owner} until ${exclusive} ms, another from ${first - acted} ms`);
  const back = await asked(() => mend(owner));
  const { owner: stays, exclusive: together } = judged(back.answers, back.acted);
  assert.equal(stays, heir, 'who comes back takes nothing');
  assert.ok(together < (cut ? 1000 : 1), `two nodes answered for ${together} ms`);
  assert.notEqual(await settled(), owner);
  return gap;
}

/** STENTOR_FAILOVERS=30 makes each of them so often. */
const ROUNDS = Number(process.env['STENTOR_FAILOVERS'] ?? 1);

for (const fault of faults)
  test(`another node answers in less than a second when ${fault.name}, without the API`, { skip }, async (t) => {
    const gaps: number[] = [];
    for (let round = 0; round < ROUNDS; round++) gaps.push(await failOver(fault));
    gaps.sort((a, b) => a - b);
    const at = (part: number) => (gaps[Math.ceil(part * gaps.length) - 1] ?? NaN).toFixed(0);
    t.diagnostic(`${gaps.length} times: ${at(0.5)} ms without an answer, p95 ${at(0.95)}, at most ${at(1)}`);
  });

test('a third of all heartbeats may get lost: nothing moves, and a failure is noticed as soon', { skip }, async (t) => {
  const bridge = inNetns(faulty().cluster.layout, LAN);
  const rule = 'ether type 0x88b5 numgen random mod 100 < 30 drop';
  const lossy = await run([...bridge, 'nft', '-f', '-'], {
    input: `table bridge loss { chain forward { type filter hook forward priority 0; ${rule}; }; }`,
  });
  if (lossy.code !== 0) return t.skip(`missing capability: nft cannot drop frames of a bridge: ${lossy.stderr.trim().split('\n')[0]}`);
  try {
    const owner = await settled();
    const { answers } = await asked(() => Promise.resolve(), 20_000);
    assert.deepEqual(new Set(answers.map(({ mac }) => mac)), new Set([macOf(owner)]));
    const [frozen = assert.fail()] = faults;
    t.diagnostic(`${(await failOver(frozen)).toFixed(0)} ms without an answer`);
  } finally {
    await mustRun([...bridge, 'nft', 'delete', 'table', 'bridge', 'loss']);
  }
});

test('a cordoned node hands over without a moment in which nobody answers', { skip }, async (t) => {
  const owner = await settled();
  const { answers, acted } = await asked(() => Promise.resolve(cord(owner, true)));
  const { gap, owner: heir, first } = judged(answers, acted);
  t.diagnostic(`another answered after ${first.toFixed(0)} ms; ${gap.toFixed(0)} ms without an answer`);
  assert.notEqual(heir, macOf(owner));
  assert.ok(gap < 50, `${gap} ms`);
  cord(owner, false);
  assert.notEqual(await settled(), owner);
});

test('nothing moves when an agent is restarted as planned, and its node answers on', { skip }, async (t) => {
  const owner = await settled();
  const { answers } = await asked(async () => {
    agents.get(owner)?.signal('SIGTERM');
    await agents.get(owner)?.exited;
    await startOn(owner);
  }, 3500);
  const { gap } = judged(answers, 0);
  t.diagnostic(`${gap.toFixed(0)} ms without an answer`);
  assert.deepEqual(new Set(answers.map(({ mac }) => mac)), new Set([macOf(owner)]));
  assert.ok(gap < 100, `${gap} ms`);
  assert.equal(await settled(), owner);
});

test('nothing moves when the agent is restarted while the API is silent, until it knows the cluster', { skip }, async () => {
  const owner = await settled();
  const { answers } = await asked(async () => {
    agents.get(owner)?.signal('SIGTERM');
    await agents.get(owner)?.exited;
    faulty().cluster.faults.silent = true;
    const node = faulty().node(owner);
    agents.set(owner, faulty().start(node));
    await delay(5000); // longer than the others wait for a restart
  }, 500);
  faulty().cluster.faults.silent = false;
  assert.deepEqual(new Set(answers.map(({ mac }) => mac)), new Set([macOf(owner)]));
  await until(
    'the agent to have asked the API again',
    60_000,
    async () => (await statusOn(faulty().node(owner)).catch(() => undefined))?.agent.ok === true,
  );
  assert.equal(await settled(), owner);
});

test('each side of a split segment has its owner, and a second after it is whole there is one', { skip }, async (t) => {
  await settled();
  for (const name of names) await lan(`${name} type bridge_slave isolated on`);
  await until('both sides to have an owner', 5000, async () => {
    const rows = await Promise.all(names.map((name) => ownerOn(name)));
    return rows.filter((row) => row?.held !== undefined).length > 1;
  });
  const { answers, acted } = await asked(async () => {
    for (const name of names) await lan(`${name} type bridge_slave isolated off`);
  }, 2000);
  const { exclusive } = judged(answers, acted);
  t.diagnostic(`one owner after ${exclusive.toFixed(0)} ms`);
  assert.ok(exclusive < 1000, `${exclusive} ms`);
  await settled();
});

test('an answer that somebody deletes in the kernel is there again within three seconds', { skip }, async (t) => {
  const owner = await settled();
  const directory = faulty().node(owner).path('/sys/fs/bpf/stentor/maps/l2_answers');
  const [definition = ''] = await readdir(directory);
  using map = BpfMap.openPinned(join(directory, definition));
  const { answers, acted } = await asked(() => {
    const deleted = Array.from(map.entries(), ([key]) => map.delete(key));
    assert.deepEqual(deleted, [true]);
    return Promise.resolve();
  }, 4000);
  const { gap } = judged(answers, acted);
  t.diagnostic(`${gap.toFixed(0)} ms without an answer`);
  assert.ok(gap < 3000 && answers.at(-1)?.mac !== undefined, `${gap} ms`);
});
