// SPDX-License-Identifier: Apache-2.0
// What every namespace is born with, and how one that is to be deleted is emptied.
import { attempt, keyFor } from './owners.ts';
import type { World } from './owners.ts';
import type { KubeObject } from './json.ts';
import type { Resource } from './resources.ts';
import { keyOf } from './storage.ts';

/** The resources whose objects are stored under their own name. */
export const storedResources = ({ registry }: World): readonly Resource[] =>
  registry.all().filter((resource) => resource.viewOf === undefined && !resource.createOnly);

/** Makes the default ServiceAccount and the ConfigMap with the server's CA, as users expect in each namespace. */
export const furnish = ({ registry, storage, writes }: World, namespace: string, caPem: string): void => {
  const [accounts, maps] = [registry.byId('serviceaccounts'), registry.byId('configmaps')];
  if (accounts && !storage.get(accounts.id, keyOf(namespace, 'default')))
    attempt(() => writes.create(accounts, { metadata: { name: 'default', namespace } }));
  if (maps && !storage.get(maps.id, keyOf(namespace, 'kube-root-ca.crt')))
    attempt(() => writes.create(maps, { metadata: { name: 'kube-root-ca.crt', namespace }, data: { 'ca.crt': caPem } }));
};

/** Deletes whatever is in a Terminating namespace; when nothing is left, the namespace may go. */
const empty = (world: World, namespace: KubeObject): void => {
  const { storage, registry, writes } = world;
  const { name } = namespace.metadata;
  let left = 0;
  for (const resource of storedResources(world).filter(({ namespaced }) => namespaced))
    for (const object of storage.all(resource.id)) {
      if (object.metadata.namespace !== name) continue;
      if (!object.metadata.deletionTimestamp) attempt(() => writes.remove(resource, keyFor(object)));
      if (storage.get(resource.id, keyOf(name, object.metadata.name))) left += 1;
    }
  const namespaces = registry.byId('namespaces');
  if (left === 0 && namespaces)
    attempt(() => writes.modify(namespaces, keyFor(namespace), (copy) => ({ ...copy, spec: { ...copy.spec, finalizers: [] } })));
};

/** Returns a function that looks at a namespace after this turn: many removals in one turn are one look. */
export const createEmptier = (world: World): ((name: string) => void) => {
  const waiting = new Set<string>();
  return (name) => {
    const namespace = world.storage.get('namespaces', keyOf(undefined, name));
    if (!namespace?.metadata.deletionTimestamp || waiting.has(name)) return;
    waiting.add(name);
    queueMicrotask(() => {
      waiting.delete(name);
      const now = world.storage.get('namespaces', keyOf(undefined, name));
      if (now?.metadata.deletionTimestamp) empty(world, now);
    });
  };
};
