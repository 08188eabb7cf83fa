// SPDX-License-Identifier: Apache-2.0
// The real plugin against the real server, over a real socket.
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createConnection, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { cidr, ip, parseMac } from '../base/ip.ts';
import type { CniReply } from '../endpoints/cni-reply.ts';
import { CniCode, failed } from '../endpoints/cni-reply.ts';
import { CNI_SOCKET, serveCni } from './cni-server.ts';
import type { CniServerOptions } from './cni-server.ts';

const folder = mkdtempSync(join(tmpdir(), 'stentor-cni-'));
const plugin = fileURLToPath(new URL('../../build/cni/cilium-cni', import.meta.url));
before(() => execFileSync('make', ['-s', '-C', fileURLToPath(new URL('../../cni', import.meta.url))]));
after(() => rmSync(folder, { recursive: true }));

type Run = { readonly code: number | null; readonly stdout: string };
type Input = { readonly socket: string; readonly command?: string; readonly stdin?: string | Buffer; readonly pod?: string };
const config = { cniVersion: '1.0.0', name: 'cilium', type: 'cilium-cni' };

function run({ socket, command = 'ADD', stdin = JSON.stringify(config), pod = 'cart-0' }: Input): Promise<Run> {
  const env = {
    STENTOR_CNI_SOCKET: socket,
    CNI_COMMAND: command,
    CNI_CONTAINERID: 'a3f1',
    CNI_NETNS: '/var/run/netns/x',
    CNI_IFNAME: 'eth0',
    CNI_ARGS: `K8S_POD_NAMESPACE=shop;K8S_POD_NAME=${pod}`,
    SECRET: 'not for the agent',
  };
  return new Promise((resolve) => {
    const child = spawn(plugin, { env, stdio: ['pipe', 'pipe', 'inherit'] });
    let stdout = '';
    child.stdout.on('data', (chunk) => (stdout += chunk));
    child.stdin.on('error', () => undefined); // the plugin may refuse before it has read all
    child.stdin.end(stdin);
    child.on('close', (code) => resolve({ code, stdout }));
  });
}

let sockets = 0;
async function serving<T>(options: Partial<CniServerOptions>, use: (socket: string) => Promise<T>): Promise<T> {
  const path = join(folder, `${sockets++}.sock`);
  await using _server = await serveCni({ path, handle: () => Promise.resolve({ kind: 'done' }), ...options });
  return await use(path);
}

const added = (host: number): CniReply => ({
  kind: 'added',
  attachment: {
    interfaces: [{ name: 'eth0', mac: parseMac('02:00:00:00:00:02') ?? assert.fail(), sandbox: '/var/run/netns/x' }],
    ips: [{ address: cidr(`10.244.1.${host}/32`), gateway: ip('169.254.1.1'), interface: 0 }],
    routes: [],
  },
});

