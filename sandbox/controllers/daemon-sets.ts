// SPDX-License-Identifier: Apache-2.0
// Keeps one pod of each DaemonSet on every node that its selector allows, whatever the node's taints.
import type { Store } from '../api/store.ts';
import { isActive, isDeleting, isReady, keyFrom, keyText, nodesIn } from '../objects.ts';
import type { Node, Pod, Workload } from '../objects.ts';
import { itself } from './controller.ts';
import type { Controller } from './controller.ts';
import { countOf, ownerKeys, podFrom, podsOf, templateHash } from './templates.ts';

const SETS = 'daemonsets.apps';
const HASH = 'controller-revision-hash';

export const daemonSetController = (store: Store): Controller => ({
  name: 'daemon sets',
  watches: [
    { resource: SETS, keysFor: itself },
    { resource: 'pods', keysFor: ownerKeys('DaemonSet') },
    { resource: 'nodes', keysFor: () => store.list(SETS).map(({ metadata }) => keyText(metadata)) },
  ],
  sync(key) {
    const set = store.get(SETS, keyFrom(key)) as Workload | undefined; // as: it is a DaemonSet
    if (set === undefined || isDeleting(set)) return undefined;
    const hash = templateHash(set.spec.template);
    const nodes = nodesIn(store)
      .filter((node) => isWanted(set, node))
      .map(({ metadata }) => metadata.name);
    const pods = podsOf(store, set);
    for (const { metadata, spec } of pods) if (!nodes.includes(spec.nodeName ?? '')) store.delete('pods', metadata);
    for (const pod of pods) if (!isActive(pod) && !isDeleting(pod)) store.delete('pods', pod.metadata);
    for (const name of nodes) if (!pods.some(({ spec }) => spec.nodeName === name)) store.create('pods', podOn(set, name, hash));
    for (const { metadata } of outdated(set, pods, hash)) store.delete('pods', metadata);
    reportStatus(store, set, nodes, hash);
    return undefined;
  },
});

const isWanted = (set: Workload, node: Node): boolean =>
  Object.entries(set.spec.template.spec.nodeSelector ?? {}).every(([key, value]) => node.metadata.labels?.[key] === value);

function podOn(set: Workload, nodeName: string, hash: string) {
  const tolerations = [...(set.spec.template.spec.tolerations ?? []), { operator: 'Exists' }];
  return podFrom(set, { labels: { [HASH]: hash }, spec: { nodeName, tolerations } });
}

/** Pods of an earlier template that may go now: those that do not work, then as many as may be missing at once. */
export function outdated(set: Workload, pods: readonly Pod[], hash: string): readonly Pod[] {
  const { type = 'RollingUpdate', rollingUpdate } = set.spec.updateStrategy ?? {};
  if (type !== 'RollingUpdate') return [];
  const old = pods.filter((pod) => pod.metadata.labels?.[HASH] !== hash && !isDeleting(pod));
  const most = Math.max(countOf(rollingUpdate?.maxUnavailable ?? 1, pods.length, Math.ceil), 1);
  const missing = pods.filter((pod) => isDeleting(pod) || !isReady(pod)).length;
  const broken = old.filter((pod) => !isReady(pod));
  return [...broken, ...old.filter(isReady).slice(0, Math.max(most - missing, 0))];
}

function reportStatus(store: Store, set: Workload, nodes: readonly string[], hash: string): void {
  const pods = podsOf(store, set).filter((pod) => !isDeleting(pod));
  const ready = pods.filter(isReady).length;
  store.patchStatus(SETS, set.metadata, {
    observedGeneration: set.metadata.generation ?? 1,
    desiredNumberScheduled: nodes.length,
    currentNumberScheduled: pods.length,
    updatedNumberScheduled: pods.filter(({ metadata }) => metadata.labels?.[HASH] === hash).length,
    numberMisscheduled: 0,
    numberReady: ready,
    numberAvailable: ready,
    numberUnavailable: nodes.length - ready,
  });
}
