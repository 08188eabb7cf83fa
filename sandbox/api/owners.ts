// SPDX-License-Identifier: Apache-2.0
// Owner references: which objects depend on which, and what happens to them when an owner goes.
//
//   owner gone ─▶ dependents without another owner are deleted
//   owner marked foregroundDeletion ─▶ dependents first, then it       marked orphan ─▶ references removed, then it
import { ApiError } from './api-error.ts';
import type { KubeObject, OwnerReference } from './json.ts';
import type { Registry, Resource } from './resources.ts';
import { keyOf } from './storage.ts';
import type { Storage } from './storage.ts';
import type { ObjectKey } from './store.ts';
import type { Writes } from './store-writes.ts';

type Dependent = { readonly resource: Resource; readonly object: KubeObject };

export type World = {
  readonly storage: Storage;
  readonly registry: Registry;
  readonly writes: Writes;
  /** Dependents by their owner's uid, then by their own. */
  readonly owned: Map<string, Map<string, Dependent>>;
};

/** Refusals in here are races with other writers, whose write causes another look. */
export const attempt = (action: () => unknown): void => {
  try {
    action();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
  }
};

export const keyFor = ({ metadata: { name, namespace } }: KubeObject): ObjectKey => ({
  name,
  ...(namespace !== undefined && { namespace }),
});

/** Keeps the index of dependents equal to what is stored: call with what was there, and with what is. */
export const indexOwners = ({ owned }: World, { resource, object }: Dependent, present: boolean): void => {
  for (const { uid } of object.metadata.ownerReferences ?? []) {
    const dependents = owned.get(uid) ?? new Map<string, Dependent>();
    if (present) owned.set(uid, dependents.set(object.metadata.uid, { resource, object }));
    else if (dependents.delete(object.metadata.uid) && dependents.size === 0) owned.delete(uid);
  }
};

/** As they are now: the index may be behind the store by the changes of this turn. */
const dependentsOf = ({ owned, storage }: World, { metadata: { uid } }: KubeObject): readonly Dependent[] =>
  [...(owned.get(uid)?.values() ?? [])].flatMap(({ resource, object: { metadata } }) => {
    const object = storage.get(resource.id, keyOf(metadata.namespace, metadata.name));
    return object?.metadata.ownerReferences?.some((owner) => owner.uid === uid) ? [{ resource, object }] : [];
  });

const ownerOf = (
  { registry, storage }: World,
  owner: OwnerReference,
  namespace: string | undefined,
): { resource: Resource | undefined; object: KubeObject | undefined } => {
  const group = owner.apiVersion.includes('/') ? (owner.apiVersion.split('/')[0] ?? '') : '';
  const resource = registry.byKind(group, owner.kind);
  return { resource, object: resource && storage.get(resource.id, keyOf(resource.namespaced ? namespace : undefined, owner.name)) };
};

/** A kind that nobody knows (yet) cannot be proved gone. */
const exists = (world: World, owner: OwnerReference, namespace: string | undefined): boolean => {
  const { resource, object } = ownerOf(world, owner, namespace);
  return resource === undefined || object?.metadata.uid === owner.uid;
};

const dropFinalizer = ({ writes }: World, { resource, object }: Dependent, finalizer: string): void =>
  attempt(() =>
    writes.modify(resource, keyFor(object), (copy) => {
      copy.metadata.finalizers = copy.metadata.finalizers.filter((one: string) => one !== finalizer);
      return copy;
    }),
  );

const orphanDependents = (world: World, owner: Dependent): void => {
  const { uid } = owner.object.metadata;
  for (const { resource, object } of dependentsOf(world, owner.object))
    attempt(() =>
      world.writes.modify(resource, keyFor(object), (copy) => {
        copy.metadata.ownerReferences = copy.metadata.ownerReferences.filter((one: OwnerReference) => one.uid !== uid);
        return copy;
      }),
    );
  dropFinalizer(world, owner, 'orphan');
};

const deleteDependentsFirst = (world: World, owner: Dependent): void => {
  const dependents = dependentsOf(world, owner.object);
  if (dependents.length === 0) return dropFinalizer(world, owner, 'foregroundDeletion');
  for (const { resource, object } of dependents)
    if (!object.metadata.deletionTimestamp)
      attempt(() => world.writes.remove(resource, keyFor(object), { propagationPolicy: 'Foreground' }));
};

/** Deletes the object if it had owners and has none left. */
const collect = (world: World, { resource, object }: Dependent): void => {
  const { ownerReferences = [], namespace, deletionTimestamp, uid } = object.metadata;
  if (ownerReferences.length === 0 || deletionTimestamp || ownerReferences.some((owner) => exists(world, owner, namespace))) return;
  attempt(() => world.writes.remove(resource, keyFor(object), { preconditions: { uid } }));
};

/** To be called for each object that appeared or changed. */
export const tendOwners = (world: World, { resource, object }: Dependent): void => {
  const { deletionTimestamp, finalizers = [] } = object.metadata;
  if (deletionTimestamp && finalizers.includes('orphan')) orphanDependents(world, { resource, object });
  else if (deletionTimestamp && finalizers.includes('foregroundDeletion')) deleteDependentsFirst(world, { resource, object });
  else collect(world, { resource, object });
};

/** To be called for each object that is gone. */
export const tendDependents = (world: World, gone: KubeObject): void => {
  for (const dependent of dependentsOf(world, gone)) collect(world, dependent);
  for (const reference of gone.metadata.ownerReferences ?? []) {
    const { resource, object } = ownerOf(world, reference, gone.metadata.namespace);
    if (resource && object?.metadata.finalizers?.includes('foregroundDeletion')) deleteDependentsFirst(world, { resource, object });
  }
};
