// SPDX-License-Identifier: Apache-2.0
// The CNI socket and its plugin with whatever may come: every bad request is one error in CNI's shape, and good ones beside it
// are served.

import assert from 'node:assert/strict';
import { randomBytes, randomInt } from 'node:crypto';
import { connect } from 'node:net';
import { test } from 'node:test';
import { cni, networkConfig } from '../../sandbox/cni-call.ts';
import type { CniCall } from '../../sandbox/cni-call.ts';
import { ofFamily } from '../../sandbox/checks/check.ts';
import { httpGet, url } from '../../sandbox/checks/traffic.ts';
import type { SandboxNode } from '../../sandbox/node.ts';
import { mustRun } from '../../sandbox/run.ts';
import { until } from '../../sandbox/until.ts';
import { agentReady, differencesOn, endpointsOn, faultyCluster, problemsOn, skip, statusOn } from './cluster.ts';

const faulty = faultyCluster('faultsc');
const node = (): SandboxNode => faulty().node('node1');

const makeNetns = (name: string, where = node()): Promise<string> =>
  mustRun(where.enter(['ip', 'netns', 'add', name], ['--net', '--mount']));
const deleteNetns = (name: string, where = node()): Promise<string> =>
  mustRun(where.enter(['ip', 'netns', 'del', name], ['--net', '--mount']));
const inNetns = (name: string, command: readonly string[], where = node()): Promise<string> =>
  mustRun(where.enter(['ip', 'netns', 'exec', name, ...command], ['--net', '--mount']));

type Answer = { readonly code: number; readonly msg: string; readonly details?: string };

async function refused(call: CniCall, where = node()): Promise<Answer> {
  const ran = await cni(where, call);
  assert.equal(ran.code, 1, `${JSON.stringify(call)}: ${ran.stdout}${ran.stderr}`);
  const answer: Answer = JSON.parse(ran.stdout); // CNI's error, whose fields the next line looks at
  assert.ok(answer.code > 0 && answer.msg.length > 10, ran.stdout);
  return answer;
}

async function added(call: CniCall, where = node()): Promise<readonly string[]> {
  const ran = await cni(where, call);
  assert.equal(ran.code, 0, ran.stdout + ran.stderr);
  const result: { readonly ips: readonly { readonly address: string }[] } = JSON.parse(ran.stdout);
  return result.ips.map(({ address }) => address.split('/')[0] ?? '');
}

/** The agent is the same process as in the beginning, it is well, and nothing of the bad requests is left. */
async function assertUnimpressed(endpoints: number): Promise<void> {
  assert.equal((await statusOn(node())).agent.ok, true);
  assert.equal((await endpointsOn(node())).length, endpoints);
  assert.deepEqual(await differencesOn(node()), []);
  const restarts = faulty()
    .cluster.store.list('pods', { namespace: 'kube-system', labelSelector: 'k8s-app=cilium' })
    .map(({ status }) => status?.containerStatuses?.[0]?.restartCount);
  assert.deepEqual(restarts, [0, 0, 0]);
}

