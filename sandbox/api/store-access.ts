// SPDX-License-Identifier: Apache-2.0
// The in-process face of the API's objects (store.ts) over storage and writes.
import { ApiError } from './api-error.ts';
import { mergePatched } from './patch.ts';
import { apiVersionOf } from './resources.ts';
import type { Registry } from './resources.ts';
import { selectionOf } from './selectors.ts';
import { keyOf } from './storage.ts';
import type { Storage } from './storage.ts';
import type { ObjectKey, Store, StoreEvent } from './store.ts';
import { known } from './store-writes.ts';
import type { Writes } from './store-writes.ts';

/** A field that the kind does not have is a mistake of ours. */
const STRICT = { fieldValidation: 'Strict' } as const;

export const createStore = (storage: Storage, registry: Registry, writes: Writes): Store => {
  const keyFor = (id: string, { namespace, name }: ObjectKey): string =>
    keyOf(known(registry, id).namespaced ? (namespace ?? 'default') : undefined, name);
  const versioned = (id: string, object: { metadata?: { name?: string; namespace?: string; resourceVersion?: string } }): object => {
    const { name = '', namespace, resourceVersion } = object.metadata ?? {};
    const current = storage.get(id, keyFor(id, { name, ...(namespace !== undefined && { namespace }) }));
    return { ...object, metadata: { ...object.metadata, resourceVersion: resourceVersion ?? current?.metadata.resourceVersion } };
  };

  return {
    get: (id, key) => storage.get(id, keyFor(id, key)),
    list(id, filter = {}) {
      const selected = selectionOf(filter, known(registry, id).id);
      return selected ? storage.all(id).filter(selected) : storage.all(id);
    },
    watch(id, signal, listener) {
      known(registry, id);
      const cursor = storage.cursor(id, storage.revision());
      const initial = storage.all(id);
      const deliver = (event: StoreEvent): void => {
        if (!signal.aborted) listener(event);
      };
      const drain = (): void => {
        for (let change = cursor.next(); change && !signal.aborted; change = cursor.next()) deliver(change);
      };
      if (signal.aborted) return;
      signal.addEventListener('abort', () => cursor.close(), { once: true });
      queueMicrotask(() => {
        for (const object of initial) deliver({ type: 'ADDED', object, previous: undefined });
        cursor.onChange(drain);
        drain();
      });
    },
    create(id, object) {
      const resource = known(registry, id);
      const version = resource.versions.find((one) => apiVersionOf(resource, one) === object?.apiVersion);
      return writes.create(resource, object, { ...STRICT, ...(version !== undefined && { version }) });
    },
    update: (id, object) => writes.update(known(registry, id), versioned(id, object), STRICT),
    updateStatus: (id, object) => writes.update(known(registry, id), versioned(id, object), { ...STRICT, subresource: 'status' }),
    patch: (id, key, change) => writes.modify(known(registry, id), key, (copy) => mergePatched(copy, change), STRICT),
    patchStatus(id, key, status) {
      const resource = known(registry, id);
      if (!resource.status) throw new ApiError(404, 'NotFound', `${id} has no status subresource`, {});
      return writes.modify(resource, key, (copy) => mergePatched(copy, { status }), { ...STRICT, subresource: 'status' });
    },
    force: (id, object) =>
      storage.put(id, keyFor(id, object.metadata), {
        apiVersion: apiVersionOf(known(registry, id)),
        kind: known(registry, id).kind,
        ...object,
        metadata: { uid: crypto.randomUUID(), ...object.metadata },
      }),
    delete: (id, key, options) => writes.remove(known(registry, id), key, options).object,
  };
};
