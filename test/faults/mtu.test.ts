// SPDX-License-Identifier: Apache-2.0
// Pods have the MTU of their node's uplink, also when that changes while they run, and never another one on the way there.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { ofFamily } from '../../sandbox/checks/check.ts';
import { httpGet, ping, url } from '../../sandbox/checks/traffic.ts';
import { mustRun } from '../../sandbox/run.ts';
import { until } from '../../sandbox/until.ts';
import { assertUnharmed, trafficFromBoth } from './both-ways.ts';
import { agentReady, endpointsOn, faultyCluster, problemsOn, seedValues, skip, statusOn, valuesFile } from './cluster.ts';
import type { Agent } from './cluster.ts';

const faulty = faultyCluster('faultsmtu');
const node = () => faulty().node('node1');
const CLIENTS = ['client', 'bypass'];
let agent: Agent | undefined;

const setUplink = (mtu: number) => mustRun(node().enter(['ip', 'link', 'set', 'eth0', 'mtu', String(mtu)], ['--net']));

type IpLink = { readonly ifname: string; readonly mtu: number };

/** The node's sides. */
async function podLinks(): Promise<readonly IpLink[]> {
  const links = JSON.parse(await mustRun(node().enter(['ip', '-j', 'link', 'show', 'type', 'veth'], ['--net']))) as readonly IpLink[]; // as: what ip prints
  return links.filter(({ ifname }) => ifname.startsWith('lxc'));
}

/** Of both sides of the pods' pairs: '1400' when all agree. */
async function sizes(): Promise<string> {
  const found = new Set<number>();
  const add = (text: string) => {
    for (const { mtu } of JSON.parse(text) as readonly IpLink[]) found.add(mtu); // as: what ip prints
  };
  const { places } = faulty();
  for (const pod of [places.client, places.bypass]) add((await pod.run(['ip', '-j', 'link', 'show', 'eth0'])).stdout);
  add(JSON.stringify(await podLinks()));
  return [...found].join();
}

async function stopAgent(): Promise<void> {
  agent?.signal('SIGTERM');
  await agent?.exited;
}

async function startAgent(values = seedValues): Promise<void> {
  agent = faulty().start(node(), { values, args: ['--refresh', '2'] });
  await agentReady(node(), agent);
}

test('the MTU of the uplink goes down and up under traffic: pods follow, and no connection breaks', { skip }, async (t) => {
  await faulty().dismissAgents();
  await startAgent();
  assert.equal(await sizes(), '1500');
  const traffic = await trafficFromBoth(faulty(), { rate: 100 });
  for (const mtu of [1400, 1500, 1300]) {
    await setUplink(mtu);
    const started = performance.now();
    await until(`pods to have an MTU of ${mtu}`, 3000, async () => (await sizes()) === String(mtu));
    t.diagnostic(`${(await endpointsOn(node())).length} pods followed to ${mtu} within ${(performance.now() - started).toFixed(0)} ms`);
    assert.deepEqual((await statusOn(node())).mtu, { mtu, reason: `the least of the uplinks: eth0 ${mtu}` });
    await delay(500); // traffic goes on meanwhile
  }
  t.diagnostic(assertUnharmed(await traffic.tallies(), 100));
});

test('a packet of that size passes between nodes, in both families, and pods keep their addresses', { skip }, async () => {
  const { places } = faulty();
  for (const family of ['IPv4', 'IPv6'] as const) {
    const target = places.echoOn('node2');
    await httpGet(places.client, url(ofFamily(target.ips, family), 8080));
    await ping(places.client, ofFamily(target.ips, family), 1300 - 8 - (family === 'IPv4' ? 20 : 40));
    await httpGet(places.outsider, url(ofFamily(places.node('node1').ips, family), 30_080));
  }
});

test('without an agent nobody follows; the next one does', { skip }, async () => {
  await stopAgent();
  await setUplink(1400);
  await delay(1000); // for whoever would do it
  assert.equal(await sizes(), '1300');
  await startAgent();
  await until('pods to have an MTU of 1400', 3000, async () => (await sizes()) === '1400');
});

test('an agent that starts where nothing has changed changes nothing on the way', { skip }, async () => {
  await stopAgent();
  const watches = CLIENTS.map((name) => faulty().within(faulty().pod(name), ['ip', '-o', 'monitor', 'link']));
  let seen = '';
  for (const { stdout } of watches) stdout?.on('data', (chunk: Buffer) => (seen += chunk.toString()));
  try {
    await startAgent();
    await delay(500); // for what comes late
    const before = seen;
    await setUplink(1420); // the watch does see what there is
    await until('the pods and the watch to follow', 3000, async () => (await sizes()) === '1420' && /mtu 1420/.test(seen));
    assert.doesNotMatch(before, /mtu (?!1400)/);
  } finally {
    for (const watch of watches) watch.kill();
  }
});

test('somebody changes the MTU of a pod by hand: it is put back', { skip }, async () => {
  const [first] = await podLinks();
  await mustRun(node().enter(['ip', 'link', 'set', first?.ifname ?? '', 'mtu', '1000'], ['--net']));
  assert.match(await sizes(), /1000/);
  await until('its repair', 10_000, async () => (await sizes()) === '1420');
});

test('an MTU in the values wins; one that is too small for IPv6 is a Problem, and pods get 1280', { skip }, async () => {
  await stopAgent();
  await startAgent(await valuesFile(faulty(), 'small.yaml', `${readFileSync(seedValues, 'utf8')}\nMTU: 1000\n`));
  await until('pods to have an MTU of 1280', 3000, async () => (await sizes()) === '1280');
  await until('a Problem', 3000, async () => (await problemsOn(node())).some(({ reason }) => reason === 'MtuTooSmall'));
  const { places } = faulty();
  await httpGet(places.client, url(ofFamily(places.echoOn('node2').ips, 'IPv6'), 8080));
  await stopAgent();
  await setUplink(1500);
});
