// SPDX-License-Identifier: Apache-2.0
// The API over HTTPS as clients that are not kubectl see it: conflicts, status, apply, events, tokens, faults.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Faults } from './faults.ts';
import type { RequestRecord } from './server.ts';
import { startTestServer, until } from './server-fixture.ts';

const MAPS = '/api/v1/namespaces/default/configmaps';
const named = (name: string, more: object = {}): object => ({ metadata: { name, ...more } });

test('a stale update is refused, a fresh one makes one revision, an empty one none', async (t) => {
  const { send } = await startTestServer(t);
  const created = (await send('POST', MAPS, named('a'))).body;
  const changed = (await send('PUT', `${MAPS}/a`, { ...created, data: { k: 'v' } })).body;
  const stale = await send('PUT', `${MAPS}/a`, { ...created, data: { k: 'w' } });
  assert.deepEqual([stale.code, stale.body.reason], [409, 'Conflict']);
  const same = (await send('PUT', `${MAPS}/a`, changed)).body;
  assert.equal(same.metadata.resourceVersion, changed.metadata.resourceVersion);
  const dry = (await send('PUT', `${MAPS}/a?dryRun=All`, { ...changed, data: {} })).body;
  assert.deepEqual(dry.data, {});
  assert.deepEqual((await send('GET', `${MAPS}/a`)).body.data, { k: 'v' });
});

test('status and spec are written through their own doors', async (t) => {
  const { send, api } = await startTestServer(t);
  api.store.create('services', { metadata: { name: 's' }, spec: { ports: [{ port: 80 }] } });
  const path = '/api/v1/namespaces/default/services/s';
  const merge = { 'content-type': 'application/merge-patch+json' };
  const both = { spec: { externalName: 'x.example.com' }, status: { loadBalancer: { ingress: [{ ip: '192.0.2.1' }] } } };
  const main = (await send('PATCH', path, both, merge)).body;
  assert.deepEqual([main.spec.externalName, main.status.loadBalancer], ['x.example.com', {}]);
  const status = (await send('PATCH', `${path}/status`, { ...both, spec: { externalName: 'y.example.com' } }, merge)).body;
  assert.deepEqual([status.spec.externalName, status.status.loadBalancer.ingress[0].ip], ['x.example.com', '192.0.2.1']);
});

test('server-side apply owns fields, refuses conflicts and removes what is no longer applied', async (t) => {
  const { send } = await startTestServer(t);
  const path = '/api/v1/namespaces/default/services/s';
  const apply = (manager: string, spec: object, more = ''): ReturnType<typeof send> =>
    send(
      'PATCH',
      `${path}?fieldManager=${manager}${more}`,
      { apiVersion: 'v1', kind: 'Service', metadata: { name: 's' }, spec },
      { 'content-type': 'application/apply-patch+yaml' },
    );
  const first = await apply('one', { selector: { app: 'a' }, ports: [{ name: 'http', port: 80, targetPort: 8080 }] });
  assert.equal(first.code, 201);
  const second = await apply('two', { ports: [{ name: 'dns', port: 53, protocol: 'UDP' }] });
  assert.deepEqual(
    second.body.spec.ports.map(({ name }: { name: string }) => name),
    ['http', 'dns'],
  );
  const contested = await apply('two', {
    ports: [
      { name: 'dns', port: 53, protocol: 'UDP' },
      { port: 80, targetPort: 9090 },
    ],
  });
  assert.equal(contested.code, 409);
  assert.deepEqual(
    contested.body.details.causes.map(({ field }: { field: string }) => field),
    ['.spec.ports[port=80,protocol="TCP"].targetPort'],
  );
  const forced = await apply(
    'two',
    {
      ports: [
        { name: 'dns', port: 53, protocol: 'UDP' },
        { port: 80, targetPort: 9090 },
      ],
    },
    '&force=true',
  );
  assert.equal(forced.body.spec.ports[0].targetPort, 9090);
  const dropped = await apply('one', { ports: [{ name: 'http', port: 80 }] });
  assert.deepEqual(
    [dropped.body.spec.selector ?? {}, dropped.body.spec.ports[0]],
    [{}, { name: 'http', port: 80, targetPort: 9090, protocol: 'TCP' }],
  );
});

