// SPDX-License-Identifier: Apache-2.0
// Sockets that the node's programs leave alone, and sockets whose backend went while there was no agent.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { ofFamily } from '../../sandbox/checks/check.ts';
import { httpGet, udpEcho, udpWho, url } from '../../sandbox/checks/traffic.ts';
import { connectsTo } from '../../sandbox/checks/vantage.ts';
import { until } from '../../sandbox/until.ts';
import { pinNameOf } from '../../src/datapath/inheritance.ts';
import { sockReverseCodec } from '../../src/datapath/schema.gen.ts';
import { BpfMap } from '../../src/kernel/map.ts';
import { agentReady, faultyCluster, seedValues, skip, valuesFile } from './cluster.ts';
import type { Agent } from './cluster.ts';

const faulty = faultyCluster('faultss');
let agent: Agent | undefined;

/** `lines`: values beside those of the seed. */
async function started(lines = ''): Promise<void> {
  const node = faulty().node('node1');
  agent?.signal('SIGTERM');
  await agent?.exited;
  const values = await valuesFile(faulty(), 'values.yaml', `${await readFile(seedValues, 'utf8')}${lines}`);
  agent = faulty().start(node, { values });
  await agentReady(node, agent);
}

test('socketLB.hostNamespaceOnly: pods are served packet by packet, the node at its sockets', { skip }, async () => {
  await faulty().dismissAgents();
  const { places } = faulty();
  const [echo = ''] = places.serviceIps('echo');
  await started();
  assert.equal(await connectsTo(places.client, echo), 'backend', 'without the value');
  await started('socketLB: { hostNamespaceOnly: true }\n');
  assert.equal(await connectsTo(places.client, echo), 'ClusterIP');
  assert.equal(await connectsTo(places.node('node1'), echo), 'backend');
  for (const family of ['IPv4', 'IPv6'] as const) {
    const address = ofFamily(places.serviceIps('echo'), family);
    await httpGet(places.client, url(address, 80));
    await udpEcho(places.client, address, 80);
    await udpEcho(places.node('node1'), address, 80);
  }
});

// $1 address, $2 how many: opens connections, waits for a second, and is killed with them.
const HOLDING = `
const [address, count] = process.argv.slice(1);
let open = 0;
for (let i = 0; i < Number(count); i++)
  require('node:net').connect({ host: address, port: 80 }, () => {
    if (++open === Number(count)) setTimeout(() => process.kill(process.pid, 'SIGKILL'), 1000);
  });`;

test('what a socket is to see as its peer is remembered while it is open, and no longer', { skip }, async () => {
  const { places, node } = faulty();
  await started();
  using map = BpfMap.openPinned(join(node('node1').path('/sys/fs/bpf/stentor/maps'), pinNameOf('sock_reverse')));
  for (const family of ['IPv4', 'IPv6'] as const) {
    const address = ofFamily(places.serviceIps('echo'), family);
    const held = () => Array.from(map.entries()).filter(([, value]) => sockReverseCodec.decode(value).address === address).length;
    await until('nothing to be held', 5000, () => held() === 0);
    const holding = places.client.run([process.execPath, '-e', HOLDING, address, '50']);
    await until('50 to be held', 10_000, () => held() === 50);
    await holding;
    await until('nothing to be held again', 1000, () => held() === 0);
  }
});

// $1 address: a connected socket asks once, says who answered, and waits.
const WAITING =
  'exec 3<>"/dev/udp/$1/80" && printf who >&3 && dd bs=512 count=1 status=none <&3 && echo && dd bs=512 count=1 status=none <&3';

test('a UDP socket whose backend went while there was no agent hears of it when the agent is back', { skip }, async () => {
  const { places, cluster, node } = faulty();
  await started();
  const label = (name: string, moving?: 'here') =>
    cluster.store.patch('pods', { namespace: 'checks', name }, { metadata: { labels: { moving: moving ?? null } } }); // null: a merge patch takes the label away
  const [before, after] = [places.echoOn('node2').name, places.echoOn('node3').name];
  const [address = ''] = places.serviceIps('moving');
  label(before, 'here');
  await until('the service to serve', 5000, () =>
    udpWho(places.client, address, 80).then(
      ({ pod }) => pod === before,
      () => false,
    ),
  );
  const waiting = places.client.run(['bash', '-c', WAITING, 'udp', address], 20_000);
  await delay(500); // until the first answer is there
  agent?.signal('SIGKILL');
  await agent?.exited;
  label(after, 'here');
  label(before);
  let heard = false;
  void waiting.then(() => (heard = true));
  await delay(1000); // time in which somebody could tell, if there were somebody
  assert.equal(heard, false, 'the socket ended with nobody there to end it');
  agent = faulty().start(node('node1'));
  await agentReady(node('node1'), agent);
  const ran = await waiting;
  assert.ok(ran.stdout.startsWith(before), ran.stdout);
  assert.match(ran.stderr, /abort/i);
  assert.equal((await udpWho(places.client, address, 80)).pod, after);
});
