// SPDX-License-Identifier: Apache-2.0
// Events as a kubelet writes them: the same thing said again counts up instead of making another object.
import { now } from '../conditions.ts';
import type { KubeObject, Store } from '../api/store.ts';

export type Recorder = (object: KubeObject, type: 'Normal' | 'Warning', reason: string, message: string) => void;

export function recorderFor(store: Store, component: string, host: string): Recorder {
  const known = new Map<string, { readonly name: string; count: number }>();
  return (object, type, reason, message) => {
    const { name, namespace = 'default', uid } = object.metadata;
    const key = `${uid} ${reason} ${message}`;
    const before = known.get(key);
    try {
      if (before !== undefined) {
        before.count++;
        store.patch('events', { namespace, name: before.name }, { count: before.count, lastTimestamp: now() });
        return;
      }
      const involvedObject = { apiVersion: object.apiVersion, kind: object.kind, name, namespace: object.metadata.namespace, uid };
      const times = { firstTimestamp: now(), lastTimestamp: now() };
      const source = { component, host };
      const made = store.create('events', {
        metadata: { generateName: `${name}.`, namespace },
        involvedObject,
        type,
        reason,
        message,
        source,
        count: 1,
        ...times,
      });
      known.set(key, { name: made.metadata.name, count: 1 });
    } catch {
      known.delete(key); // an event that cannot be written (its namespace is going away) is not worth more
    }
  };
}
