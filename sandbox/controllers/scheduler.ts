// SPDX-License-Identifier: Apache-2.0
// Chooses a node for each pod that has none: the one with the fewest siblings, then the fewest pods, then by name.
import type { Store } from '../api/store.ts';
import { controllerOf, isActive, isDeleting, keyFrom, keyText, nodesIn, podAt, podsIn } from '../objects.ts';
import type { Node, Pod, Toleration } from '../objects.ts';
import { itself } from './controller.ts';
import type { Controller } from './controller.ts';
import { withCondition } from '../conditions.ts';

export const scheduler = (store: Store): Controller => ({
  name: 'scheduler',
  watches: [
    { resource: 'pods', keysFor: (pod) => (pod['spec'].nodeName ? [] : itself(pod)) },
    { resource: 'nodes', keysFor: () => podsIn(store, { fieldSelector: 'spec.nodeName=' }).map(({ metadata }) => keyText(metadata)) },
  ],
  sync(key) {
    const pod = podAt(store, keyFrom(key));
    if (pod === undefined || pod.spec.nodeName || isDeleting(pod)) return undefined;
    const nodes = nodesIn(store);
    const nodeName = nodeFor(pod, nodes, podsIn(store));
    if (nodeName !== undefined) {
      store.patch('pods', keyFrom(key), { spec: { nodeName } });
      return undefined;
    }
    const message = `0/${nodes.length} nodes are available: none is ready, selected and tolerated`;
    const conditions = withCondition(pod.status?.conditions, { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message });
    store.patchStatus('pods', keyFrom(key), { conditions });
    return undefined;
  },
});

/** The name of the node that the pod should run on, or undefined when there is none for it now. */
export function nodeFor(pod: Pod, nodes: readonly Node[], pods: readonly Pod[]): string | undefined {
  const owner = controllerOf(pod)?.uid;
  const candidates = nodes
    .filter((node) => admits(node, pod))
    .map(({ metadata: { name } }) => {
      const here = pods.filter((other) => other.spec.nodeName === name && isActive(other) && !isDeleting(other));
      return {
        name,
        siblings: here.filter((other) => owner !== undefined && controllerOf(other)?.uid === owner).length,
        pods: here.length,
      };
    });
  return candidates.sort((a, b) => a.siblings - b.siblings || a.pods - b.pods || a.name.localeCompare(b.name))[0]?.name;
}

function admits(node: Node, pod: Pod): boolean {
  const tolerations = pod.spec.tolerations ?? [];
  if (node.spec.unschedulable === true) return false;
  const isSelected = Object.entries(pod.spec.nodeSelector ?? {}).every(([key, value]) => node.metadata.labels?.[key] === value);
  const hard = (node.spec.taints ?? []).filter(({ effect }) => effect !== 'PreferNoSchedule');
  return isSelected && hard.every((taint) => tolerations.some((toleration) => tolerates(toleration, taint)));
}

function tolerates(toleration: Toleration, taint: { readonly key: string; readonly value?: string; readonly effect: string }): boolean {
  if (toleration.effect && toleration.effect !== taint.effect) return false;
  if (toleration.operator === 'Exists') return !toleration.key || toleration.key === taint.key;
  return toleration.key === taint.key && (toleration.value ?? '') === (taint.value ?? '');
}
