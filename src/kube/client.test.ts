// SPDX-License-Identifier: Apache-2.0
// The client against a server on loopback.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { createServer } from 'node:http';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { text } from 'node:stream/consumers';

import { until } from '../base/until.ts';
import { kubeClient, nameOf } from './client.ts';
import type { KubeClient } from './client.ts';
import type { KubeAccess } from './config.ts';
import { KubeError } from './kube-error.ts';
import { refuse, testApi } from './testbed.ts';
import type { Hook, TestApi } from './testbed.ts';

const PATH = '/api/v1/things';

async function setup(context: TestContext, deadlineMs = 5000): Promise<{ api: TestApi; client: KubeClient }> {
  const api = await testApi(context);
  const client = kubeClient({ access: api.access, deadlineMs });
  context.after(() => client.close());
  return { api, client };
}

const errorOf = async (call: Promise<unknown>): Promise<KubeError> => {
  const error: unknown = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof KubeError, `wanted a KubeError, got ${String(error)}`);
  return error;
};

test('a list comes page by page, over TLS that is verified, zipped, with our token, on one connection', async (context) => {
  const { api, client } = await setup(context);
  for (const name of ['a', 'b', 'c']) api.put({ name });
  const sockets = new Set<unknown>();
  api.hook = (request) => sockets.add(request.socket) === undefined;
  const first = await client.list<{ metadata: { name: string } }>(PATH, { limit: 2 });
  const second = await client.list<{ metadata: { name: string } }>(PATH, { limit: 2, continue: first.metadata.continue ?? '' });
  assert.deepEqual(
    [...first.items, ...second.items].map((item) => item.metadata.name),
    ['a', 'b', 'c'],
  );
  assert.deepEqual(api.requests, [`GET ${PATH}?limit=2`, `GET ${PATH}?limit=2&continue=2`]);
  assert.deepEqual([api.tokens[0], sockets.size], ['Bearer secret', 1]);
});

test('a list without items is empty', async (context) => {
  const { api, client } = await setup(context);
  api.hook = (_, response) => (response.end('{"metadata":{"resourceVersion":"1"},"items":null}'), true);
  assert.deepEqual(await client.list(PATH), { metadata: { resourceVersion: '1' }, items: [] });
});

test('writes carry method, type and body', async (context) => {
  const { api, client } = await setup(context);
  const seen: unknown[] = [];
  const record = async (request: IncomingMessage) =>
    seen.push([request.method, request.headers['content-type'], request.url, await text(request)]);
  api.hook = (request, response) => {
    void record(request).then(() => response.end('{"kind":"Thing"}'));
    return true;
  };
  await client.create(PATH, { a: 1 });
  await client.put(`${PATH}/x`, { a: 2 });
  await client.patch(`${PATH}/x/status`, { a: 3 }, { type: 'merge' });
  await client.patch(`${PATH}/x`, [{ op: 'remove', path: '/a' }], { type: 'json' });
  await client.patch(`${PATH}/x`, { a: 4 }, { type: 'apply', fieldManager: 'stentor', force: true });
  await client.delete(`${PATH}/x`);
  assert.deepEqual(seen, [
    ['POST', 'application/json', PATH, '{"a":1}'],
    ['PUT', 'application/json', `${PATH}/x`, '{"a":2}'],
    ['PATCH', 'application/merge-patch+json', `${PATH}/x/status`, '{"a":3}'],
    ['PATCH', 'application/json-patch+json', `${PATH}/x`, '[{"op":"remove","path":"/a"}]'],
    ['PATCH', 'application/apply-patch+yaml', `${PATH}/x?fieldManager=stentor&force=true`, '{"a":4}'],
    ['DELETE', undefined, `${PATH}/x`, ''],
  ]);
});

