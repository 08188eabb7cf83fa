// SPDX-License-Identifier: Apache-2.0
// The data plane does not need its agent: agents are killed, stopped, started anew and kept from starting, under traffic.

import assert from 'node:assert/strict';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { udpEcho, httpGet, url } from '../../sandbox/checks/traffic.ts';
import { ofFamily } from '../../sandbox/checks/check.ts';
import { mustRun, run } from '../../sandbox/run.ts';
import { until } from '../../sandbox/until.ts';
import { ip, ipFromBytes } from '../../src/base/ip.ts';
import { endpointCodec, lbFrontendCodec } from '../../src/datapath/schema.gen.ts';
import { BpfLink } from '../../src/kernel/link.ts';
import { BpfMap } from '../../src/kernel/map.ts';
import { agentReady, checkout, differencesOn, faultyCluster, skip } from './cluster.ts';
import type { Agent } from './cluster.ts';
import { assertUnharmed, trafficFromBoth } from './both-ways.ts';
import { startTraffic } from './traffic.ts';

const faulty = faultyCluster('faultsr');
let agent: Agent | undefined;
const running = () => agent ?? assert.fail('There is no agent');

/** The node's pinned links by name: which link, which program. */
async function pinnedLinks() {
  const directory = faulty().node('node1').path('/sys/fs/bpf/stentor/links');
  const names = await readdir(directory);
  return new Map(
    names.map((name) => {
      using link = BpfLink.openPinned(join(directory, name));
      const { id, programId } = link.info();
      return [name, { id, programId }];
    }),
  );
}

/** The addresses of the node's pods, as its data plane has them. */
async function pinnedEndpoints() {
  const directory = faulty().node('node1').path('/sys/fs/bpf/stentor/maps/endpoints');
  const [definition = ''] = await readdir(directory);
  using map = BpfMap.openPinned(join(directory, definition));
  return Array.from(map.entries(), ([key, value]) => ({ address: ipFromBytes(key), id: endpointCodec.decode(value).id }));
}

test('SIGKILL and restart under 200 new connections a second: none fails, and open ones go on', { skip }, async (t) => {
  await faulty().dismissAgents();
  const node = faulty().node('node1');
  agent = faulty().start(node);
  await agentReady(node, agent);
  const before = await pinnedLinks();
  const traffic = await trafficFromBoth(faulty(), { rate: 200 });
  await delay(1000); // traffic goes on meanwhile
  running().signal('SIGKILL');
  assert.equal(await running().exited, 137);
  await delay(1500); // traffic goes on meanwhile
  agent = faulty().start(node);
  const ms = await agentReady(node, agent);
  await delay(500); // traffic goes on meanwhile
  t.diagnostic(`${assertUnharmed(await traffic.tallies(), 500)}; ready again after ${ms.toFixed(0)} ms`);
  assert.deepEqual(await differencesOn(node), []);
  const after = await pinnedLinks();
  assert.deepEqual([...after.keys()].toSorted(), [...before.keys()].toSorted());
  for (const [name, { id, programId }] of after) {
    assert.equal(id, before.get(name)?.id, `${name} is another link`);
    assert.notEqual(programId, before.get(name)?.programId, `${name} still runs the program of the dead agent`);
  }
});

test('SIGTERM ends the agent in less than two seconds, also while the API is silent', { skip }, async (t) => {
  const node = faulty().node('node1');
  for (const silent of [false, true]) {
    faulty().cluster.faults.silent = silent;
    const started = performance.now();
    running().signal('SIGTERM');
    assert.equal(await running().exited, 0);
    const ms = performance.now() - started;
    t.diagnostic(`${ms.toFixed(0)} ms${silent ? ' with a silent API' : ''}`);
    assert.ok(ms < 2000, `${ms} ms`);
    faulty().cluster.faults.silent = false;
    if (silent) return;
    agent = faulty().start(node);
    await agentReady(node, agent);
  }
});

test('without an agent pods and services are reachable, and new connections come about', { skip }, async (t) => {
  const { places } = faulty();
  const traffic = await trafficFromBoth(faulty(), { rate: 200 });
  for (const from of [places.client, places.bypass]) {
    await httpGet(from, url(ofFamily(places.serviceIps('echo'), 'IPv6'), 80));
    await udpEcho(from, ofFamily(places.serviceIps('echo'), 'IPv4'), 80);
  }
  await httpGet(places.node('node1'), url(ofFamily(places.client.ips, 'IPv4'), 8080));
  await httpGet(places.echoOn('node3'), url(ofFamily(places.client.ips, 'IPv6'), 8080));
  await delay(1500); // traffic goes on meanwhile
  t.diagnostic(assertUnharmed(await traffic.tallies(), 200));
});

