// SPDX-License-Identifier: Apache-2.0
// A node whose disk is full: it says so, what is there goes on, and no DEL is lost.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cni } from '../../sandbox/cni-call.ts';
import { httpGet, url } from '../../sandbox/checks/traffic.ts';
import { ofFamily } from '../../sandbox/checks/check.ts';
import { mustRun } from '../../sandbox/run.ts';
import { until } from '../../sandbox/until.ts';
import { agentReady, endpointsOn, faultyCluster, problemsOn, skip, statusOn } from './cluster.ts';
import type { Agent } from './cluster.ts';

const faulty = faultyCluster('faultsz');
const node = () => faulty().node('node1');
const STATE = '/run/cilium/state';
const QUEUE = '/run/cilium/deleteQueue';
let agent: Agent | undefined;

const shell = (script: string) => mustRun(node().enter(['sh', '-c', script], ['--net', '--mount']));
const fill = (directory: string) => shell(`dd if=/dev/zero of=${directory}/fill bs=4k 2>/dev/null || true`);
const call = (container: string, command = 'ADD') => cni(node(), { command, container, netns: `/run/netns/${container}` });
const reasons = async () => (await problemsOn(node())).map(({ reason }) => reason);
const knows = async (pod: string) => (await endpointsOn(node())).some((row) => row.pod === `faults/${pod}`);

async function othersWork(): Promise<void> {
  const { places } = faulty();
  await httpGet(places.client, url(ofFamily(places.serviceIps('echo'), 'IPv4'), 80));
  await httpGet(places.bypass, url(ofFamily(places.serviceIps('echo'), 'IPv6'), 80));
}

test('control: on a small disk with room pods come and go', { skip }, async () => {
  await faulty().dismissAgents();
  await shell(`mount -t tmpfs -o size=256k tmpfs ${STATE}; mkdir -p -m 700 ${QUEUE}; mount -t tmpfs -o size=16k tmpfs ${QUEUE}`);
  agent = faulty().start(node(), { args: ['--refresh', '2'] });
  await agentReady(node(), agent);
  for (const name of ['early', 'late', 'queued']) await shell(`ip netns add ${name}`);
  for (const name of ['early', 'queued']) assert.equal((await call(name)).code, 0);
  assert.ok(!(await reasons()).includes('DiskFull'));
});

test('a full disk: ADD says so, the Problem does, what is there goes on, and DEL works', { skip }, async () => {
  await fill(STATE);
  const { code, stdout } = await call('late');
  assert.notEqual(code, 0);
  assert.match(
    stdout,
    /Cannot add pod faults\/late: there is no room left on the file system of \S+state \(ENOSPC\)|Cannot write the endpoint.s file .*ENOSPC/,
  );
  await until('the Problem', 6000, async () => (await reasons()).includes('DiskFull'));
  assert.equal(await knows('late'), false);
  assert.equal(await shell('ip -n late -o link | grep -c eth0 || true'), '0\n');
  assert.equal((await statusOn(node())).agent.ok, true);
  await othersWork();
  assert.equal((await call('early', 'DEL')).code, 0);
  assert.equal(await knows('early'), false);
});

test('with room again the Problem goes, and pods come', { skip }, async () => {
  await shell(`rm ${STATE}/fill`);
  await until('no Problem', 6000, async () => !(await reasons()).includes('DiskFull'));
  assert.equal((await call('late')).code, 0);
});

test(
  'without an agent and without room for the queue a DEL fails, so that the runtime comes again; nothing is lost',
  { skip },
  async () => {
    await fill(QUEUE);
    agent?.signal('SIGKILL');
    await agent?.exited;
    const { code, stdout } = await call('queued', 'DEL');
    assert.notEqual(code, 0);
    assert.match(stdout, /Cannot leave the DEL for an agent to come.*No space left on device/);
    await othersWork();
    agent = faulty().start(node(), { args: ['--refresh', '2'] });
    await agentReady(node(), agent);
    assert.equal(await knows('queued'), true);
    assert.equal((await call('queued', 'DEL')).code, 0);
    assert.equal(await knows('queued'), false);
  },
);

test('an agent starts on a disk that is full, and takes over what there is', { skip }, async () => {
  agent?.signal('SIGTERM');
  await agent?.exited;
  await fill(STATE);
  agent = faulty().start(node(), { args: ['--refresh', '2'] });
  await agentReady(node(), agent);
  assert.equal(await knows('late'), true);
  await until('the Problem', 6000, async () => (await reasons()).includes('DiskFull'));
  await othersWork();
  assert.equal((await call('late', 'DEL')).code, 0);
});
