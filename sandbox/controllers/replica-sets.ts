// SPDX-License-Identifier: Apache-2.0
// Keeps as many pods of each ReplicaSet as it asks for.
import type { Store } from '../api/store.ts';
import { isActive, isDeleting, isReady, keyFrom } from '../objects.ts';
import type { Pod, Workload } from '../objects.ts';
import { itself } from './controller.ts';
import type { Controller } from './controller.ts';
import { ownerKeys, podFrom, podsOf, readyCount } from './templates.ts';

const SETS = 'replicasets.apps';

export const replicaSetController = (store: Store): Controller => ({
  name: 'replica sets',
  watches: [
    { resource: SETS, keysFor: itself },
    { resource: 'pods', keysFor: ownerKeys('ReplicaSet') },
  ],
  sync(key) {
    const set = store.get(SETS, keyFrom(key)) as Workload | undefined; // as: it is a ReplicaSet
    if (set === undefined || isDeleting(set)) return undefined;
    const wanted = set.spec.replicas ?? 1;
    const pods = podsOf(store, set).filter((pod) => isActive(pod) && !isDeleting(pod));
    for (let count = pods.length; count < wanted; count++) store.create('pods', podFrom(set));
    for (const { metadata } of victims(pods, pods.length - wanted)) store.delete('pods', metadata);
    const after = podsOf(store, set).filter((pod) => isActive(pod) && !isDeleting(pod));
    const ready = readyCount(after);
    const status = { replicas: after.length, fullyLabeledReplicas: after.length, readyReplicas: ready, availableReplicas: ready };
    store.patchStatus(SETS, keyFrom(key), { ...status, observedGeneration: set.metadata.generation ?? 1 });
    return undefined;
  },
});

/** The pods that are missed least: without a node, not ready, youngest. */
export function victims(pods: readonly Pod[], count: number): readonly Pod[] {
  const rank = (pod: Pod) => (pod.spec.nodeName ? 1 : 0) + (isReady(pod) ? 2 : 0);
  const age = (pod: Pod) => pod.metadata.creationTimestamp;
  return pods.toSorted((a, b) => rank(a) - rank(b) || age(b).localeCompare(age(a))).slice(0, Math.max(count, 0));
}