test('control: with the programs of one pod taken away, the same traffic fails', { skip }, async () => {
  const { places, pod } = faulty();
  const node = faulty().node('node1');
  const address = ofFamily(places.bypass.ips, 'IPv4');
  const route = await mustRun(node.enter(['ip', '-o', 'route', 'get', address]));
  const device = / dev (\S+)/.exec(route)?.[1] ?? assert.fail(route);
  const traffic = await startTraffic(faulty(), pod('bypass'), { rate: 50, targets: [[ofFamily(places.serviceIps('echo'), 'IPv4'), 80]] });
  await delay(500); // traffic goes on meanwhile
  await mustRun(node.enter(['tc', 'qdisc', 'del', 'dev', device, 'clsact']));
  await delay(1000); // traffic goes on meanwhile
  const { failed, opened } = await traffic.tally();
  assert.ok(opened > 10 && failed > 10, `${opened} opened, ${failed} failed`);
  await assert.rejects(httpGet(places.bypass, url(ofFamily(places.serviceIps('echo'), 'IPv4'), 80)));
});

test('an agent that starts repairs what was taken away', { skip }, async () => {
  const { places } = faulty();
  const node = faulty().node('node1');
  agent = faulty().start(node);
  await agentReady(node, agent);
  await httpGet(places.bypass, url(ofFamily(places.serviceIps('echo'), 'IPv4'), 80));
});

const byHand: readonly { readonly what: string; readonly command: (device: string) => readonly string[] }[] = [
  { what: "a pod's programs", command: (device) => ['tc', 'qdisc', 'del', 'dev', device, 'clsact'] },
  { what: 'one program of a pod', command: (device) => ['tc', 'filter', 'del', 'dev', device, 'ingress'] },
  { what: "a pod's interface", command: (device) => ['ip', 'link', 'del', device] },
  { what: 'all routes to pods of this node', command: () => ['ip', 'route', 'flush', 'proto', '205', 'scope', 'link'] },
  { what: 'all routes to other nodes', command: () => ['ip', '-6', 'route', 'flush', 'proto', '205'] },
];

for (const { what, command } of byHand)
  test(`taken away by hand and put back at once: ${what}`, { skip }, async (t) => {
    const { places } = faulty();
    const node = faulty().node('node1');
    const route = await mustRun(node.enter(['ip', '-o', 'route', 'get', ofFamily(places.bypass.ips, 'IPv4')]));
    const device = / dev (\S+)/.exec(route)?.[1] ?? assert.fail(route);
    await mustRun(node.enter(command(device)));
    const started = performance.now();
    await until(`${what} to be back`, 5000, async () => (await differencesOn(node)).length === 0);
    t.diagnostic(`${(performance.now() - started).toFixed(0)} ms`);
    await httpGet(places.bypass, url(ofFamily(places.serviceIps('echo'), 'IPv6'), 80));
    await httpGet(places.client, url(ofFamily(places.echoOn('node2').ips, 'IPv4'), 8080));
  });

/** Somebody else's hand in the service maps: one entry gone, one that nobody wants. */
test('map entries that others change show up in maps --diff, and are repaired at the next look', { skip }, async (t) => {
  const { places } = faulty();
  const node = faulty().node('node1');
  running().signal('SIGTERM');
  await running().exited;
  agent = faulty().start(node, { args: ['--refresh', '3'] });
  await agentReady(node, agent);
  const pins = node.path('/sys/fs/bpf/stentor/maps/lb_services');
  const [definition = ''] = await readdir(pins);
  using services = BpfMap.openPinned(join(pins, definition));
  const keys = [...services.entries()].map(([key]) => key);
  for (const key of keys) services.delete(key);
  const stdout = await run(node.command([join(checkout, 'bin', 'stentor'), 'maps', '--diff'])).then((ran) => ran.stdout);
  assert.match(stdout, /lb_services/);
  await assert.rejects(httpGet(places.bypass, url(ofFamily(places.serviceIps('echo'), 'IPv4'), 80)));
  const started = performance.now();
  await until('the entries to be back', 8000, async () => (await differencesOn(node)).length === 0);
  t.diagnostic(`${keys.length} entries back ${(performance.now() - started).toFixed(0)} ms after they were missed`);
  await httpGet(places.bypass, url(ofFamily(places.serviceIps('echo'), 'IPv4'), 80));
  const stray = Buffer.alloc(lbFrontendCodec.size);
  lbFrontendCodec.encodeInto({ address: ip('10.107.7.7'), port: 7, protocol: 6 }, stray, 0);
  services.update(stray, Buffer.alloc(services.valueSize));
  assert.deepEqual(
    (await differencesOn(node)).map(({ kind }) => kind),
    ['extra'],
  );
  await until('the stray entry to be gone', 8000, () => services.lookup(stray) === undefined);
});

