// SPDX-License-Identifier: Apache-2.0
// CiliumEndpoints and CiliumNodes that somebody deletes or edits: their node writes them again.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { until } from '../../sandbox/until.ts';
import { faultyCluster, skip } from './cluster.ts';

const faulty = faultyCluster('faultsw');
const RESOURCES = ['ciliumendpoints.cilium.io', 'ciliumnodes.cilium.io'] as const;
type Resource = (typeof RESOURCES)[number];

/** What they say, by namespace and name; not when or how often it was written. */
const saying = (resource: Resource): ReadonlyMap<string, string> =>
  new Map(
    faulty()
      .cluster.store.list(resource)
      .map(({ metadata, spec, status }) => [`${metadata.namespace ?? ''}/${metadata.name}`, JSON.stringify({ spec, status })]),
  );

function deleteAll(resource: Resource): void {
  const { store } = faulty().cluster;
  for (const { metadata } of store.list(resource))
    store.delete(resource, { name: metadata.name, ...(metadata.namespace !== undefined && { namespace: metadata.namespace }) });
  assert.equal(saying(resource).size, 0);
}

const back = (resource: Resource, before: ReadonlyMap<string, string>) =>
  until(`all ${resource} to be back`, 5000, () => {
    const now = saying(resource);
    return now.size === before.size && [...before].every(([key, text]) => now.get(key) === text);
  });

async function complete(): Promise<void> {
  const { store } = faulty().cluster;
  const wanted = store.list('pods').filter(({ spec }) => spec?.['hostNetwork'] !== true).length;
  await until('an object for every pod and node', 10_000, () => {
    return saying('ciliumendpoints.cilium.io').size === wanted && saying('ciliumnodes.cilium.io').size === 3;
  });
}

for (const resource of RESOURCES)
  test(`${resource} that are deleted by hand are back within seconds, and say the same`, { skip }, async (t) => {
    await complete();
    const before = saying(resource);
    const started = performance.now();
    deleteAll(resource);
    await back(resource, before);
    t.diagnostic(`${before.size} back after ${(performance.now() - started).toFixed(0)} ms`);
  });

test('one that is edited by hand says what it said', { skip }, async () => {
  const { store } = faulty().cluster;
  for (const [resource, patch] of [
    ['ciliumendpoints.cilium.io', { status: { identity: { id: 77_777 } } }],
    ['ciliumnodes.cilium.io', { spec: { addresses: [] } }],
  ] as const) {
    const before = saying(resource);
    const [{ metadata } = assert.fail()] = store.list(resource);
    store.patch(resource, { name: metadata.name, ...(metadata.namespace !== undefined && { namespace: metadata.namespace }) }, patch);
    assert.notDeepEqual(saying(resource), before);
    await back(resource, before);
  }
});

test('nobody writes what is as it should be, however others label it', { skip }, async () => {
  const { store } = faulty().cluster;
  const [{ metadata } = assert.fail()] = store.list('ciliumnodes.cilium.io');
  store.patch('ciliumnodes.cilium.io', { name: metadata.name }, { metadata: { labels: { theirs: 'yes' } } });
  const versions = () => RESOURCES.flatMap((resource) => store.list(resource).map((one) => one.metadata.resourceVersion)).toSorted();
  const before = versions();
  await delay(3000); // nothing to wait for: nothing may happen
  assert.deepEqual(versions(), before);
});

test('control: without agents what is deleted stays away', { skip }, async () => {
  await faulty().dismissAgents();
  for (const resource of RESOURCES) deleteAll(resource);
  await delay(4000); // nothing to wait for: nothing may happen
  for (const resource of RESOURCES) assert.equal(saying(resource).size, 0);
});
