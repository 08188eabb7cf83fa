// SPDX-License-Identifier: Apache-2.0
// Several addresses of one API.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { test } from 'node:test';
import type { TestContext } from 'node:test';

import { kubeClient } from './client.ts';
import { probing } from './probes.ts';
import { serversOf } from './servers.ts';
import type { Server } from './servers.ts';
import { testApi } from './testbed.ts';

const PATH = '/api/v1/things';
const one = (url: string): Server => ({ url, name: undefined });

test('a server that failed is asked last for half a minute, then first again', () => {
  let time = 0;
  const servers = serversOf(() => [one('a'), one('b'), one('a')], { now: () => 0, monotonic: () => time });
  const order = () => servers.inOrder().map(({ url }) => url);
  assert.deepEqual(order(), ['a', 'b']);
  servers.failed(one('a'), 'ECONNREFUSED');
  assert.deepEqual([order(), [...servers.failing()]], [['b', 'a'], [['a', 'ECONNREFUSED']]]);
  servers.worked(one('b'));
  assert.equal(servers.current, 'b');
  time = 30_000;
  assert.deepEqual(order(), ['a', 'b']);
  servers.worked(one('a'));
  assert.deepEqual([servers.failing().size, servers.current], [0, 'a']);
});

/** An address that takes connections and never says a word, as a server does whose machine hangs. */
async function silentServer(context: TestContext): Promise<string> {
  const server = createServer(() => undefined).listen(0, '127.0.0.1');
  await once(server, 'listening');
  context.after(() => server.close());
  const address = server.address();
  return `https://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`;
}

test('the first address that answers is used, also for a write, and one that hangs is left after seconds', async (context) => {
  const api = await testApi(context);
  const silent = await silentServer(context);
  const [live] = api.access.servers();
  assert.ok(live);
  const servers = () => [one('https://127.0.0.1:1'), one(silent), live];
  const client = kubeClient({ access: { ...api.access, servers }, deadlineMs: 10_000 });
  context.after(() => client.close());
  api.put({ name: 'a' });
  assert.equal((await client.list(PATH)).items.length, 1);
  assert.equal(client.server, live.url);
  assert.deepEqual([...client.failing().keys()], ['https://127.0.0.1:1', silent]);
  assert.match(client.failing().get(silent) ?? '', /no connection within 3000 ms/);
  await client.create(PATH, { metadata: { name: 'b' } }).catch(() => undefined); // the testbed takes no writes; it is enough that it was asked
  assert.ok(api.requests.some((request) => request.startsWith('POST')));
});

test('a server that failed and is known no more is not among those that fail', () => {
  let known = [one('a'), one('b')];
  const servers = serversOf(() => known, { now: () => 0, monotonic: () => 0 });
  servers.failed(one('b'), 'ECONNREFUSED');
  assert.equal(servers.failing().size, 1);
  known = [one('a')];
  assert.equal(servers.failing().size, 0);
});

test('one that failed is asked every half minute whether it is back, until it is', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const servers = serversOf(() => [one('a'), one('b')], { now: () => 0, monotonic: () => 0 });
  const asked: string[] = [];
  let dead = true;
  const probes = probing(servers, ({ url }) => (asked.push(url), dead ? Promise.reject(new Error('still dead')) : Promise.resolve()));
  context.after(() => probes.stop());
  const halfMinute = async () => {
    context.mock.timers.tick(30_000);
    await new Promise(setImmediate);
  };
  servers.worked(one('b'));
  probes.later();
  await halfMinute();
  assert.deepEqual(asked, [], 'nothing has failed');
  servers.failed(one('a'), 'ECONNREFUSED');
  probes.later();
  await halfMinute();
  assert.deepEqual([asked, [...servers.failing()]], [['a'], [['a', 'still dead']]]);
  dead = false;
  await halfMinute();
  assert.deepEqual([asked, servers.failing().size, servers.current], [['a', 'a'], 0, 'b']);
  await halfMinute();
  assert.equal(asked.length, 2, 'it is back');
});

test('a client asks a server that failed for /readyz, also while nothing else is asked', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const api = await testApi(context);
  const other = await testApi(context);
  const servers = () => [...api.access.servers(), ...other.access.servers()];
  const client = kubeClient({ access: { ...api.access, insecure: true, servers } }); // their certificates are of two authorities
  context.after(() => client.close());
  api.hook = (request) => (request.socket.destroy(), true);
  await client.list(PATH);
  assert.equal(client.failing().size, 1);
  api.hook = undefined;
  context.mock.timers.tick(30_000);
  while (client.failing().size > 0) await new Promise(setImmediate);
  assert.equal(api.requests.at(-1), 'GET /readyz');
});

test('credentials that cannot be read are no failure of a server', async (context) => {
  const api = await testApi(context);
  const credentials = () => {
    throw new Error('Cannot read the token');
  };
  const client = kubeClient({ access: { ...api.access, credentials } });
  context.after(() => client.close());
  await assert.rejects(client.list(PATH), /Cannot read the token/);
  assert.deepEqual([client.failing().size, api.requests], [0, []]);
});

test('an error names each address that was tried, and why in vain', async (context) => {
  const api = await testApi(context);
  const servers = () => [one('https://127.0.0.1:1'), one('https://127.0.0.1:2')];
  const client = kubeClient({ access: { ...api.access, servers } });
  context.after(() => client.close());
  await assert.rejects(
    client.list(PATH),
    /Cannot list \/api\/v1\/things at https:\/\/127.0.0.1:\d, https:\/\/127.0.0.1:\d: Unreachable: .*:1: connect ECONNREFUSED.*:2: connect ECONNREFUSED/,
  );
});

test('a learned address has to have a certificate for kubernetes.default.svc', async (context) => {
  const api = await testApi(context); // its certificate is for other names
  const servers = () => api.access.servers().map(({ url }) => ({ url, name: 'kubernetes.default.svc' }));
  const client = kubeClient({ access: { ...api.access, servers } });
  context.after(() => client.close());
  await assert.rejects(client.list(PATH), /ERR_TLS_CERT_ALTNAME_INVALID/);
});

test('a write that may have been heard is not sent to another address', async (context) => {
  const api = await testApi(context);
  api.hook = (request) => request.method === 'POST' && (request.socket.destroy(), true);
  const [live] = api.access.servers();
  assert.ok(live);
  const other = await testApi(context);
  const client = kubeClient({ access: { ...api.access, servers: () => [live, ...other.access.servers()] } });
  context.after(() => client.close());
  await assert.rejects(client.create(PATH, {}), /Unreachable/);
  assert.deepEqual(other.requests, []);
});

test('a server that asks to wait for hours is asked again after a minute', async (context) => {
  const api = await testApi(context);
  api.hook = (_request, response) => {
    response.writeHead(429, { 'retry-after': '7200' }).end();
    return true;
  };
  const client = kubeClient({ access: api.access });
  context.after(() => client.close());
  await assert.rejects(client.list(PATH), (error) => error instanceof Error && 'retryAfterMs' in error && error.retryAfterMs === 60_000);
});
