// SPDX-License-Identifier: Apache-2.0
// The last step of every write: storage, and with a definition also the registry.
import { notFound } from './api-error.ts';
import { CRD, register } from './crd.ts';
import { frozen } from './json.ts';
import type { Json, KubeObject } from './json.ts';
import type { Registry, Resource } from './resources.ts';
import type { AdmissionRequest } from './server.ts';
import { keyOf } from './storage.ts';
import type { Storage } from './storage.ts';
import type { ObjectKey } from './store.ts';

export type WriteContext = {
  readonly storage: Storage;
  readonly registry: Registry;
  readonly admit: ((request: AdmissionRequest) => Json) | undefined;
};

/** The resource under which objects of this one are stored. */
export const storedAs = ({ registry }: WriteContext, resource: Resource): Resource =>
  resource.viewOf === undefined ? resource : (registry.byId(resource.viewOf) ?? resource);

export const storageKey = (resource: Resource, { namespace, name }: ObjectKey): string =>
  keyOf(resource.namespaced ? (namespace ?? 'default') : undefined, name);

/** The object as stored. ApiError 404. */
export const existing = ({ storage }: WriteContext, resource: Resource, key: ObjectKey): KubeObject => {
  const object = storage.get(resource.id, storageKey(resource, key));
  if (!object) throw notFound(resource, key.name);
  return object;
};

/** Stores the object, unless this is a dry run. */
export const persist = ({ storage, registry }: WriteContext, resource: Resource, object: Json, dryRun = false): KubeObject => {
  if (dryRun) return frozen(object);
  const stored = storage.put(resource.id, storageKey(resource, object.metadata), object);
  if (resource.id === CRD) register(registry, stored);
  return stored;
};

/** Removes the object and returns its last state; undefined when it was gone. */
export const erase = ({ storage, registry }: WriteContext, resource: Resource, key: ObjectKey): KubeObject | undefined => {
  const last = storage.remove(resource.id, storageKey(resource, key));
  if (last && resource.id === CRD) registry.remove(last.metadata.name);
  return last;
};