const good = { container: 'hostile', netns: '/run/netns/hostile' };
const hostile: readonly { readonly what: string; readonly call: Partial<CniCall>; readonly code: number; readonly says: RegExp }[] = [
  {
    what: 'a namespace path that is not there',
    call: { netns: '/run/netns/nowhere' },
    code: 4,
    says: /CNI_NETNS=\/run\/netns\/nowhere: ENOENT/,
  },
  { what: 'a namespace path that is a file', call: { netns: '/etc/passwd' }, code: 4, says: /CNI_NETNS=\/etc\/passwd: it is no namespace/ },
  { what: 'a namespace path that blocks its reader', call: { netns: '/run/fifo' }, code: 4, says: /it is no namespace/ },
  {
    what: 'a namespace of another kind',
    call: { netns: '/proc/self/ns/mnt' },
    code: 4,
    says: /Cannot use CNI_NETNS=\/proc\/self\/ns\/mnt: setns on/,
  },
  { what: "the node's own namespace", call: { netns: '/proc/self/ns/net' }, code: 4, says: /it is the node's own/ },
  { what: 'a relative namespace path', call: { netns: 'netns/x' }, code: 4, says: /an absolute path/ },
  { what: 'a path with ..', call: { netns: '/run/netns/../../etc' }, code: 4, says: /without '\.\.'/ },
  { what: 'an interface name that is a path', call: { interfaceName: '../../x' }, code: 4, says: /CNI_IFNAME/ },
  { what: 'an interface name that is taken', call: { interfaceName: 'lo' }, code: 11, says: /Cannot connect pod/ },
  { what: 'a container id that is a path', call: { container: '../../etc/passwd', pod: 'x' }, code: 4, says: /CNI_CONTAINERID/ },
  { what: 'no container id', call: { container: '', pod: 'x' }, code: 4, says: /CNI_CONTAINERID/ },
  { what: 'a pod name with a newline', call: { pod: 'x\n{"code":0}' }, code: 4, says: /K8S_POD_NAME/ },
  { what: 'arguments that are no pairs', call: { env: { CNI_ARGS: '=;=;;' } }, code: 4, says: /CNI_ARGS/ },
  { what: 'an unknown command', call: { command: 'ERASE' }, code: 4, says: /ERASE/ },
  { what: 'no configuration', call: { input: '' }, code: 6, says: /network configuration/ },
  { what: 'a configuration that is no JSON', call: { input: '{"cniVersion":' }, code: 6, says: /wanted a JSON object/ },
  { what: 'a list', call: { input: '[]' }, code: 6, says: /wanted a JSON object/ },
  { what: 'a version of the future', call: { input: '{"cniVersion":"9.0.0","name":"cilium"}' }, code: 1, says: /9\.0\.0/ },
  {
    what: 'a result of another plugin',
    call: { input: '{"cniVersion":"1.0.0","name":"cilium","prevResult":{}}' },
    code: 7,
    says: /prevResult/,
  },
  { what: 'a megabyte and more', call: { input: ' '.repeat((1 << 20) + 5) }, code: 5, says: /at most 1 MiB/ },
  {
    what: 'deep nesting',
    call: { input: `{"cniVersion":"1.0.0","name":"cilium","a":${'['.repeat(100_000)}` },
    code: 6,
    says: /JSON object/,
  },
];

test('a namespace for hostile calls', { skip }, async () => {
  await makeNetns('hostile');
  await mustRun(node().enter(['mkfifo', '/run/fifo'], ['--mount']));
});

for (const { what, call, code, says } of hostile)
  test(`refused through the plugin: ${what}`, { skip }, async () => {
    const answer = await refused({ ...good, ...call });
    assert.match(`${answer.msg} ${answer.details ?? ''}`, says);
    assert.equal(answer.code, code);
  });

test('after all of these the agent is as before, and the same namespace is connected', { skip }, async (t) => {
  const before = (await endpointsOn(node())).length;
  await assertUnimpressed(before);
  const addresses = await added(good);
  assert.deepEqual(await added(good), addresses, 'an ADD that is repeated gives the same addresses');
  t.diagnostic(`added twice: ${addresses.join(', ')}`);
  const taken = await refused({ ...good, container: 'second' });
  assert.match(taken.msg, /EEXIST/);
  assert.match(
    await inNetns('hostile', ['ip', '-o', 'addr']),
    new RegExp(`eth0 .*${addresses[0]}/32`),
    'the interface of another container is left alone',
  );
  for (let i = 0; i < 2; i++) assert.equal((await cni(node(), { ...good, command: 'DEL' })).code, 0);
  assert.doesNotMatch(await inNetns('hostile', ['ip', '-o', 'link']), /eth0/);
  await assertUnimpressed(before);
});

function sendRaw(bytes: Buffer, end = true): Promise<Buffer> {
  const { promise, resolve } = Promise.withResolvers<Buffer>();
  const chunks: Buffer[] = [];
  const socket = connect({ path: node().path('/run/cilium/cni.sock'), allowHalfOpen: true });
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.on('error', () => undefined); // an agent that refuses early closes before it has read all
  socket.on('close', () => resolve(Buffer.concat(chunks)));
  socket.on('end', () => socket.destroy());
  if (end) socket.end(bytes);
  else socket.write(bytes);
  return promise;
}

test('random bytes and half requests on the socket, with good calls beside them', { skip }, async (t) => {
  const seed = randomInt(1 << 30);
  t.diagnostic(`seed ${seed} is of the number of bytes alone; a failing message is printed`);
  const before = (await endpointsOn(node())).length;
  const silent = Array.from({ length: 50 }, () => connect(node().path('/run/cilium/cni.sock')).on('error', () => undefined));
  const frame = Buffer.from(
    `CNI_COMMAND=ADD\0CNI_CONTAINERID=x\0CNI_NETNS=/run/netns/nowhere\0CNI_IFNAME=eth0\0CNI_ARGS=K8S_POD_NAMESPACE=a;K8S_POD_NAME=b\0\0${networkConfig}`,
  );
  const messages = Array.from({ length: 300 }, (_, i) => {
    if (i % 3 === 0) return randomBytes((seed + i * 7919) % 4096);
    if (i % 3 === 1) return frame.subarray(0, (seed + i) % frame.length);
    const broken = Buffer.from(frame);
    broken[(seed + i) % broken.length] = i % 256;
    return broken;
  });
  const names = Array.from({ length: 5 }, (_, i) => `beside${i}`);
  for (const name of names) await makeNetns(name);
  const calls = names.map((name) => added({ container: name, netns: `/run/netns/${name}` }));
  const replies = await Promise.all(messages.map((message) => sendRaw(message)));
  for (const [i, reply] of replies.entries()) {
    assert.equal(reply[0], 1, `${messages[i]?.toString('hex')}: ${reply.toString()}`);
    assert.ok(JSON.parse(reply.toString('utf8', 1)).msg);
  }
  const tooLong = await sendRaw(Buffer.alloc(3 << 20, 'x'));
  assert.match(tooLong.toString(), /^$|more than 1048576 bytes/);
  const addresses = (await Promise.all(calls)).flat();
  assert.equal(new Set(addresses).size, 10);
  for (const name of names) assert.equal((await cni(node(), { command: 'DEL', container: name, netns: `/run/netns/${name}` })).code, 0);
  for (const socket of silent) socket.destroy();
  await assertUnimpressed(before);
});

test('good and bad ADDs at once: the good ones are served', { skip }, async (t) => {
  const before = (await endpointsOn(node())).length;
  const names = Array.from({ length: 10 }, (_, i) => `mixed${i}`);
  for (const name of names) await makeNetns(name);
  const started = performance.now();
  const all = names.flatMap((name) => [
    added({ container: name, netns: `/run/netns/${name}` }),
    refused({ container: `bad${name}`, netns: '/proc/self/ns/mnt' }),
    refused({ container: `none${name}`, netns: '/run/netns/nowhere' }),
  ]);
  await Promise.all(all);
  t.diagnostic(`10 good and 20 bad in ${(performance.now() - started).toFixed(0)} ms`);
  await Promise.all(names.map((name) => cni(node(), { command: 'DEL', container: name, netns: `/run/netns/${name}` })));
  await assertUnimpressed(before);
});

test('a pod whose namespace is gone without a DEL is a Problem of its own; others come and go', { skip }, async () => {
  const before = (await endpointsOn(node())).length;
  for (const name of ['ghost', 'living']) await makeNetns(name);
  await added({ container: 'ghost', netns: '/run/netns/ghost' });
  await deleteNetns('ghost');
  const ghosts = async () => (await problemsOn(node())).filter(({ object }) => object === 'Pod faults/ghost');
  await until('a Problem', 15_000, async () => (await ghosts()).length > 0);
  const [row, ...more] = await ghosts();
  assert.deepEqual(more, []);
  assert.equal(row?.reason, 'CannotProgram');
  assert.match(row?.message ?? '', /\/run\/netns\/ghost/);
  assert.equal((await statusOn(node())).agent.ok, true);
  await added({ container: 'living', netns: '/run/netns/living' });
  await httpGet(faulty().places.client, url(ofFamily(faulty().places.serviceIps('echo'), 'IPv4'), 80));
  for (const container of ['living', 'ghost']) assert.equal((await cni(node(), { command: 'DEL', container })).code, 0);
  await until('no Problem', 3000, async () => (await ghosts()).length === 0);
  await assertUnimpressed(before);
});

type Ranges = { readonly podCIDR: string; readonly podCIDRs: readonly string[] };

/** Gives node3 other ranges than the API would let it have; returns those that it had. */
function changeRanges(spec: Ranges): Ranges {
  const { store } = faulty().cluster;
  const { podCIDR, podCIDRs, ...rest } = store.get('nodes', { name: 'node3' })?.['spec'] ?? {};
  store.force('nodes', { ...store.get('nodes', { name: 'node3' }), spec: { ...rest, ...spec } });
  return { podCIDR, podCIDRs };
}

test('a node without a podCIDR: try again later, and it works as soon as there is one', { skip }, async () => {
  const third = faulty().node('node3');
  const call = { container: 'early', netns: '/run/netns/early' };
  await makeNetns('early', third);
  const before = changeRanges({ podCIDR: '', podCIDRs: [] });
  try {
    await until('a Problem', 3000, async () =>
      (await problemsOn(third)).some(({ object, reason }) => object === 'Node node3' && reason === 'NoPodCidr'),
    );
    const answer = await refused(call, third);
    assert.equal(answer.code, 11);
    assert.match(answer.msg, /Node node3 has no range in spec\.podCIDRs/);
    assert.equal((await statusOn(third)).agent.ok, false);
  } finally {
    changeRanges(before);
  }
  await agentReady(third);
  const [ipv4 = ''] = await added(call, third);
  assert.match(ipv4, /^10\.244\.\d+\.\d+$/);
  assert.equal((await cni(third, { ...call, command: 'DEL' })).code, 0);
  assert.ok(!(await problemsOn(third)).some(({ object }) => object === 'Node node3'));
});

test('a range that is full says so, and an address that is given back is given again', { skip }, async () => {
  const third = faulty().node('node3');
  const names = ['one', 'two', 'three'];
  for (const name of names) await makeNetns(name, third);
  const call = (name: string, command = 'ADD') => ({ command, container: name, netns: `/run/netns/${name}` });
  const before = changeRanges({ podCIDR: '10.244.177.0/30', podCIDRs: ['10.244.177.0/30', 'fd00:10:244:77::/64'] });
  try {
    await until('the range', 3000, async () => (await statusOn(third)).ipam.some(({ prefix }) => prefix === '10.244.177.0/30'));
    const addresses = [...(await added(call('one'), third)), ...(await added(call('two'), third))];
    assert.deepEqual(addresses.filter((address) => address.includes('.')).toSorted(), ['10.244.177.1', '10.244.177.2']);
    const answer = await refused(call('three'), third);
    assert.equal(answer.code, 101);
    assert.match(answer.msg, /Range is full: all 2 addresses of 10\.244\.177\.0\/30 are in use/);
    assert.equal((await cni(third, call('one', 'DEL'))).code, 0);
    assert.equal((await added(call('three'), third))[0], '10.244.177.1');
  } finally {
    for (const name of names) await cni(third, call(name, 'DEL'));
    changeRanges(before);
  }
  await agentReady(third);
});
