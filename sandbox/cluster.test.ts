// SPDX-License-Identifier: Apache-2.0
// A real cluster with a CNI plugin of thirty lines: what the kubelet, the controllers and the streams do together.
import assert from 'node:assert/strict';
import { chmod, copyFile, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { sandboxCgroup } from './cgroup.ts';
import { startCluster } from './cluster.ts';
import type { Cluster } from './cluster.ts';
import { layoutFor, netnsOf } from './layout.ts';
import { kubectlIn } from './kubectl.ts';
import { conditionIs, isReady, nodesIn, podAt } from './objects.ts';
import { removeRemains } from './remains.ts';
import { run } from './run.ts';
import { until } from './until.ts';

const skip = process.getuid?.() === 0 ? false : 'needs root: makes network namespaces and mounts';
const checkout = join(import.meta.dirname, '..');
const stack = new AsyncDisposableStack();
const key = { namespace: 'default', name: 'web' };
const errors: string[] = [];
let layout = layoutFor(checkout, `t${process.pid}`);
let cluster: Cluster;

before(async () => {
  if (skip !== false) return;
  layout = { ...layout, stateDir: await mkdtemp(join(tmpdir(), 'stentor-sandbox-')) };
  cluster = await startCluster(layout, stack, (message) => errors.push(message));
});

after(async () => {
  if (skip !== false) return;
  await stack.disposeAsync();
  await removeRemains(layout);
  await rm(layout.stateDir, { recursive: true, force: true });
});

const node1 = () => cluster.nodes[0] ?? assert.fail('There is no node');
const kubectl = (words: readonly string[], input = '') =>
  run([kubectlIn(checkout), '--kubeconfig', cluster.kubeconfig, ...words], { input });
const ready = () => until('the pod to be ready', 15_000, () => isReady(podAt(cluster.store, key) ?? assert.fail('There is no pod')));
const container = () => podAt(cluster.store, key)?.status?.containerStatuses?.[0];

test('nodes have ranges of both families and are not ready before there is a CNI configuration', { skip }, async () => {
  await until('ranges', 5_000, () => nodesIn(cluster.store).every(({ spec }) => spec.podCIDRs?.length === 2));
  const [node] = nodesIn(cluster.store);
  assert.ok(conditionIs(node?.status?.conditions, 'Ready', 'False'));
  assert.match(node?.status?.conditions?.find(({ type }) => type === 'Ready')?.message ?? '', /cni plugin not initialized/);
});

test('nodes become ready with the configuration', { skip }, async () => {
  for (const node of cluster.nodes) {
    const program = node.path('/opt/cni/bin/test-cni');
    await copyFile(join(import.meta.dirname, 'testdata', 'test-cni.sh'), program);
    await chmod(program, 0o755);
    await writeFile(
      node.path('/etc/cni/net.d/10-test.conflist'),
      JSON.stringify({ cniVersion: '1.0.0', name: 'test', plugins: [{ type: 'test-cni' }] }),
    );
  }
  await until('nodes to be ready', 5_000, () =>
    nodesIn(cluster.store).every(({ status }) => conditionIs(status?.conditions, 'Ready', 'True')),
  );
});

test("a pod gets its network after a refusal, which is an event with the plugin's words", { skip }, async () => {
  const main = {
    name: 'main',
    image: 'image',
    command: ['sh', '-c', 'echo started; while [ ! -e /run/fail ]; do sleep 0.05; done; rm /run/fail; exit 3'],
    env: [{ name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } }],
    readinessProbe: { exec: { command: ['true'] }, periodSeconds: 1 },
  };
  cluster.store.create('pods', { metadata: key, spec: { nodeName: 'node1', containers: [main] } });
  await ready();
  assert.equal(podAt(cluster.store, key)?.status?.podIP, '10.244.99.2');
  const messages = cluster.store.list('events').map(({ message }) => message as string); // as: the API wants text there
  assert.ok(
    messages.some((message) => message.includes('plugin type="test-cni" failed (add): try again later; first call')),
    messages.join('\n'),
  );
});

