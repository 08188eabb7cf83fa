// SPDX-License-Identifier: Apache-2.0
// An agent that is killed at any instruction: at rest, while it starts, in the middle of ADDs, DELs and changes of Services, under new
// connections and long-lived ones. STENTOR_CRASHES=200 for more of them; SEED says which come.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { cni } from '../../sandbox/cni-call.ts';
import { setTimeout as delay } from 'node:timers/promises';
import { mustRun } from '../../sandbox/run.ts';
import { randomFrom, seedOfRun } from '../../src/base/random.ts';
import { assertUnharmed, trafficFromBoth } from './both-ways.ts';
import { agentReady, differencesOn, endpointsOn, faultyCluster, skip } from './cluster.ts';
import type { Agent } from './cluster.ts';

const faulty = faultyCluster('faultsk');
const node = () => faulty().node('node1');
const CRASHES = Number(process.env['STENTOR_CRASHES'] ?? 12);
const seed = seedOfRun();
const random = randomFrom(seed);
const CONTAINERS = ['crash0', 'crash1', 'crash2', 'crash3'];
const ADD_MS = 60; // that four of them take, and a little more
const START_MS = 1200; // until it is ready, and a little more
let agent: Agent | undefined;
let services = 0;

const shell = (script: string) => mustRun(node().enter(['sh', '-c', script], ['--net', '--mount']));
const call = (command: string, container: string) => cni(node(), { command, container, netns: `/run/netns/${container}` });
const calls = (command: string) => CONTAINERS.map((container) => call(command, container));

/** Milliseconds with a fraction, so that no instruction is spared. */
const upTo = (ms: number) => random.below(ms * 1000) / 1000;

async function kill(): Promise<void> {
  agent?.signal('SIGKILL');
  await agent?.exited;
}

async function start(): Promise<number> {
  agent = faulty().start(node());
  return agentReady(node(), agent);
}

/** One more Service before what `between` does, one less after it. */
async function changeServices(): Promise<void> {
  const { store } = faulty().cluster;
  const spec = { selector: { app: 'echo' }, ports: [{ name: 'http', port: 80, targetPort: 8080 }] };
  store.create('services', { metadata: { namespace: 'checks', name: `crash${services}` }, spec });
  await delay(upTo(20)); // the agent hears of both at once, or not
  if (services > 0) store.delete('services', { namespace: 'checks', name: `crash${services - 1}` });
  services++;
}

/** What is under way when the agent is killed; what it returns is waited for once there is another agent. */
const scenes: readonly { readonly what: string; readonly begin: () => Promise<readonly Promise<unknown>[]>; readonly ms: number }[] = [
  { what: 'at rest', begin: () => Promise.resolve([]), ms: 300 },
  { what: 'in ADDs', begin: () => Promise.resolve(calls('ADD')), ms: ADD_MS },
  {
    what: 'in the start',
    begin: async () => {
      await kill();
      agent = faulty().start(node());
      return [];
    },
    ms: START_MS,
  },
  {
    what: 'in DELs',
    begin: async () => {
      await Promise.all(calls('ADD'));
      return calls('DEL');
    },
    ms: ADD_MS,
  },
  {
    what: 'in a start that has ADDs and DELs to do',
    begin: async () => {
      await Promise.all(calls('ADD').slice(0, 2));
      await kill();
      agent = faulty().start(node());
      return [...calls('DEL').slice(0, 2), ...calls('ADD').slice(2)];
    },
    ms: START_MS,
  },
  { what: 'in changes of Services', begin: () => changeServices().then(() => []), ms: 20 },
];

/** What there is of ours on the node, hidden files among it; map entries are what `maps --diff` compares. */
async function traces(): Promise<readonly string[]> {
  const text = await shell(`ip -o link | grep -o 'lxc[0-9a-f]*' | sort -u; ip route show proto 205; ip -6 route show proto 205
    find /run/cilium /sys/fs/bpf/stentor /opt/cni/bin /etc/cni/net.d -not -name 'cni.sock' -not -name 'cilium.sock'
    for one in ${CONTAINERS.join(' ')}; do ip -n $one -o link | cut -d: -f2 | sed "s/^/in $one:/"; done`);
  const endpoints = await endpointsOn(node());
  return [...text.trim().split('\n'), ...endpoints.map(({ pod, ipv4, ipv6 }) => `${pod} ${ipv4} ${ipv6}`)].toSorted();
}

