// SPDX-License-Identifier: Apache-2.0
// The way to the Kubernetes API: the address that is configured is dead, every address is, half of the calls fail.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { cni } from '../../sandbox/cni-call.ts';
import { setTimeout as delay } from 'node:timers/promises';
import { ofFamily } from '../../sandbox/checks/check.ts';
import { httpGet, udpEcho, url } from '../../sandbox/checks/traffic.ts';
import { mustRun } from '../../sandbox/run.ts';
import { until } from '../../sandbox/until.ts';
import { ask } from '../../src/cli/client.ts';
import type { ServiceRow } from '../../src/agent/api-types.ts';
import { agentReady, differencesOn, faultyCluster, problemsOn, seedValues, skip, statusOn, valuesFile } from './cluster.ts';
import type { Agent } from './cluster.ts';

const faulty = faultyCluster('faultsa');
const node = () => faulty().node('node1');
let agent: Agent | undefined;

const DEAD = 'https://127.0.0.1:1';
const withServer = (port: number) => readFileSync(seedValues, 'utf8').replace(/^k8sServicePort: .*$/m, `k8sServicePort: ${port}`);

async function started(port: number, name: string): Promise<void> {
  agent?.signal('SIGTERM');
  await agent?.exited;
  agent = faulty().start(node(), { values: await valuesFile(faulty(), `${name}.yaml`, withServer(port)) });
}

const inNode = (script: string) => mustRun(node().enter(['sh', '-c', script], ['--net', '--mount']));
const SERVERS = '/run/cilium/api-servers.json';

test('an agent learns where else the API is, and keeps it on disk', { skip }, async () => {
  await faulty().dismissAgents();
  assert.match(withServer(1), /^k8sServicePort: 1$/m);
  await inNode(`rm -f ${SERVERS}`);
  await started(7445, 'good');
  await agentReady(node(), agent);
  await until('the addresses on disk', 5000, async () => (await inNode(`cat ${SERVERS} 2>/dev/null || true`)) !== '');
  assert.deepEqual(JSON.parse(await inNode(`cat ${SERVERS}`)), ['https://192.168.0.11:6443']);
});

test('with the configured address dead it starts by one that it has learned, and says so', { skip }, async () => {
  await started(1, 'dead');
  await agentReady(node(), agent);
  assert.match((await statusOn(node())).kubernetes.message, /at https:\/\/192\.168\.0\.11:6443$/);
  await until('a Problem', 5000, async () => (await problemsOn(node())).some(({ reason }) => reason === 'ApiServerUnreachable'));
  const [row] = (await problemsOn(node())).filter(({ reason }) => reason === 'ApiServerUnreachable');
  assert.equal(row?.object, `API server ${DEAD}`);
  assert.match(row?.message ?? '', /ECONNREFUSED.*; https:\/\/192\.168\.0\.11:6443 is used in its place/);
});

test('a damaged list of addresses is a Problem and not the end', { skip }, async () => {
  agent?.signal('SIGTERM');
  await agent?.exited;
  await inNode(`printf '{"a":' > ${SERVERS}`);
  await started(7445, 'good');
  await until('a Problem', 10_000, async () => (await problemsOn(node()).catch(() => [])).some(({ reason }) => reason === 'DamagedFile'));
  await agentReady(node(), agent);
  await until('the list to be whole again', 5000, async () => (await inNode(`cat ${SERVERS}`)).startsWith('["https://'));
});

test('with every address dead an agent that starts serves what is there, and ends pods', { skip }, async (t) => {
  const { places } = faulty();
  await inNode('ip netns add orphan');
  const pod = { container: 'orphan', netns: '/run/netns/orphan' };
  assert.equal((await cni(node(), pod)).code, 0);
  agent?.signal('SIGTERM');
  await agent?.exited;
  await inNode(`rm ${SERVERS}`);
  await started(1, 'dead');
  await until('an answer', 10_000, () =>
    statusOn(node()).then(
      () => true,
      () => false,
    ),
  );
  const { kubernetes, agent: health } = await statusOn(node());
  assert.equal(kubernetes.ok, false);
  assert.match(kubernetes.message, /127\.0\.0\.1:1: Unreachable: .*ECONNREFUSED/);
  assert.equal(health.ok, false);
  t.diagnostic(health.message);
  for (const from of [places.client, places.bypass, places.node('node1')])
    for (const family of ['IPv4', 'IPv6'] as const) {
      await httpGet(from, url(ofFamily(places.serviceIps('echo'), family), 80));
      await udpEcho(from, ofFamily(places.serviceIps('echo'), family), 80);
    }
  assert.equal((await cni(node(), { ...pod, command: 'DEL' })).code, 0);
  assert.doesNotMatch(await inNode('ip -n orphan -o link'), /eth0/);
  const late = await cni(node(), pod);
  assert.deepEqual([late.code, JSON.parse(late.stdout).code], [1, 11], 'a new pod has to wait');
  await inNode('ip netns del orphan');
  await started(7445, 'good');
  await agentReady(node(), agent);
  assert.deepEqual(await differencesOn(node()), []);
});

test('while half of the calls fail and watches are cut, what changes arrives all the same', { skip }, async () => {
  const { cluster } = faulty();
  Object.assign(cluster.faults, { refuse: 0.5, cutWatch: 0.1 });
  try {
    const ports = [{ name: 'http', port: 80, targetPort: 8080 }];
    const services = () => ask<readonly ServiceRow[]>(node().path('/run/cilium/cilium.sock'), '/services');
    for (let i = 0; i < 10; i++) {
      cluster.store.create('services', { metadata: { namespace: 'checks', name: `late${i}` }, spec: { selector: { app: 'echo' }, ports } });
      await delay(100); // one after another
    }
    await until('ten more services', 60_000, async () => {
      const found = await services();
      return Array.from({ length: 10 }, (_, i) =>
        found.some(({ service, backends }) => service === `checks/late${i}` && backends.length === 3),
      ).every(Boolean);
    });
    agent?.signal('SIGKILL');
    await agent?.exited;
    await started(7445, 'good'); // and a start among failures
    await until('the agent to be well', 60_000, async () => (await statusOn(node()).catch(() => undefined))?.agent.ok === true);
  } finally {
    Object.assign(cluster.faults, { refuse: 0, cutWatch: 0 });
    for (let i = 0; i < 10; i++) cluster.store.delete('services', { namespace: 'checks', name: `late${i}` });
  }
  await until('no difference', 20_000, async () => (await differencesOn(node()).catch(() => [undefined])).length === 0);
});
