// SPDX-License-Identifier: Apache-2.0
// Statuses and Events, in an API that is a server on loopback.

import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { json } from 'node:stream/consumers';
import { test } from 'node:test';
import type { TestContext } from 'node:test';

import { problem } from '../base/problem.ts';
import type { Problem } from '../base/problem.ts';
import { asyncReconciler } from '../base/reconcile-async.ts';
import type { AsyncTarget } from '../base/reconcile-async.ts';
import { table } from '../base/table.ts';
import { until } from '../base/until.ts';
import { kubeClient } from './client.ts';
import type { KubeClient } from './client.ts';
import { eventsTarget } from './events.ts';
import { patchTarget } from './status.ts';
import { refuse, testApi } from './testbed.ts';

type Write = { readonly call: string; readonly body: unknown };
/** Status to answer a write with; 0 is a connection that breaks. */
type Answer = (call: string) => number;

async function setup(context: TestContext, answer: Answer): Promise<{ client: KubeClient; writes: Write[] }> {
  const api = await testApi(context);
  const client = kubeClient({ access: api.access });
  context.after(() => client.close());
  const writes: Write[] = [];
  const record = async (request: IncomingMessage, call: string) =>
    writes.push({ call, body: request.method === 'GET' ? undefined : await json(request) });
  api.hook = (request, response, url) => {
    const call = `${request.method} ${url.pathname}`;
    void record(request, call).then(() => {
      const code = answer(call);
      if (code === 0) request.socket.destroy();
      else if (code >= 300) refuse(response, { code: code, reason: 'Reason', message: 'no' });
      else response.end('{"metadata":{"uid":"u1"},"series":{"count":3}}');
    });
    return true;
  };
  return { client, writes };
}

async function running<V>(context: TestContext, target: AsyncTarget<string, V>) {
  const wanted = table<string, V>('wanted');
  const one = asyncReconciler(wanted, target);
  const stop = new AbortController();
  const done = one.run(stop.signal);
  context.after(async () => {
    stop.abort();
    await done;
  });
  return { writer: wanted.writer('test'), one };
}

const statuses = (client: KubeClient) =>
  patchTarget<string, string>({
    name: 'statuses',
    client,
    list: () => Promise.resolve([['old', 'x']]),
    path: (key) => `/api/v1/services/${key}/status`,
    how: { type: 'merge' },
    set: (_, value) => ({ status: { value } }),
    unset: () => ({ status: null }),
  });

test('a status is patched, and taken away when it is not wanted any more', async (context) => {
  const { client, writes } = await setup(context, () => 200);
  const { writer, one } = await running(context, statuses(client));
  writer.put('a', '1');
  writer.complete();
  one.wake();
  await until(() => writes.length === 2);
  assert.deepEqual(writes, [
    { call: 'PATCH /api/v1/services/a/status', body: { status: { value: '1' } } },
    { call: 'PATCH /api/v1/services/old/status', body: { status: null } },
  ]);
});

test('an object that is gone needs no status; one that cannot be written does not hold up the others and is alone tried again', async (context) => {
  let broken = true;
  const { client, writes } = await setup(context, (call) => (call.includes('/gone/') ? 404 : call.includes('/bad/') && broken ? 403 : 200));
  const { writer, one } = await running(context, statuses(client));
  for (const key of ['bad', 'gone', 'a', 'b', 'c', 'd', 'e']) writer.put(key, '1');
  writer.complete();
  one.wake();
  await until(() => writes.filter(({ call }) => call.includes('/bad/')).length === 3);
  assert.equal(writes.length, 7 + 2 + 1);
  assert.match(one.trouble('bad') ?? '', /Cannot patch \/api\/v1\/services\/bad\/status at .*: 403 Reason: no/);
  assert.deepEqual([one.trouble('a'), one.trouble('gone'), one.status.pending], [undefined, undefined, 1]);
  broken = false;
  await until(() => one.status.pending === 0);
});

const found = (object: string, message = 'spec.podCIDRs is empty') =>
  problem({ object, reason: 'NoPodCidr', message, advice: 'Give it one' });