test('an event is one object under both of its APIs', async (t) => {
  const { send } = await startTestServer(t);
  const core = {
    metadata: { name: 'e', namespace: 'default' },
    involvedObject: { kind: 'Pod', name: 'p' },
    reason: 'Seen',
    message: 'hello',
    type: 'Normal',
  };
  assert.equal((await send('POST', '/api/v1/namespaces/default/events', core)).code, 201);
  const view = (await send('GET', '/apis/events.k8s.io/v1/namespaces/default/events/e')).body;
  assert.deepEqual([view.apiVersion, view.regarding.name, view.note], ['events.k8s.io/v1', 'p', 'hello']);
  const made = await send('POST', '/apis/events.k8s.io/v1/namespaces/default/events', {
    ...view,
    metadata: { name: 'f', namespace: 'default' },
    note: 'again',
  });
  assert.equal(made.code, 201);
  assert.equal((await send('GET', '/api/v1/namespaces/default/events/f?fieldSelector=involvedObject.name%3Dp')).body.message, 'again');
  assert.equal((await send('GET', '/api/v1/events?fieldSelector=involvedObject.name%3Dp')).body.items.length, 2);
});

test('only health and version are told to strangers', async (t) => {
  const records: RequestRecord[] = [];
  const { send } = await startTestServer(t, { onRequest: (record) => records.push(record) });
  const stranger = { authorization: 'Bearer wrong' };
  for (const path of ['/healthz', '/livez', '/readyz', '/version'])
    assert.equal((await send('GET', path, undefined, stranger)).code, 200, path);
  for (const path of ['/api', '/apis', '/api/v1/pods', '/openapi/v3', '/healthzz']) {
    const { code, body } = await send('GET', path, undefined, stranger);
    assert.deepEqual([code, body.reason], [401, 'Unauthorized'], path);
  }
  assert.deepEqual(records, []);
  await send('PATCH', '/apis/apps/v1/namespaces/default/deployments/d/scale', {});
  assert.deepEqual(records, [
    { user: 'tester', verb: 'patch', group: 'apps', resource: 'deployments', subresource: 'scale', namespace: 'default', name: 'd' },
  ]);
});

test('injected faults refuse, cut and silence', async (t) => {
  const faults: Faults = {};
  const { send, watch, api } = await startTestServer(t, { faults });
  faults.refuse = 1;
  const codes = new Set<number>();
  for (let index = 0; index < 60; index += 1)
    codes.add(
      await send('GET', MAPS).then(
        ({ code }) => code,
        () => 0,
      ),
    );
  assert.deepEqual(
    [...codes].toSorted((a, b) => a - b),
    [0, 429, 500, 503],
  );
  faults.refuse = 0;
  faults.cutWatch = 1;
  const cut = watch(`${MAPS}?watch=1`);
  await cut.ended;
  assert.deepEqual(cut.events, []);
  faults.cutWatch = 0;
  const quiet = watch(`${MAPS}?watch=1`);
  await until('the first events', () => quiet.events.length > 0);
  const before = quiet.events.length;
  faults.silent = true;
  api.store.create('configmaps', named('unheard'));
  const answer = send('GET', MAPS);
  assert.equal(
    await Promise.race([
      answer.then(
        () => 'answered',
        () => 'cut',
      ),
      new Promise((resolve) => setTimeout(resolve, 150, 'silence')),
    ]),
    'silence',
  );
  assert.equal(quiet.events.length, before);
  faults.silent = false;
  await until('the event after the silence', () => quiet.events.length === before + 1);
  quiet.close();
  answer.catch(() => undefined); // ends with the server
});
