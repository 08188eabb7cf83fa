// SPDX-License-Identifier: Apache-2.0
// Watches and pages over HTTPS.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startTestServer, until } from './server-fixture.ts';

const MAPS = '/api/v1/namespaces/default/configmaps';
const named = (name: string, more: object = {}): object => ({ metadata: { name, ...more } });
const names = (items: readonly { metadata: { name: string } }[]): readonly string[] => items.map(({ metadata }) => metadata.name);

test('a watch shows what happened after a revision, in order, and then what happens', async (t) => {
  const { api, send, watch } = await startTestServer(t);
  const { resourceVersion } = (await send('GET', MAPS)).body.metadata;
  api.store.create('configmaps', named('a', { labels: { app: 'x' } }));
  api.store.patch('configmaps', { name: 'a' }, { data: { k: 'v' } });
  const plain = watch(`${MAPS}?watch=1&resourceVersion=${resourceVersion}`);
  const selected = watch(`${MAPS}?watch=1&resourceVersion=${resourceVersion}&labelSelector=app%3Dx`);
  await until('two events', () => plain.events.length === 2 && selected.events.length === 2);
  api.store.patch('configmaps', { name: 'a' }, { metadata: { labels: { app: 'y' } } });
  api.store.delete('configmaps', { name: 'a' });
  await until('all events', () => plain.events.length === 4 && selected.events.length === 3);
  assert.deepEqual(
    plain.events.map(({ type }) => type),
    ['ADDED', 'MODIFIED', 'MODIFIED', 'DELETED'],
  );
  assert.deepEqual(
    selected.events.map(({ type }) => type),
    ['ADDED', 'MODIFIED', 'DELETED'],
    'an object that leaves the selection is deleted for the watcher',
  );
  const revisions = plain.events.map(({ object }) => Number(object.metadata.resourceVersion));
  assert.deepEqual(
    revisions,
    revisions.toSorted((a, b) => a - b),
  );
  plain.close();
  selected.close();
});

test('a watch without a revision begins with what exists, and says so when asked', async (t) => {
  const { api, watch } = await startTestServer(t);
  api.store.create('leases.coordination.k8s.io', named('l'));
  const path = '/apis/coordination.k8s.io/v1/leases?watch=true';
  const [from0, streaming] = [
    watch(`${path}&resourceVersion=0`),
    watch(`${path}&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true`),
  ];
  await until('initial events', () => from0.events.length === 1 && streaming.events.length === 2);
  assert.equal(streaming.events[0].type, 'ADDED');
  assert.deepEqual(streaming.events[1].object.metadata.annotations, { 'k8s.io/initial-events-end': 'true' });
  from0.close();
  streaming.close();
});

test('a watch ends at its timeout with a bookmark of the newest revision', async (t) => {
  const { api, send, watch } = await startTestServer(t);
  const { resourceVersion } = (await send('GET', MAPS)).body.metadata;
  const { events, ended } = watch(`${MAPS}?watch=1&timeoutSeconds=1&allowWatchBookmarks=true&resourceVersion=${resourceVersion}`);
  api.store.create('leases.coordination.k8s.io', named('elsewhere'));
  await ended;
  assert.equal(events.length, 1);
  assert.equal(events[0].type, 'BOOKMARK');
  assert.equal(events[0].object.kind, 'ConfigMap');
  assert.ok(Number(events[0].object.metadata.resourceVersion) > Number(resourceVersion));
});

test('a revision older than the history is 410, one from the future 504', async (t) => {
  const { api, send } = await startTestServer(t, { historyLimit: 10 });
  const { resourceVersion } = (await send('GET', MAPS)).body.metadata;
  for (let index = 0; index < 50; index += 1) api.store.create('configmaps', named(`c-${index}`));
  await new Promise((resolve) => setImmediate(resolve));
  const old = await send('GET', `${MAPS}?watch=1&resourceVersion=${resourceVersion}`);
  assert.deepEqual([old.code, old.body.reason], [410, 'Expired']);
  for (const path of [`${MAPS}?watch=1&resourceVersion=999999999`, `${MAPS}?resourceVersion=999999999`]) {
    const future = await send('GET', path);
    assert.deepEqual([future.code, future.body.details.causes[0].reason], [504, 'ResourceVersionTooLarge']);
  }
  assert.equal((await send('GET', `${MAPS}?watch=1&resourceVersion=frog`)).code, 400);
});

test('pages of one list are of one moment', async (t) => {
  const { api, send } = await startTestServer(t);
  for (let index = 10; index < 20; index += 1) api.store.create('nodes', named(`n-${index}`));
  const first = (await send('GET', '/api/v1/nodes?limit=4')).body;
  api.store.delete('nodes', { name: 'n-17' });
  api.store.create('nodes', named('n-15-b'));
  const second = (await send('GET', `/api/v1/nodes?limit=4&continue=${first.metadata.continue}`)).body;
  const third = (await send('GET', `/api/v1/nodes?limit=4&continue=${second.metadata.continue}`)).body;
  assert.deepEqual(
    names([...first.items, ...second.items, ...third.items]),
    Array.from({ length: 10 }, (_, index) => `n-${index + 10}`),
  );
  assert.equal(first.metadata.remainingItemCount, 6);
  assert.equal(third.metadata.continue, undefined);
  assert.equal(third.metadata.resourceVersion, first.metadata.resourceVersion);
  assert.equal((await send('GET', '/api/v1/nodes?limit=4&continue=ZnJvZw')).code, 400);
  assert.equal((await send('GET', `/api/v1/nodes?limit=4&continue=${Buffer.from('999:4').toString('base64url')}`)).code, 410);
});
