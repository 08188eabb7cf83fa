// SPDX-License-Identifier: Apache-2.0
// Every verb of the CNI specification in every version that has it, first and again, with an agent and without: the real plugin, the
// real agent, real namespaces. Then a thousand calls at random with an agent that is killed in between, after which nothing may be left.

import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { test } from 'node:test';
import { cni } from '../../sandbox/cni-call.ts';
import { mustRun, run } from '../../sandbox/run.ts';
import { until } from '../../sandbox/until.ts';
import { CNI_VERSIONS } from '../../src/endpoints/cni-reply.ts';
import type { CniVersion } from '../../src/endpoints/cni-reply.ts';
import { agentReady, differencesOn, endpointsOn, faultyCluster, skip } from './cluster.ts';
import type { Agent } from './cluster.ts';

const faulty = faultyCluster('faultsv');
const node = () => faulty().node('node1');
let agent: Agent | undefined;

const pathOf = (name: string) => `/run/netns/${name}`;
const makeNetns = (name: string) => mustRun(node().enter(['ip', 'netns', 'add', name], ['--net', '--mount']));
const removeNetns = (name: string) => mustRun(node().enter(['ip', 'netns', 'del', name], ['--net', '--mount']));
const inNetns = (name: string, command: readonly string[]) =>
  mustRun(node().enter(['ip', 'netns', 'exec', name, ...command], ['--net', '--mount']));

type Call = { readonly verb: string; readonly version: CniVersion; readonly container?: string; readonly more?: object };
type Answer = { readonly code: number; readonly json: Record<string, unknown> };

async function call({ verb, version, container = 'one', more = {} }: Call): Promise<Answer> {
  const input = JSON.stringify({ cniVersion: version, name: 'cilium', type: 'cilium-cni', ...more });
  const ran = await cni(node(), { command: verb, container, netns: pathOf(container), input });
  return { code: ran.code, json: ran.stdout === '' ? {} : JSON.parse(ran.stdout) };
}

async function start(): Promise<void> {
  agent = faulty().start(node());
  await agentReady(node(), agent);
}

async function kill(): Promise<void> {
  agent?.signal('SIGKILL');
  await agent?.exited;
}

const has = (version: CniVersion, since: CniVersion) => CNI_VERSIONS.indexOf(version) >= CNI_VERSIONS.indexOf(since);

test('an agent of the test', { skip }, async () => {
  await faulty().dismissAgents();
  await start();
  await makeNetns('one');
});

for (const version of CNI_VERSIONS) {
  test(`${version} with an agent: ADD and DEL, CHECK where there is one, each once and again`, { skip }, async () => {
    const added = await call({ verb: 'ADD', version });
    assert.deepEqual([added.code, added.json['cniVersion']], [0, version], JSON.stringify(added.json));
    assert.deepEqual((await call({ verb: 'ADD', version })).json, added.json, 'a repeated ADD');
    const more = { prevResult: added.json };
    const refused = has(version, '0.4.0') ? undefined : 1;
    for (let i = 0; i < 2; i++) {
      const checked = await call({ verb: 'CHECK', version, more });
      assert.deepEqual([checked.code, checked.json['code']], refused === undefined ? [0, undefined] : [1, refused]);
    }
    for (let i = 0; i < 2; i++) assert.deepEqual(await call({ verb: 'DEL', version, more }), { code: 0, json: {} });
    const gone = await call({ verb: 'CHECK', version, more });
    assert.deepEqual([gone.code, gone.json['code']], [1, refused ?? 3], 'CHECK of a container that is deleted');
  });

  test(`${version} with an agent: VERSION, STATUS and GC where there is one`, { skip }, async () => {
    const { json } = await call({ verb: 'VERSION', version });
    assert.deepEqual(json['supportedVersions'], CNI_VERSIONS);
    await call({ verb: 'ADD', version });
    const status = await call({ verb: 'STATUS', version });
    const valid = (await stored()).map((containerID) => ({ containerID, ifname: 'eth0' }));
    const more = { 'cni.dev/valid-attachments': valid.filter(({ containerID }) => containerID !== 'one') };
    const before = (await endpointsOn(node())).length;
    const collected = await call({ verb: 'GC', version, more });
    if (!has(version, '1.1.0')) {
      assert.deepEqual([status.json['code'], collected.json['code']], [1, 1]);
      assert.equal((await endpointsOn(node())).length, before);
    } else {
      assert.deepEqual([status.code, collected.code], [0, 0], JSON.stringify([status, collected]));
      assert.equal((await endpointsOn(node())).length, before - 1);
    }
    await call({ verb: 'DEL', version });
  });

  test(`${version} without an agent: what needs none is answered, ADD asks to try again, DEL is kept`, { skip }, async () => {
    const added = await call({ verb: 'ADD', version });
    assert.equal(added.code, 0);
    await kill();
    assert.deepEqual((await call({ verb: 'VERSION', version })).json['supportedVersions'], CNI_VERSIONS);
    const more = { prevResult: added.json };
    const answers = await Promise.all(['ADD', 'CHECK', 'STATUS', 'GC'].map((verb) => call({ verb, version, more })));
    assert.deepEqual(
      answers.map(({ code, json }) => [code, json['code']]),
      answers.map(() => [1, 11]),
    );
    for (let i = 0; i < 2; i++) assert.deepEqual(await call({ verb: 'DEL', version, more }), { code: 0, json: {} });
    assert.match(await inNetns('one', ['ip', '-o', 'link']), /eth0/, 'nobody has deleted it yet');
    await start();
    assert.doesNotMatch(await inNetns('one', ['ip', '-o', 'link']), /eth0/);
    assert.deepEqual(await differencesOn(node()), []);
  });
}