test('the plugin asks where the agent listens', () => {
  const source = readFileSync(new URL('../../cni/shim.c', import.meta.url), 'utf8');
  assert.equal(/#define DEFAULT_SOCKET "(.*)"/.exec(source)?.[1], CNI_SOCKET);
});

test('ADD reaches the handler and its result the runtime', async () => {
  const seen: unknown[] = [];
  const handle: CniServerOptions['handle'] = (request) => {
    seen.push(request);
    return Promise.resolve(added(5));
  };
  const { code, stdout } = await serving({ handle }, (socket) => run({ socket }));
  assert.equal(code, 0);
  assert.equal(JSON.parse(stdout).ips[0].address, '10.244.1.5/32');
  assert.deepEqual(seen, [
    {
      kind: 'add',
      cniVersion: '1.0.0',
      containerId: 'a3f1',
      netns: '/var/run/netns/x',
      ifName: 'eth0',
      namespace: 'shop',
      pod: 'cart-0',
      uid: undefined,
      network: 'cilium',
    },
  ]);
});

test('DEL prints nothing', async () => {
  assert.deepEqual(await serving({}, (socket) => run({ socket, command: 'DEL' })), { code: 0, stdout: '' });
});

test('VERSION is the same with an agent and without', async () => {
  const stdin = '{"cniVersion":"1.0.0"}';
  const there = await serving({}, (socket) => run({ socket, command: 'VERSION', stdin }));
  const gone = await run({ socket: join(folder, 'nobody.sock'), command: 'VERSION', stdin });
  assert.equal(there.code, 0);
  assert.deepEqual(there, gone);
});

test('fifty at once, answered out of order, each get their own reply', async () => {
  const handle: CniServerOptions['handle'] = async (request) => {
    const host = request.kind === 'add' ? Number(request.pod.slice(1)) : 0;
    await new Promise((resolve) => setTimeout(resolve, (host % 5) * 10)); // so that replies overtake each other
    return added(host);
  };
  await serving({ handle }, async (socket) => {
    const runs = await Promise.all(Array.from({ length: 50 }, (_, i) => run({ socket, pod: `p${i + 1}` })));
    for (const [i, { stdout }] of runs.entries()) assert.equal(JSON.parse(stdout).ips[0].address, `10.244.1.${i + 1}/32`);
  });
});

const failures: readonly [name: string, options: Partial<CniServerOptions>, input: Partial<Input>, code: number, says: RegExp][] = [
  [
    'a handler that fails',
    { handle: () => Promise.resolve(failed(CniCode.noAddressLeft, 'Cannot find a free address')) },
    {},
    101,
    /free address/,
  ],
  [
    'a handler that throws',
    { handle: () => Promise.reject(new Error('netlink RTM_NEWLINK: EPERM')) },
    {},
    100,
    /shop\/cart-0: netlink RTM_NEWLINK: EPERM/,
  ],
  ['a handler that never ends', { handle: () => new Promise(() => undefined), timeoutMs: 50 }, {}, 11, /no reply within 50 ms/],
  ['CHECK without an earlier result', {}, { command: 'CHECK' }, 7, /prevResult/],
  ['no JSON', {}, { stdin: 'x' }, 6, /wanted a JSON object/],
  ['a megabyte, which with the environment is too long', {}, { stdin: Buffer.alloc(1 << 20, 0x20) }, 6, /more than 1048576 bytes/],
  ['more than a megabyte', {}, { stdin: Buffer.alloc((1 << 20) + 1, 0x20) }, 5, /1 MiB/],
];
for (const [name, options, input, code, says] of failures)
  test(`${name} is an error with code ${code}`, async () => {
    const done = await serving(options, (socket) => run({ socket, ...input }));
    assert.equal(done.code, 1);
    const error = JSON.parse(done.stdout);
    assert.equal(error.code, code);
    assert.match(`${error.msg} ${error.details ?? ''}`, says);
  });

test('an agent that starts a little later is waited for', async () => {
  const path = join(folder, 'late.sock');
  const late = run({ socket: path, command: 'DEL' });
  await new Promise((resolve) => setTimeout(resolve, 200)); // the plugin is at its fourth attempt
  await using _server = await serveCni({ path, handle: () => Promise.resolve({ kind: 'done' }) });
  assert.deepEqual(await late, { code: 0, stdout: '' });
});

test('without an agent the error says which socket was tried and why in vain', async () => {
  const socket = join(folder, 'no"body.sock');
  const { code, stdout } = await run({ socket });
  assert.equal(code, 1);
  assert.deepEqual(JSON.parse(stdout), {
    cniVersion: '1.0.0',
    code: 11,
    msg: 'Cannot reach the agent',
    details: `${socket}: No such file or directory; is the cilium pod of this node running?`,
  });
});

test('an agent that dies before it answers is an error, not an empty result', async () => {
  const path = join(folder, 'dying.sock');
  const server = createServer((socket) => socket.destroy()).listen(path);
  const { code, stdout } = await run({ socket: path });
  await new Promise((resolve) => server.close(resolve));
  assert.equal(code, 1);
  assert.equal(JSON.parse(stdout).code, 11);
});

test('disposal answers whoever waits', async () => {
  const path = join(folder, 'stopping.sock');
  const arrived = Promise.withResolvers<void>();
  let aborted = false;
  const server = await serveCni({
    path,
    handle: (_, signal) => {
      signal.addEventListener('abort', () => (aborted = true));
      arrived.resolve();
      return new Promise(() => undefined);
    },
  });
  const waiting = run({ socket: path });
  await arrived.promise;
  await server[Symbol.asyncDispose]();
  assert.match((await waiting).stdout, /the agent stops/);
  assert.ok(aborted);
});

test('a plugin that is killed before it has asked is forgotten, and the next is served', async () => {
  let handled = 0;
  const handle: CniServerOptions['handle'] = () => {
    handled++;
    return Promise.resolve({ kind: 'done' });
  };
  await serving({ handle }, async (socket) => {
    const client = createConnection(socket);
    await new Promise<void>((resolve) => client.write('CNI_COMMAND=DEL\0', () => resolve()));
    client.destroy();
    assert.equal((await run({ socket, command: 'DEL' })).code, 0);
  });
  assert.equal(handled, 1);
});

test('a client that says nothing is let go', async () => {
  await serving({ timeoutMs: 50 }, async (socket) => {
    const silent = createConnection(socket);
    const said = await new Promise<string>((resolve) => {
      let text = '';
      silent.on('data', (chunk) => (text += chunk)).on('end', () => resolve(text));
    });
    assert.match(said, /Cannot read the request: no reply within 50 ms/);
  });
});

test('the socket is for root alone, replaces one that an agent left behind, and respects one that serves', async () => {
  const path = join(folder, 'again.sock');
  const leave = `require('net').createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'))`;
  assert.equal(spawnSync(process.execPath, ['-e', leave, path]).signal, 'SIGKILL');
  assert.ok(statSync(path).isSocket());
  const options: CniServerOptions = { path, handle: () => Promise.resolve({ kind: 'done' }) };
  await using _server = await serveCni(options);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal((await run({ socket: path, command: 'DEL' })).code, 0);
  await assert.rejects(serveCni(options), { code: 'SocketInUse' });
});

test('a file that is no socket stays', async () => {
  const path = join(folder, 'file');
  writeFileSync(path, 'mine');
  await assert.rejects(serveCni({ path, handle: () => Promise.resolve({ kind: 'done' }) }), { code: 'SocketPathTaken' });
  assert.equal(statSync(path).size, 4);
});