const regarding: readonly (readonly [string, string, Record<string, string>])[] = [
  ['Service shop/cart', 'shop', { kind: 'Service', apiVersion: 'v1', name: 'cart', namespace: 'shop' }],
  ['EndpointSlice shop/cart-x', 'shop', { kind: 'EndpointSlice', apiVersion: 'discovery.k8s.io/v1', name: 'cart-x', namespace: 'shop' }],
  ['Node node2', 'default', { kind: 'Node', apiVersion: 'v1', name: 'node2' }],
  ['Config loadBalancer.mode', 'default', { kind: 'Node', apiVersion: 'v1', name: 'node1' }],
  ['Service shop', 'default', { kind: 'Node', apiVersion: 'v1', name: 'node1' }],
];
for (const [object, namespace, wanted] of regarding) {
  test(`a Problem of '${object}' is an Event that regards ${wanted['kind']} ${wanted['name']}`, async (context) => {
    const { client, writes } = await setup(context, () => 201);
    const { writer, one } = await running<Problem>(
      context,
      eventsTarget({ client, controller: 'stentor-agent', instance: 'node1', fallback: 'Node node1' }),
    );
    writer.put('x', found(object));
    one.wake();
    await until(() => writes.length === 2);
    const [, { call, body } = { call: '', body: {} }] = writes;
    assert.equal(call, `POST /apis/events.k8s.io/v1/namespaces/${namespace}/events`);
    const { metadata, eventTime, ...rest } = body as { metadata: { name: string; namespace: string }; eventTime: string }; // as written
    assert.match(metadata.name, new RegExp(`^${wanted['name']}\\.[0-9a-f]{16}$`));
    assert.equal(metadata.namespace, namespace);
    assert.match(eventTime, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
    assert.deepEqual(rest, {
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      reportingController: 'stentor-agent',
      reportingInstance: 'node1',
      action: 'Configuring',
      reason: 'NoPodCidr',
      regarding: { ...wanted, uid: 'u1' },
      note: 'spec.podCIDRs is empty. Give it one',
      type: 'Warning',
    });
  });
}

test('a Problem that was said before counts in its Event, and another one is another Event', async (context) => {
  const { client, writes } = await setup(context, (call) => (call.startsWith('POST') ? 409 : 200));
  const target = eventsTarget({
    client,
    controller: 'stentor-agent',
    instance: 'node1',
    fallback: 'Node node1',
    clock: { now: () => 0, monotonic: () => 0 },
  });
  await target.put([['x', found('Node node1')]]);
  const path = writes[2]?.call.replace('GET ', '') ?? '';
  assert.deepEqual(writes.slice(2), [
    { call: `GET ${path}`, body: undefined },
    { call: `PATCH ${path}`, body: { series: { count: 4, lastObservedTime: '1970-01-01T00:00:00.000000Z' } } },
  ]);
  await target.put([['x', found('Node node1', 'something else')]]);
  assert.notEqual(writes[6]?.call.replace('GET ', ''), path);
  await target.remove([['x', found('Node node1')]]);
  assert.equal(writes.length, 8);
});

for (const code of [404, 403])
  test(`a Problem of an object that the API answers ${code} for is an Event all the same, without a uid`, async (context) => {
    const { client, writes } = await setup(context, (call) => (call.startsWith('GET') ? code : 201));
    const target = eventsTarget({ client, controller: 'stentor-agent', instance: 'node1', fallback: 'Node node1' });
    await target.put([['x', found('Service shop/cart')]]);
    const [, { body } = { body: {} }] = writes;
    const { regarding } = body as { regarding: object }; // as written
    assert.deepEqual(regarding, { kind: 'Service', apiVersion: 'v1', name: 'cart', namespace: 'shop' });
  });

test('an Event waits for an API that cannot say which object it regards', async (context) => {
  const { client, writes } = await setup(context, (call) => (call.startsWith('GET') ? 500 : 201));
  const target = eventsTarget({ client, controller: 'stentor-agent', instance: 'node1', fallback: 'Node node1' });
  await assert.rejects(async () => target.put([['x', found('Service shop/cart')]]), /500/);
  assert.ok(writes.every(({ call }) => call.startsWith('GET')));
});
