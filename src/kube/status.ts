// SPDX-License-Identifier: Apache-2.0
// Targets in the Kubernetes API: a part of the status or metadata of objects, and Events.

import type { AsyncTarget } from '../base/reconcile-async.ts';
import { EntryErrors } from '../base/ledger.ts';
import type { Entries } from '../base/ledger.ts';
import type { KubeClient, PatchOptions } from './client.ts';
import { isStatus } from './kube-error.ts';

export type PatchTargetOptions<K extends string, V> = {
  readonly name: string;
  readonly client: KubeClient;
  /** What is there now, as far as it is ours: read once, at the start. */
  readonly list: (client: KubeClient) => Promise<Iterable<readonly [K, V]>>;
  /** Path of the object, with '/status' where that is what is patched. */
  readonly path: (key: K) => string;
  readonly how: Omit<PatchOptions, 'signal'>;
  /** The patch that makes `value` so. */
  readonly set: (key: K, value: V) => unknown;
  /** The patch that takes `value` away. */
  readonly unset: (key: K, value: V) => unknown;
};

/** One patch for each key. An object that is gone needs none; a key that fails does not hold up the others. */
export function patchTarget<K extends string, V>(options: PatchTargetOptions<K, V>): AsyncTarget<K, V> {
  const { name, client, list, path, how, set, unset } = options;
  const patch = async (key: K, body: unknown) => {
    try {
      await client.patch(path(key), body, how);
    } catch (error) {
      if (!isStatus(error, 404)) throw error;
    }
  };
  return {
    name,
    list: () => list(client),
    put: (entries) => eachOf(entries, (key, value) => patch(key, set(key, value))),
    remove: (entries) => eachOf(entries, (key, value) => patch(key, unset(key, value))),
  };
}

const AT_ONCE = 4; // calls under way: one slow answer does not hold up hundreds of keys, and the server hardly notices us

/** Calls `act` for every entry, a few at a time. Throws EntryErrors when some failed. */
export async function eachOf<K extends string, V>(entries: Entries<K, V>, act: (key: K, value: V) => Promise<void>): Promise<void> {
  const failed = new Map<string, unknown>();
  const left = entries.values();
  const work = async () => {
    for (const [key, value] of left) {
      try {
        await act(key, value);
      } catch (error) {
        failed.set(key, error);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, entries.length) }, work));
  if (failed.size > 0) throw new EntryErrors(failed);
}
