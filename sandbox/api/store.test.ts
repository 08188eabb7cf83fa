// SPDX-License-Identifier: Apache-2.0
// The store as controllers and the kubelet use it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { badRequest } from './api-error.ts';
import { collectGarbage } from './garbage.ts';
import { createRegistry } from './resources.ts';
import type { AdmissionRequest } from './server.ts';
import { createStorage } from './storage.ts';
import { createStore } from './store-access.ts';
import type { Json, Store } from './store.ts';
import { createWrites } from './store-writes.ts';

const newStore = (t: TestContext, admit?: (request: AdmissionRequest) => Json): Store => {
  const [storage, registry, stop] = [createStorage(1000), createRegistry(), new AbortController()];
  const writes = createWrites({ storage, registry, admit });
  const store = createStore(storage, registry, writes);
  for (const name of ['default', 'other']) store.create('namespaces', { metadata: { name } });
  collectGarbage(storage, registry, writes, { caPem: 'pem', signal: stop.signal });
  t.after(() => stop.abort());
  return store;
};
/** After the microtasks of this turn. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const pod = (name: string, more: Json = {}): Json => ({
  metadata: { name, ...more.metadata },
  spec: { containers: [{ name: 'c', image: 'x:1' }], ...more.spec },
});
const template = { metadata: { labels: { app: 'a' } }, spec: { containers: [{ name: 'c', image: 'x:1' }] } };
const replicaSet = (name: string): Json => ({ metadata: { name }, spec: { selector: { matchLabels: { app: 'a' } }, template } });
const ownedBy = ({ kind, apiVersion, metadata }: Json): Json => ({
  ownerReferences: [{ kind, apiVersion, name: metadata.name, uid: metadata.uid, controller: true }],
});

test('new objects have identity, defaults and a generated name', (t) => {
  const store = newStore(t);
  const object = store.create('pods', { ...pod(''), metadata: { generateName: 'web-' } });
  assert.match(object.metadata.name, /^web-[a-z0-9]{5}$/);
  assert.deepEqual([object.apiVersion, object.kind, object.metadata.namespace, object.metadata.generation], ['v1', 'Pod', 'default', 1]);
  assert.deepEqual(
    [object['spec'].restartPolicy, object['spec'].dnsPolicy, object['spec'].containers[0].imagePullPolicy, object['status'].phase],
    ['Always', 'ClusterFirst', 'IfNotPresent', 'Pending'],
  );
  assert.equal(store.get('namespaces', { name: 'other' })?.metadata.labels?.['kubernetes.io/metadata.name'], 'other');
  assert.throws(() => ((object as Json).metadata.name = 'x'), TypeError); // as: to try what the types forbid
});

test('the generation counts changes of the specification', (t) => {
  const store = newStore(t);
  const key = { name: 'r' };
  store.create('replicasets.apps', replicaSet('r'));
  store.patchStatus('replicasets.apps', key, { replicas: 3 });
  store.patch('replicasets.apps', key, { metadata: { labels: { a: 'b' } } });
  assert.equal(store.get('replicasets.apps', key)?.metadata.generation, 1);
  store.patch('replicasets.apps', key, { spec: { replicas: 2 } });
  const { metadata, ...rest } = store.get('replicasets.apps', key) ?? {};
  assert.deepEqual([(metadata as Json).generation, (rest as Json).status], [2, { replicas: 3 }]); // as: to look at two fields
});

test('a write that changes nothing makes no revision', (t) => {
  const store = newStore(t);
  const { metadata } = store.create('configmaps', { metadata: { name: 'c' }, data: { a: 'b' } });
  assert.equal(store.patch('configmaps', { name: 'c' }, { data: { a: 'b' } }).metadata.resourceVersion, metadata.resourceVersion);
});

test('admission changes and refuses, and sees no dry run as a write', (t) => {
  const seen: string[] = [];
  const store = newStore(t, ({ operation, resource, object, old }) => {
    if (resource !== 'services') return object;
    seen.push(`${operation} ${old?.spec.clusterIP ?? '-'}`);
    if (object.metadata.name === 'refused') throw badRequest('no');
    return { ...object, spec: { ...object.spec, clusterIP: object.spec.clusterIP ?? '10.96.0.1' } };
  });
  const service = store.create('services', { metadata: { name: 's' }, spec: { ports: [{ port: 80 }] } });
  assert.equal(service['spec'].clusterIP, '10.96.0.1');
  assert.throws(() => store.create('services', { metadata: { name: 'refused' }, spec: { ports: [{ port: 80 }] } }), { code: 400 });
  assert.throws(() => store.create('services', { metadata: { name: 's' }, spec: { ports: [{ port: 80 }] } }), { code: 409 });
  store.patch('services', { name: 's' }, { metadata: { labels: { a: 'b' } } });
  assert.deepEqual(seen, ['CREATE -', 'CREATE -', 'UPDATE 10.96.0.1'], 'an object that exists is refused before anything is allocated');
});

test('watchers get what exists, then each change in order, never inside the write', async (t) => {
  const store = newStore(t);
  store.create('configmaps', { metadata: { name: 'a', namespace: 'other' } });
  await settled();
  const stop = new AbortController();
  const seen: string[] = [];
  let writing = false;
  store.watch('configmaps', stop.signal, ({ type, object }) => {
    assert.equal(writing, false);
    if (object.metadata.namespace === 'other' && object.metadata.name.length === 1) seen.push(`${type} ${object.metadata.name}`);
    if (type === 'ADDED' && object.metadata.name === 'b') store.create('configmaps', { metadata: { name: 'c', namespace: 'other' } });
  });
  writing = true;
  store.create('configmaps', { metadata: { name: 'b', namespace: 'other' } });
  store.patch('configmaps', { name: 'a', namespace: 'other' }, { data: { x: 'y' } });
  store.delete('configmaps', { name: 'a', namespace: 'other' });
  writing = false;
  await settled();
  assert.deepEqual(seen, ['ADDED a', 'ADDED b', 'MODIFIED a', 'DELETED a', 'ADDED c']);
  stop.abort();
  store.create('configmaps', { metadata: { name: 'd', namespace: 'other' } });
  await settled();
  assert.equal(seen.length, 5);
});

test('a pod on a node waits for its kubelet, others go at once', (t) => {
  const store = newStore(t);
  const remove = (name: string, grace?: number): boolean => {
    store.delete('pods', { name }, grace === undefined ? {} : { gracePeriodSeconds: grace });
    return store.get('pods', { name }) === undefined;
  };
  for (const [name, spec] of [
    ['unscheduled', {}],
    ['placed', { nodeName: 'n' }],
    ['done', { nodeName: 'n' }],
  ] as const)
    store.create('pods', pod(name, { spec }));
  store.patchStatus('pods', { name: 'done' }, { phase: 'Succeeded' });
  assert.deepEqual([remove('unscheduled'), remove('done'), remove('placed')], [true, true, false]);
  const waiting = store.get('pods', { name: 'placed' })?.metadata;
  assert.equal(waiting?.deletionGracePeriodSeconds, 30);
  remove('placed', 60);
  assert.equal(store.get('pods', { name: 'placed' })?.metadata.deletionGracePeriodSeconds, 30, 'a grace is never lengthened');
  remove('placed', 5);
  assert.equal(store.get('pods', { name: 'placed' })?.metadata.deletionGracePeriodSeconds, 5);
  assert.equal(remove('placed', 0), true);
});

test('finalizers hold an object until the last is taken away', (t) => {
  const store = newStore(t);
  store.create('configmaps', { metadata: { name: 'c', finalizers: ['example.com/a', 'example.com/b'] } });
  store.delete('configmaps', { name: 'c' });
  assert.throws(() => store.patch('configmaps', { name: 'c' }, { metadata: { finalizers: ['example.com/a', 'example.com/z'] } }), {
    code: 422,
  });
  store.patch('configmaps', { name: 'c' }, { metadata: { finalizers: ['example.com/b'] } });
  assert.ok(store.get('configmaps', { name: 'c' })?.metadata.deletionTimestamp);
  store.patch('configmaps', { name: 'c' }, { metadata: { finalizers: [] } });
  assert.equal(store.get('configmaps', { name: 'c' }), undefined);
});

test('dependents follow their owner as the deletion asks', async (t) => {
  const store = newStore(t);
  for (const policy of ['Background', 'Foreground', 'Orphan'] as const) {
    const owner = store.create('replicasets.apps', replicaSet('owner'));
    const held = pod('dependent', { metadata: { ...ownedBy(owner), finalizers: ['example.com/hold'] } });
    store.create('pods', held);
    await settled();
    store.delete('replicasets.apps', { name: 'owner' }, { propagationPolicy: policy });
    await settled();
    const [left, dependent] = [store.get('replicasets.apps', { name: 'owner' }), store.get('pods', { name: 'dependent' })?.metadata];
    assert.equal(left !== undefined, policy === 'Foreground', `${policy}: the owner waits for its dependents`);
    assert.equal(dependent?.deletionTimestamp !== undefined, policy !== 'Orphan', policy);
    if (policy === 'Orphan') assert.deepEqual(dependent?.ownerReferences, []);
    store.patch('pods', { name: 'dependent' }, { metadata: { finalizers: [] } });
    if (policy === 'Orphan') store.delete('pods', { name: 'dependent' });
    await settled();
    assert.deepEqual([store.list('pods').length, store.list('replicasets.apps').length], [0, 0], policy);
  }
});

test('an object whose owner never existed is collected', async (t) => {
  const store = newStore(t);
  store.create(
    'pods',
    pod('p', { metadata: ownedBy({ apiVersion: 'apps/v1', kind: 'ReplicaSet', metadata: { name: 'nobody', uid: 'x' } }) }),
  );
  await settled();
  assert.deepEqual(store.list('pods'), []);
});

test('a namespace goes when it is empty and takes nothing new meanwhile', async (t) => {
  const store = newStore(t);
  await settled();
  assert.deepEqual(
    store.list('configmaps', { namespace: 'other' }).map(({ metadata }) => metadata.name),
    ['kube-root-ca.crt'],
  );
  store.create('configmaps', { metadata: { name: 'held', namespace: 'other', finalizers: ['example.com/hold'] } });
  store.delete('namespaces', { name: 'other' });
  await settled();
  assert.equal(store.get('namespaces', { name: 'other' })?.['status'].phase, 'Terminating');
  assert.throws(() => store.create('configmaps', { metadata: { name: 'new', namespace: 'other' } }), { code: 403 });
  store.patch('configmaps', { name: 'held', namespace: 'other' }, { metadata: { finalizers: [] } });
  await settled();
  assert.equal(store.get('namespaces', { name: 'other' }), undefined);
  assert.deepEqual(store.list('configmaps', { namespace: 'other' }), []);
});