/** What is there and was not, or was there and is not. */
async function changesSince(before: readonly string[]): Promise<readonly string[]> {
  const now = await traces();
  return [...now.filter((one) => !before.includes(one)), ...before.filter((one) => !now.includes(one)).map((one) => `gone: ${one}`)];
}

after(() => {
  if (services > 0) faulty().cluster.store.delete('services', { namespace: 'checks', name: `crash${services - 1}` });
});

test('an agent of the test', { skip }, async () => {
  await faulty().dismissAgents();
  await start();
  for (const name of CONTAINERS) await shell(`ip netns add ${name}`);
  await shell('mkdir -p -m 700 /run/cilium/deleteQueue'); // as the first DEL without an agent makes it
});

test(`${CRASHES} crashes at any instruction: no connection fails, and each leaves nothing`, { skip }, async (t) => {
  t.diagnostic(`SEED=${seed}`);
  const before = await traces();
  const traffic = await trafficFromBoth(faulty(), { rate: 200, long: 32 });
  const counts = new Map<string, number>();
  let slowest = 0;
  for (let crash = 0; crash < CRASHES; crash++) {
    const { what, begin, ms } = scenes[crash % scenes.length] ?? assert.fail('There are scenes');
    const moment = upTo(ms);
    const underWay = await begin();
    await delay(Math.floor(moment)); // the moment of the crash
    for (const end = performance.now() + (moment % 1); performance.now() < end;);
    await kill();
    const ready = start();
    await Promise.all(underWay);
    slowest = Math.max(slowest, await ready);
    await Promise.all(calls('DEL'));
    const name = `crash ${crash}, ${what}, after ${moment.toFixed(3)} ms`;
    assert.deepEqual(await changesSince(before), [], name);
    assert.deepEqual(await differencesOn(node()), [], name);
    counts.set(what, (counts.get(what) ?? 0) + 1);
  }
  t.diagnostic(Array.from(counts, ([what, count]) => `${count} ${what}`).join(', '));
  t.diagnostic(`${assertUnharmed(await traffic.tallies(), CRASHES * 100)}; ready again after at most ${slowest.toFixed(0)} ms`);
});

test('control: a pod that nobody ended, a file that was half written and an entry too many are seen', { skip }, async () => {
  const before = await traces();
  const [container = ''] = CONTAINERS;
  assert.equal((await call('ADD', container)).code, 0);
  await shell('touch /run/cilium/state/.lxc000000000000.new');
  const found = await changesSince(before);
  for (const trace of [
    /^lxc/,
    /^10\.244.* dev lxc/,
    /^fd00.* dev lxc/,
    /state\/lxc\w+\.json$/,
    /\.new$/,
    /^in crash0: eth0/,
    /^faults\/crash0 10\./,
  ])
    assert.ok(
      found.some((line) => trace.test(line)),
      `${trace} in ${found.join('\n')}`,
    );
  assert.equal((await call('DEL', container)).code, 0);
  await kill();
  await start();
  assert.deepEqual(await changesSince(before), [], 'whoever starts removes the half file');
});

test('control: with the programs taken away while nobody is there, connections fail', { skip }, async () => {
  const traffic = await trafficFromBoth(faulty(), { rate: 200, long: 32 });
  await kill();
  await shell(
    "for link in $(ip -o link | grep -o 'lxc[0-9a-f]*' | sort -u); do tc qdisc del dev $link clsact; done; rm /sys/fs/bpf/stentor/links/*",
  );
  await delay(6000); // longer than a connection waits
  await start();
  const failed = (await traffic.tallies()).reduce((sum, tally) => sum + tally.failed, 0);
  assert.ok(failed > 200, `${failed} failed`);
});
