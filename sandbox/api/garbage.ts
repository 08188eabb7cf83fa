// SPDX-License-Identifier: Apache-2.0
// What follows from a change without anybody asking: dependents of an owner that is gone (owners.ts), the contents of a
// namespace that is going (namespaces.ts), the instances of a definition that is gone, and events older than an hour.
import { CRD } from './crd.ts';
import type { KubeObject } from './json.ts';
import { createEmptier, furnish, storedResources } from './namespaces.ts';
import { indexOwners, tendDependents, tendOwners } from './owners.ts';
import type { World } from './owners.ts';
import type { Registry, Resource } from './resources.ts';
import { keyOf } from './storage.ts';
import type { Change, Storage } from './storage.ts';
import type { Writes } from './store-writes.ts';
import { timestamp } from './time.ts';

const EVENT_LIFETIME = 3_600_000; // milliseconds, as the real server's default
const EVENT_CHECK = 60_000; // milliseconds

/** Instances of a definition that is gone have no resource to be deleted through: their finalizers are not asked. */
const dropInstances = ({ storage }: World, id: string): void => {
  for (const { metadata } of storage.all(id)) storage.remove(id, keyOf(metadata.namespace, metadata.name));
};

const expireEvents = (storage: Storage): void => {
  const limit = timestamp(Date.now() - EVENT_LIFETIME);
  for (const event of storage.all('events')) {
    const { namespace, name, creationTimestamp } = event.metadata;
    if ((event['lastTimestamp'] ?? creationTimestamp) < limit) storage.remove('events', keyOf(namespace, name));
  }
};

/** Starts it; it works soon after each change and ends with the signal. */
export const collectGarbage = (
  storage: Storage,
  registry: Registry,
  writes: Writes,
  { caPem, signal }: { caPem: string; signal: AbortSignal },
): void => {
  const world: World = { storage, registry, writes, owned: new Map() };
  const emptySoon = createEmptier(world);
  const followed = new Set<string>();

  const tend = (resource: Resource, object: KubeObject): void => {
    if (resource.id === 'namespaces' && !object.metadata.deletionTimestamp) furnish(world, object.metadata.name, caPem);
    if (resource.id === 'namespaces') emptySoon(object.metadata.name);
    tendOwners(world, { resource, object });
  };
  const onChange = (resource: Resource, { type, object, previous }: Change): void => {
    if (previous) indexOwners(world, { resource, object: previous }, false);
    if (type !== 'DELETED') {
      indexOwners(world, { resource, object }, true);
      const current = storage.get(resource.id, keyOf(object.metadata.namespace, object.metadata.name)); // it may have changed again in this turn
      if (current) tend(resource, current);
    } else {
      tendDependents(world, object);
      if (object.metadata.namespace !== undefined) emptySoon(object.metadata.namespace);
      if (resource.id === CRD) dropInstances(world, object.metadata.name);
    }
    if (resource.id === CRD) followAll();
  };
  const follow = (resource: Resource): void => {
    followed.add(resource.id);
    const cursor = storage.cursor(resource.id, storage.revision());
    signal.addEventListener('abort', () => cursor.close(), { once: true });
    for (const object of storage.all(resource.id)) indexOwners(world, { resource, object }, true);
    for (const object of storage.all(resource.id)) tend(resource, object);
    cursor.onChange(() => {
      for (let change = cursor.next(); change; change = cursor.next()) onChange(resource, change);
    });
  };
  const followAll = (): void => {
    for (const resource of storedResources(world)) if (!followed.has(resource.id)) follow(resource);
  };

  followAll();
  const timer = setInterval(() => expireEvents(storage), EVENT_CHECK).unref();
  signal.addEventListener('abort', () => clearInterval(timer), { once: true });
};