/** Somebody else's hand on the hooks: a link that is detached, and one whose pin is gone. */
test('programs that others take off devices and the cgroup show up in maps --diff, and are attached again', { skip }, async () => {
  const { places } = faulty();
  const node = faulty().node('node1');
  const directory = node.path('/sys/fs/bpf/stentor/links');
  const [uplink] = (await readdir(directory)).filter((name) => !name.startsWith('sock_')).toSorted();
  for (const name of [uplink ?? '', 'sock_connect4']) {
    using link = BpfLink.openPinned(join(directory, name));
    await link.detach();
  }
  await rm(join(directory, 'sock_connect6'));
  const { stdout, code } = await run(node.command([join(checkout, 'bin', 'stentor'), 'maps', '--diff']));
  const rows = stdout.split('\n').flatMap((line) => /^attachments +(\w+) +(\S+)/.exec(line)?.slice(1, 3).join(' ') ?? []);
  assert.deepEqual([code, rows.toSorted()], [1, [`different ${uplink}`, 'different sock_connect4', 'missing sock_connect6'].toSorted()]);
  await until('the programs to be back', 8000, async () => (await differencesOn(node)).length === 0);
  await httpGet(places.node('node1'), url(ofFamily(places.serviceIps('echo'), 'IPv4'), 80));
  await httpGet(places.node('node1'), url(ofFamily(places.serviceIps('echo'), 'IPv6'), 80));
});

test('an idle agent writes nothing and sleeps', { skip }, async (t) => {
  const ticks = async () =>
    (await readFile(`/proc/${running().pid}/stat`, 'utf8'))
      .split(' ')
      .slice(13, 15)
      .reduce((sum, word) => sum + Number(word), 0);
  const before = await ticks();
  await delay(2000); // traffic goes on meanwhile
  const used = (await ticks()) - before;
  t.diagnostic(`${used * 5} ms of CPU a second`);
  assert.ok(used <= 20, `${used} ticks of 10 ms in 2 s`);
});

test('a pod that is deleted leaves nothing: no interface, route, map entry or file', { skip }, async () => {
  const { cluster, places, pod } = faulty();
  const node = faulty().node('node1');
  const { ips } = places.client;
  const { metadata } = pod('client');
  const stentor = join(checkout, 'bin', 'stentor');
  const traces = async () => {
    const asked = [
      ['ip', '-o', 'link'],
      ['ip', 'route'],
      ['ip', '-6', 'route'],
      ['sh', '-c', 'cat /run/cilium/state/*.json'],
      [stentor, 'tables', 'endpoints'],
      [stentor, 'tables', 'endpoint_entries'],
    ];
    const texts = await Promise.all(asked.map((command) => run(node.command(command))));
    return texts.map(({ stdout }) => stdout).join('\n');
  };
  const mentions = (text: string) => ips.filter((ip) => text.includes(`"${ip}"`) || text.includes(`${ip} `));
  assert.equal(mentions(await traces()).length, 2);
  const links = (text: string) => text.split('\n').filter((line) => /^\d+: lxc/.test(line)).length;
  const linksBefore = links(await traces());
  cluster.store.delete('pods', metadata, { gracePeriodSeconds: 0 });
  await until('traces to be gone', 5000, async () => mentions(await traces()).length === 0);
  assert.equal(links(await traces()), linksBefore - 1);
  assert.deepEqual(await differencesOn(node), []);
});

test('an agent whose endpoint files are gone takes nothing away from the pods that live', { skip }, async () => {
  const node = faulty().node('node1');
  const { places } = faulty();
  running().signal('SIGKILL');
  await running().exited;
  const before = new Map((await pinnedEndpoints()).map(({ address, id }) => [address, id]));
  const files = node.path('/run/cilium/state');
  await Promise.all((await readdir(files)).map((name) => rm(join(files, name))));
  agent = faulty().start(node);
  await agentReady(node, agent);
  await httpGet(places.bypass, url(ofFamily(places.serviceIps('echo'), 'IPv4'), 80));
  await httpGet(places.echoOn('node3'), url(ofFamily(places.echoOn('node1').ips, 'IPv6'), 8080));
  assert.deepEqual(new Map((await pinnedEndpoints()).map(({ address, id }) => [address, id])), before);
  assert.equal((await readdir(files)).length, new Set(before.values()).size, 'each endpoint has a file again');
  assert.deepEqual(await differencesOn(node), []);
});