type Wanted = { readonly status: number | undefined; readonly reason: string; readonly detail: RegExp };
const failures: readonly (readonly [string, Hook, Wanted])[] = [
  [
    'a refusal',
    (_, response) => (refuse(response, { code: 403, reason: 'Forbidden', message: 'things is forbidden' }), true),
    { status: 403, reason: 'Forbidden', detail: /: 403 Forbidden: things is forbidden$/ },
  ],
  [
    'a refusal by something that is no API',
    (_, response) => (response.writeHead(502).end('<html>Bad gateway</html>'), true),
    { status: 502, reason: 'Bad Gateway', detail: /: 502 Bad Gateway: <html>Bad gateway/ },
  ],
  [
    'a redirect',
    (_, response) => (response.writeHead(302, { location: '/login' }).end(), true),
    { status: 302, reason: 'Found', detail: /302 Found/ },
  ],
  [
    'an answer that is no JSON',
    (_, response) => (response.end('hello'), true),
    { status: undefined, reason: 'InvalidAnswer', detail: /wanted JSON, got 'hello'/ },
  ],
  [
    'an answer that is cut short',
    (_, response) => (
      response.writeHead(200, { 'content-length': '100' }).write('{"items":['),
      setTimeout(() => response.destroy(), 20),
      true
    ),
    { status: undefined, reason: 'Unreachable', detail: /ECONNRESET aborted/ },
  ],
  [
    'an answer that is no list',
    (_, response) => (response.end('{}'), true),
    { status: undefined, reason: 'InvalidAnswer', detail: /wanted an object with items and metadata/ },
  ],
  [
    'zipped rubbish',
    (_, response) => (response.writeHead(200, { 'content-encoding': 'gzip' }).end('rubbish'), true),
    { status: undefined, reason: 'Unreachable', detail: /incorrect header check/ },
  ],
  [
    'a connection that closes at once',
    (request) => (request.socket.destroy(), true),
    { status: undefined, reason: 'Unreachable', detail: /ECONNRESET|socket hang up/ },
  ],
  ['no answer', () => true, { status: undefined, reason: 'Timeout', detail: /no whole answer within 300 ms|not a byte within 300 ms/ }],
  [
    'an answer that trickles',
    (_, response) => (setInterval(() => response.write(' '), 20).unref(), true),
    { status: undefined, reason: 'Timeout', detail: /no whole answer within 300 ms/ },
  ],
];
for (const [what, hook, wanted] of failures) {
  test(`${what} is an error that names verb, path and server`, async (context) => {
    const { api, client } = await setup(context, 300);
    api.hook = hook;
    const error = await errorOf(client.list(PATH));
    assert.match(error.message, new RegExp(`^Cannot list ${PATH} at https://127.0.0.1:${api.port}: `));
    assert.match(error.message, wanted.detail);
    assert.deepEqual([error.status, error.reason, error.code], [wanted.status, wanted.reason, wanted.reason]);
  });
}

test('a server that nobody is, a wrong authority and a wrong name are errors that say so', async (context) => {
  const { api } = await setup(context);
  const cases: readonly (readonly [Partial<KubeAccess>, RegExp])[] = [
    [
      { servers: () => [{ url: 'https://127.0.0.1:1', name: undefined }] },
      /Cannot list \/api\/v1\/things at https:\/\/127.0.0.1:1: Unreachable: ECONNREFUSED/,
    ],
    [{ credentials: () => ({ token: 'x', ca: undefined, cert: undefined, key: undefined }) }, /Unreachable: DEPTH_ZERO_SELF_SIGNED_CERT/],
    [{ servers: () => api.access.servers().map(({ url }) => ({ url, name: 'other' })) }, /Unreachable: ERR_TLS_CERT_ALTNAME_INVALID/],
  ];
  for (const [difference, message] of cases) {
    const client = kubeClient({ access: { ...api.access, ...difference } });
    assert.match((await errorOf(client.list(PATH))).message, message);
    client.close();
  }
  const careless = kubeClient({
    access: { ...api.access, insecure: true, credentials: () => ({ token: 'x', ca: undefined, cert: undefined, key: undefined }) },
  });
  assert.equal((await careless.list(PATH)).items.length, 0);
  careless.close();
});

test('a plain HTTP server is spoken to as well', async (context) => {
  const server = createServer((_, response) => response.end('{"metadata":{},"items":[1]}')).listen(0, '127.0.0.1');
  await once(server, 'listening');
  context.after(() => server.close().closeAllConnections());
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  const client = kubeClient({
    access: {
      servers: () => [{ url: `http://127.0.0.1:${port}`, name: undefined }],
      insecure: false,
      namespace: undefined,
      credentials: () => ({ token: undefined, ca: undefined, cert: undefined, key: undefined }),
    },
  });
  context.after(() => client.close());
  assert.deepEqual((await client.list(PATH)).items, [1]);
});

test('a wait that the server asks for is in the error', async (context) => {
  const { api, client } = await setup(context);
  api.hook = (_, response) => (
    refuse(response, { code: 429, reason: 'TooManyRequests', message: 'slow down', headers: { 'retry-after': '2' } }),
    true
  );
  assert.equal((await errorOf(client.get(PATH))).retryAfterMs, 2000);
});

