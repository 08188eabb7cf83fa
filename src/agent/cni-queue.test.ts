// SPDX-License-Identifier: Apache-2.0
// DELs of the real plugin while there is no agent, and the agent that comes.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { cniRequest } from '../endpoints/cni-protocol.ts';
import type { CniReply } from '../endpoints/cni-reply.ts';
import { CniCode, failed } from '../endpoints/cni-reply.ts';
import { cniQueue } from './cni-queue.ts';
import { serveCni } from './cni-server.ts';

const root = mkdtempSync(join(tmpdir(), 'stentor-queue-'));
const plugin = fileURLToPath(new URL('../../build/cni/cilium-cni', import.meta.url));
before(() => execFileSync('make', ['-s', '-C', fileURLToPath(new URL('../../cni', import.meta.url))]));
after(() => rmSync(root, { recursive: true }));

let [tests, socket, directory] = [0, '', ''];
beforeEach(() => {
  const folder = join(root, String(tests++));
  mkdirSync(folder);
  [socket, directory] = [join(folder, 'cni.sock'), join(folder, 'deleteQueue')];
});

type Run = { readonly code: number | null; readonly stdout: string };

function run(command: string, container: string, interfaceName = 'eth0'): Promise<Run> {
  const env = {
    STENTOR_CNI_SOCKET: socket,
    CNI_COMMAND: command,
    CNI_CONTAINERID: container,
    CNI_NETNS: '/run/netns/x',
    CNI_IFNAME: interfaceName,
    CNI_ARGS: 'K8S_POD_NAMESPACE=shop;K8S_POD_NAME=cart-0',
  };
  return new Promise((resolve) => {
    const child = spawn(plugin, { env, stdio: ['pipe', 'pipe', 'inherit'] });
    let stdout = '';
    child.stdout.on('data', (chunk) => (stdout += chunk));
    child.stdin.end('{"cniVersion":"1.0.0","name":"cilium","type":"cilium-cni"}');
    child.on('close', (code) => resolve({ code, stdout }));
  });
}

const done = (): Promise<CniReply> => Promise.resolve({ kind: 'done' });
const queued = () => readdirSync(directory).toSorted();

test('without an agent a DEL is left on disk, once however often it is asked, and ADD is an error', async () => {
  for (let i = 0; i < 2; i++) assert.deepEqual(await run('DEL', 'a3f1'), { code: 0, stdout: '' });
  await run('DEL', 'a3f1', 'net1');
  assert.deepEqual(queued(), ['a3f1@eth0', 'a3f1@net1']);
  assert.equal(statSync(directory).mode & 0o777, 0o700);
  const request = cniRequest(readFileSync(join(directory, 'a3f1@eth0')));
  assert.deepEqual(request.kind === 'del' && [request.containerId, request.ifName], ['a3f1', 'eth0']);
  const add = await run('ADD', 'b');
  assert.equal(JSON.parse(add.stdout).code, 11);
  assert.deepEqual(queued(), ['a3f1@eth0', 'a3f1@net1']);
});

test('the agent that comes does them, and what it cannot do is a Problem and stays', async () => {
  for (const container of ['good', 'bad']) await run('DEL', container);
  writeFileSync(join(directory, 'broken@eth0'), 'CNI_COMMAND=DEL');
  writeFileSync(
    join(directory, 'add@eth0'),
    readFileSync(join(directory, 'good@eth0'), 'latin1').replace('CNI_COMMAND=DEL', 'CNI_COMMAND=ADD'),
  );
  writeFileSync(join(directory, '.half@eth0.77'), 'CNI_');
  const asked: string[] = [];
  const { done: count, problems } = await cniQueue(socket).replay(({ containerId }) => {
    asked.push(containerId);
    return containerId === 'bad' ? Promise.resolve(failed(CniCode.tryAgainLater, 'the kernel is busy')) : done();
  });
  assert.equal(count, 1);
  assert.deepEqual(asked.toSorted(), ['bad', 'good']);
  assert.deepEqual(problems.map(({ message }) => /: (.*)/.exec(message)?.[1] ?? '').toSorted(), [
    'Cannot read a request of 15 bytes: its environment has no end',
    'it asks for ADD, wanted DEL',
    'the kernel is busy',
  ]);
  assert.deepEqual(queued(), ['.half@eth0.77', 'add@eth0', 'bad@eth0', 'broken@eth0']);
});

test('a container that is added anew is not ended by an older DEL', async () => {
  await run('DEL', 'a3f1');
  cniQueue(socket).forget({ containerId: 'a3f1', ifName: 'eth0' });
  assert.deepEqual(queued(), []);
});

test('an agent that dies before it answers leaves the DEL to the next one', async () => {
  const server = createServer((client) => client.destroy()).listen(socket);
  assert.equal((await run('DEL', 'a3f1')).code, 0);
  await new Promise((resolve) => server.close(resolve));
  assert.deepEqual(queued(), ['a3f1@eth0']);
});

test('a container whose name is no file name, and a queue that is full, are errors', async () => {
  for (const name of ['../up', '.hidden', 'a'.repeat(300)]) assert.equal(JSON.parse((await run('DEL', name)).stdout).code, 11, name);
  assert.throws(() => readdirSync(directory), { code: 'ENOENT' });
  mkdirSync(directory);
  for (let i = 0; i < 4096; i++) writeFileSync(join(directory, `c${i}@eth0`), '');
  const full = JSON.parse((await run('DEL', 'a3f1')).stdout);
  assert.equal(full.code, 11);
  assert.match(full.details, /deleteQueue: No space left on device/);
  assert.equal(queued().length, 4096);
});

test('of DELs around the moment at which an agent comes none is lost', async (t) => {
  const containers = Array.from({ length: 60 }, (_, i) => `c${i}`);
  const handled = new Set<string>();
  const handle = ({ containerId }: { readonly containerId: string }) => {
    handled.add(containerId);
    return done();
  };
  const runs = containers.map(async (container, i) => {
    await delay(i * 25); // so that they come one after another
    return run('DEL', container);
  });
  await delay(1500); // time in which the first ones give up; the last ones have not begun
  await using _server = await serveCni({ path: socket, handle: (request) => ('containerId' in request ? handle(request) : done()) });
  const { done: replayed } = await cniQueue(socket).replay(handle);
  for (const { code } of await Promise.all(runs)) assert.equal(code, 0);
  t.diagnostic(`${replayed} of ${containers.length} were in the queue when the agent looked`);
  const left = queued();
  assert.deepEqual([left, containers.filter((container) => !handled.has(container))], [[], []]);
  assert.ok(replayed > 0, 'the queue was used');
});