/** Containers of the node's endpoints, as their files have them. */
async function stored(): Promise<string[]> {
  const ran = await mustRun(node().enter(['sh', '-c', 'cat /run/cilium/state/*.json'], ['--mount']));
  return ran
    .trim()
    .split('\n')
    .map((line) => String(JSON.parse(line).containerId));
}

const damages: readonly (readonly [what: string, command: readonly string[], says: RegExp])[] = [
  ['its address is taken away', ['ip', '-4', 'addr', 'flush', 'dev', 'eth0'], /lost its address 10\./],
  ['it is down', ['ip', 'link', 'set', 'eth0', 'down'], /eth0 is down/],
  ['its route is taken away', ['ip', '-6', 'route', 'del', 'default'], /no default route by fe80::1/],
  ['its MAC is another', ['ip', 'link', 'set', 'eth0', 'address', '02:00:00:00:00:99'], /has MAC 02:00:00:00:00:99, wanted/],
  ['it has another name', ['sh', '-c', 'ip link set eth0 down && ip link set eth0 name eth9'], /has no interface eth0/],
];
for (const [what, damage, says] of damages)
  test(`CHECK of an interface finds that ${what}`, { skip }, async () => {
    const { json: prevResult } = await call({ verb: 'ADD', version: '1.0.0' });
    assert.equal((await call({ verb: 'CHECK', version: '1.0.0', more: { prevResult } })).code, 0);
    await inNetns('one', damage);
    const { code, json } = await call({ verb: 'CHECK', version: '1.0.0', more: { prevResult } });
    assert.deepEqual([code, json['code']], [1, 102]);
    assert.match(String(json['msg']), says);
    await call({ verb: 'DEL', version: '1.0.0' });
  });

test('CHECK with a result that names another address', { skip }, async () => {
  const { json } = await call({ verb: 'ADD', version: '1.0.0' });
  const ips = [{ address: '10.244.99.99/32', interface: 1 }];
  const checked = await call({ verb: 'CHECK', version: '1.0.0', more: { prevResult: { ...json, ips } } });
  assert.match(String(checked.json['msg']), /it has the addresses .*, prevResult names 10\.244\.99\.99/);
  await call({ verb: 'DEL', version: '1.0.0' });
});

test('behind another plugin ADD says that it wants to be the first', { skip }, async () => {
  const { json } = await call({ verb: 'ADD', version: '1.0.0', more: { prevResult: { cniVersion: '1.0.0' } } });
  assert.equal(json['code'], 7);
  assert.match(String(json['msg']), /wanted to be the first plugin of the list/);
});