test('a call that is aborted ends at once, before and while it runs', async (context) => {
  const { api, client } = await setup(context);
  api.hook = () => true;
  const stop = new AbortController();
  const running = errorOf(client.list(PATH, { signal: stop.signal }));
  await until(() => api.requests.length === 1);
  stop.abort();
  assert.equal((await running).reason, 'Aborted');
  assert.equal((await errorOf(client.list(PATH, { signal: stop.signal }))).reason, 'Aborted');
  assert.equal(api.requests.length, 1);
});

test('a token that changes is used from the next request on', async (context) => {
  const api = await testApi(context);
  let token = 'one';
  const client = kubeClient({ access: { ...api.access, credentials: () => ({ ...api.access.credentials(), token }) } });
  context.after(() => client.close());
  await client.list(PATH);
  token = 'two';
  await client.list(PATH);
  assert.deepEqual(api.tokens, ['Bearer one', 'Bearer two']);
});

test('a connection that was closed while idle costs a reader nothing', async (context) => {
  const { api, client } = await setup(context);
  const seen = new Set<unknown>();
  api.hook = (request) => {
    if (seen.has(request.socket)) request.socket.destroy();
    const again = seen.has(request.socket);
    seen.add(request.socket);
    return again;
  };
  await client.list(PATH);
  await client.list(PATH);
  assert.equal(seen.size, 2);
});

test('a watch yields events, also when they come in pieces and several at once', async (context) => {
  const { api, client } = await setup(context);
  api.put({ name: 'a' });
  const stream = (await client.watch<{ metadata: { name: string }; value?: string }>(PATH, { resourceVersion: '0', bookmarks: true }))[
    Symbol.asyncIterator
  ]();
  assert.equal((await stream.next()).value.object.metadata.name, 'a');
  const event = JSON.stringify({ type: 'MODIFIED', object: { metadata: { name: 'ä' }, value: 'x'.repeat(200_000) } });
  const bytes = Buffer.from(`${event}\n{"type":"BOOKMARK","object":{}}\n{"type":"DELETED","object":{"metadata":{"name":"z"}}}\n`);
  api.toWatchers(bytes.subarray(0, 46).toString('latin1').slice(0, 20)); // a beginning
  api.toWatchers(bytes.subarray(20).toString());
  const got = [await stream.next(), await stream.next(), await stream.next()].map(({ value }) => value);
  assert.deepEqual(
    got.map(({ type }) => type),
    ['MODIFIED', 'BOOKMARK', 'DELETED'],
  );
  assert.equal(got[0].object.metadata.name, 'ä');
  assert.match(api.requests[0] ?? '', /\?resourceVersion=0&watch=true&allowWatchBookmarks=true$/);
  await stream.return?.();
  await until(() => api.watchers() === 0);
});

const streams: readonly (readonly [string, (api: TestApi) => void, RegExp | undefined])[] = [
  ['the server ends', (api) => api.endWatches('end'), undefined],
  [
    'ends within an event',
    (api) => (api.toWatchers('{"type":"ADD'), api.endWatches('end')),
    /The stream ended within an event, after 12 bytes of it/,
  ],
  ['is cut', (api) => api.endWatches('cut'), /Unreachable: ECONNRESET aborted/],
  ['falls silent', () => {}, /Timeout: not a byte within 200 ms/],
  [
    'says 410',
    (api) => api.toWatchers('{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old"}}\n'),
    /410 Expired: too old/,
  ],
  ['says what is no event', (api) => api.toWatchers('hello\n'), /InvalidAnswer: wanted an event, got 'hello'/],
  ['says what is no object', (api) => api.toWatchers('7\n'), /it has no type and object/],
  ['says an unknown type', (api) => api.toWatchers('{"type":"NEW","object":{}}\n'), /wanted a type of event, got 'NEW'/],
];
for (const [what, act, message] of streams) {
  test(`a watch that ${what} ${message === undefined ? 'is over' : 'is an error'}`, async (context) => {
    const { api, client } = await setup(context);
    const stream = await client.watch(PATH, { resourceVersion: '10', silenceMs: 200 });
    await until(() => api.watchers() === 1);
    act(api);
    const drain = async () => {
      for await (const event of stream) assert.fail(`an event: ${event.type}`);
    };
    if (message === undefined) await drain();
    else assert.match((await errorOf(drain())).message, message);
  });
}

test('the name of an object is its namespace and name, and of what is no object there is none', () => {
  assert.equal(nameOf({ metadata: { name: 'a', namespace: 'b' } }), 'b/a');
  assert.equal(nameOf({ metadata: { name: 'a' } }), 'a');
  for (const object of [undefined, null, 7, {}, { metadata: null }, { metadata: {} }, { metadata: { name: 7 } }])
    assert.equal(nameOf(object), undefined);
});