test('the plugin is called as the specification says', { skip }, async () => {
  const calls = (await readFile(node1().path('/run/test-cni.log'), 'utf8')).trim().split('\n');
  assert.deepEqual(
    calls.map((call) => call.split(' ')[0]),
    ['ADD', 'DEL', 'ADD'],
  );
  const [, interfaceName, netns, args = '', input = ''] = calls[2]?.split(' ') ?? [];
  assert.equal(interfaceName, 'eth0');
  assert.match(netns ?? '', /^\/run\/netns\/cni-/);
  assert.match(args, /K8S_POD_NAMESPACE=default;K8S_POD_NAME=web;/);
  assert.deepEqual(JSON.parse(input), { type: 'test-cni', name: 'test', cniVersion: '1.0.0' });
});

test('the pod has a network, a host name, an environment and a cgroup of its own, and its node reaches it', { skip }, async () => {
  const { stdout } = await kubectl([
    'exec',
    'web',
    '--',
    'sh',
    '-c',
    'hostname; echo $IP; ls /sys/class/net | tr "\\n" " "; tail -n 1 /proc/self/cgroup; cat /etc/resolv.conf',
  ]);
  assert.match(stdout, /^web\n10\.244\.99\.2\neth0 lo .*\/node1\/kubepods\/pod/);
  assert.match(stdout, /nameserver 10\.96\.0\.10/);
  assert.equal((await run(node1().command(['ping', '-c', '1', '-W', '2', '10.244.99.2']))).code, 0);
});

test('exec passes input, output and the exit code on', { skip }, async () => {
  const { stdout, stderr, code } = await kubectl(['exec', '-i', 'web', '--', 'sh', '-c', 'cat; echo to stderr >&2; exit 7'], 'to stdin');
  assert.deepEqual([stdout, code], ['to stdin', 7]);
  assert.match(stderr, /to stderr/);
});

test('a container that ends is started again, and its earlier log is kept', { skip }, async () => {
  assert.equal((await kubectl(['logs', 'web'])).stdout, 'started\n');
  await writeFile(node1().path('/run/fail'), '');
  await until('a restart', 5_000, () => container()?.restartCount === 1);
  await ready();
  assert.equal((await kubectl(['logs', 'web', '--previous'])).stdout, 'started\n');
  assert.equal(container()?.lastState.terminated?.exitCode, 3);
});

test('a mount point that is not there is refused with a reason', { skip }, async () => {
  const spec = {
    nodeName: 'node1',
    containers: [{ name: 'main', image: 'image', command: ['true'], volumeMounts: [{ name: 'data', mountPath: '/nowhere' }] }],
    volumes: [{ name: 'data', emptyDir: {} }],
  };
  cluster.store.create('pods', { metadata: { namespace: 'default', name: 'lost' }, spec });
  await until('an event', 5_000, () =>
    cluster.store.list('events').some(({ reason, message }) => reason === 'FailedMount' && message.includes('/nowhere')),
  );
  cluster.store.delete('pods', { namespace: 'default', name: 'lost' }, { gracePeriodSeconds: 1 });
  await assert.rejects(stat('/nowhere'));
});

test('a deleted pod leaves no process, no namespace and no object', { skip }, async () => {
  cluster.store.delete('pods', key, { gracePeriodSeconds: 1 });
  await until('the pod to be gone', 5_000, () => podAt(cluster.store, key) === undefined);
  await until('the other pod to be gone', 5_000, () => podAt(cluster.store, { namespace: 'default', name: 'lost' }) === undefined);
  assert.match(await readFile(node1().path('/run/test-cni.log'), 'utf8'), /\nDEL [^\n]*K8S_POD_NAME=web;/);
  assert.deepEqual(await readdir(node1().path('/run/netns')), []);
  const pods = (await readdir(join(node1().cgroup, 'kubepods'))).filter((name) => name.startsWith('pod'));
  assert.deepEqual(pods, []);
});

test('nothing is left when the sandbox has been removed', { skip }, async () => {
  await stack.disposeAsync();
  assert.equal(await removeRemains(layout), true);
  assert.equal(await removeRemains(layout), false);
  await assert.rejects(stat(await sandboxCgroup(layout)));
  assert.ok(!(await readdir('/run/netns')).includes(netnsOf(layout, 'node1')));
  assert.ok(!(await readFile('/proc/mounts', 'utf8')).includes(layout.stateDir));
  assert.deepEqual(errors, []);
});