test('a configuration or a plugin that somebody removes, and one that somebody adds', { skip }, async () => {
  const shell = (script: string) => run(node().enter(['sh', '-c', script], ['--mount']));
  const there = async (script: string) => (await shell(script)).code === 0;
  await shell('rm /etc/cni/net.d/05-cilium.conflist; rm /opt/cni/bin/cilium-cni; echo {} > /etc/cni/net.d/00-other.conflist');
  await until('all of it to be as it was', 5000, () =>
    there('test -s /etc/cni/net.d/05-cilium.conflist && test -x /opt/cni/bin/cilium-cni && test ! -e /etc/cni/net.d/00-other.conflist'),
  );
  assert.ok(await there('test -e /etc/cni/net.d/00-other.conflist.cilium_bak'));
});

/** What there is on the node, beside the map entries, which `maps --diff` compares. */
async function traces(): Promise<readonly string[]> {
  const script =
    "ip -o link | grep -o 'lxc[0-9a-f]*' | sort -u; ip route show proto 205; ip -6 route show proto 205; ls /run/cilium/state /run/cilium/deleteQueue";
  const out = await mustRun(node().enter(['sh', '-c', script], ['--net', '--mount']));
  return [...out.trim().split('\n'), ...(await endpointsOn(node())).map(({ pod, ipv4 }) => `${pod} ${ipv4}`)].toSorted();
}

const STEPS = Number(process.env['STENTOR_CNI_STEPS'] ?? 100);
const SLOTS = 8;
const KILLS_EVERY = 25;

/** A source of numbers that a seed repeats (Numerical Recipes' constants). */
function numbersFrom(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

test(`${STEPS} calls at random, with an agent that is killed now and then, leave nothing`, { skip }, async (t) => {
  const seed = Number(process.env['STENTOR_SEED'] ?? randomInt(1 << 30));
  t.diagnostic(`STENTOR_SEED=${seed}`);
  const random = numbersFrom(seed);
  const slots = Array.from({ length: SLOTS }, (_, i) => `slot${i}`);
  for (const name of slots) await makeNetns(name);
  const before = await traces();
  const results = new Map<string, object>();
  let kills = 0;
  for (let step = 0; step < STEPS; step++) {
    const container = slots[random(SLOTS)] ?? '';
    const version = CNI_VERSIONS[random(CNI_VERSIONS.length)] ?? '1.0.0';
    const what = random(10);
    const more = { prevResult: results.get(container) };
    if (random(KILLS_EVERY) === 0) {
      kills++;
      const calls = slots.slice(0, 3).map((name, i) => call({ verb: i === 0 ? 'ADD' : 'DEL', version, container: name }));
      await kill(); // under these calls
      if (random(2) === 0) await call({ verb: 'DEL', version, container });
      const restarted = start();
      await Promise.all(calls);
      await restarted;
    } else if (what < 4) {
      const { code, json } = await call({ verb: 'ADD', version, container });
      if (code === 0) results.set(container, json);
    } else if (what < 8) {
      assert.equal((await call({ verb: 'DEL', version, container })).code, 0, `step ${step}`);
    } else if (what === 8) {
      await call({ verb: 'CHECK', version, container, more });
    } else {
      const valid = (await stored()).filter((name) => name !== container).map((containerID) => ({ containerID, ifname: 'eth0' }));
      await call({ verb: 'GC', version: '1.1.0', more: { 'cni.dev/valid-attachments': valid } });
    }
  }
  const control = await call({ verb: 'ADD', version: '1.0.0', container: 'slot0' });
  assert.equal(control.code, 0);
  assert.notDeepEqual(await traces(), before, 'a pod that is there is seen');
  for (const container of slots) assert.equal((await call({ verb: 'DEL', version: '1.0.0', container })).code, 0);
  assert.deepEqual(await traces(), before);
  assert.deepEqual(await differencesOn(node()), []);
  for (const name of slots) assert.doesNotMatch(await inNetns(name, ['ip', '-o', 'link']), /eth0/);
  for (const name of [...slots, 'one']) await removeNetns(name);
  t.diagnostic(`${kills} kills`);
});
