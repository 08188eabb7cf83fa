// SPDX-License-Identifier: Apache-2.0
// One ReplicaSet for each version of a Deployment's template, and a rolling update from one to the next.
import type { Json } from '../api/json.ts';
import type { Store } from '../api/store.ts';
import { withCondition } from '../conditions.ts';
import { controllerOf, isDeleting, keyFrom, ownedBy } from '../objects.ts';
import type { Condition, Workload } from '../objects.ts';
import { itself } from './controller.ts';
import type { Controller } from './controller.ts';
import { replicasFor } from './rollout.ts';
import { ownerKeys, templateHash } from './templates.ts';

const DEPLOYMENTS = 'deployments.apps';
const SETS = 'replicasets.apps';
const REVISION = 'deployment.kubernetes.io/revision';
const KEPT_REVISIONS = 10;

export const deploymentController = (store: Store): Controller => ({
  name: 'deployments',
  watches: [
    { resource: DEPLOYMENTS, keysFor: itself },
    { resource: SETS, keysFor: ownerKeys('Deployment') },
  ],
  sync(key) {
    const deployment = store.get(DEPLOYMENTS, keyFrom(key)) as Workload | undefined; // as: it is a Deployment
    if (deployment === undefined || isDeleting(deployment)) return undefined;
    const current = currentSet(store, deployment);
    const sets = setsOf(store, deployment);
    if (sets.some((set) => set['status']?.observedGeneration !== set.metadata.generation))
      return reportStatus(store, deployment, sets, current);
    if (deployment.spec['paused' as 'replicas' /* a field that the type leaves out */] === undefined)
      scale(store, deployment, sets, current);
    prune(store, sets, current);
    return reportStatus(store, deployment, setsOf(store, deployment), current);
  },
});

const setsOf = (store: Store, deployment: Workload): readonly Workload[] =>
  (store.list(SETS, { namespace: deployment.metadata.namespace ?? '' }) as readonly Workload[]) // as: they are ReplicaSets
    .filter((set) => controllerOf(set)?.uid === deployment.metadata.uid)
    .toSorted((a, b) => revisionOf(a) - revisionOf(b));

const revisionOf = (set: Workload): number => Number(set.metadata.annotations?.[REVISION] ?? 0);

/** The set of the template as it is now; created, or given the newest revision, when it is not the newest. */
function currentSet(store: Store, deployment: Workload): Workload {
  const hash = templateHash(deployment.spec.template);
  const sets = setsOf(store, deployment);
  const existing = sets.find(({ metadata }) => metadata.labels?.['pod-template-hash'] === hash);
  const newest = sets.at(-1);
  if (existing !== undefined && existing === newest) return withRevision(store, deployment, existing);
  const revision = `${(newest === undefined ? 0 : revisionOf(newest)) + 1}`;
  const set =
    existing === undefined
      ? store.create(SETS, setFor(deployment, hash, revision))
      : store.patch(SETS, existing.metadata, { metadata: { annotations: { [REVISION]: revision } } });
  return withRevision(store, deployment, set as Workload); // as: it is a ReplicaSet
}

function withRevision(store: Store, deployment: Workload, set: Workload): Workload {
  const revision = set.metadata.annotations?.[REVISION];
  if (deployment.metadata.annotations?.[REVISION] !== revision)
    store.patch(DEPLOYMENTS, deployment.metadata, { metadata: { annotations: { [REVISION]: revision } } });
  return set;
}

function setFor(deployment: Workload, hash: string, revision: string): Json {
  const { template, selector } = deployment.spec;
  const label = { 'pod-template-hash': hash };
  const labels = { ...template.metadata?.labels, ...label };
  return {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: {
      name: `${deployment.metadata.name}-${hash}`,
      namespace: deployment.metadata.namespace,
      labels,
      annotations: { [REVISION]: revision },
      ownerReferences: [ownedBy(deployment)],
    },
    spec: {
      replicas: 0,
      selector: { ...selector, matchLabels: { ...selector.matchLabels, ...label } },
      template: { ...template, metadata: { ...template.metadata, labels } },
    },
  };
}

function scale(store: Store, deployment: Workload, sets: readonly Workload[], current: Workload): void {
  const counts = sets.map(({ metadata, spec, ...set }) => ({
    name: metadata.name,
    replicas: spec.replicas ?? 0,
    available: set['status']?.availableReplicas ?? 0,
  }));
  const here = counts.find(({ name }) => name === current.metadata.name) ?? { name: current.metadata.name, replicas: 0, available: 0 };
  const plan = replicasFor({
    desired: deployment.spec.replicas ?? 1,
    current: here,
    old: counts.filter((count) => count !== here),
    strategy: deployment.spec.strategy ?? {},
  });
  for (const { name, replicas } of counts) {
    const wanted = plan.get(name) ?? replicas;
    if (wanted !== replicas) store.patch(SETS, { namespace: deployment.metadata.namespace ?? '', name }, { spec: { replicas: wanted } });
  }
}

function prune(store: Store, sets: readonly Workload[], current: Workload): void {
  const empty = sets.filter(
    (set) => set.metadata.name !== current.metadata.name && set.spec.replicas === 0 && set['status']?.replicas === 0,
  );
  for (const { metadata } of empty.slice(0, -KEPT_REVISIONS)) store.delete(SETS, metadata);
}

function reportStatus(store: Store, deployment: Workload, sets: readonly Workload[], current: Workload): undefined {
  const sum = (field: string, of: readonly Workload[]): number => of.reduce((total, set) => total + (set['status']?.[field] ?? 0), 0);
  const updated = sets.filter(({ metadata }) => metadata.name === current.metadata.name);
  const desired = deployment.spec.replicas ?? 1;
  const available = sum('availableReplicas', sets);
  const updatedReplicas = sum('replicas', updated);
  const isComplete = updatedReplicas === desired && sum('replicas', sets) === desired && sum('availableReplicas', updated) === desired;
  const status = {
    observedGeneration: deployment.metadata.generation ?? 1,
    replicas: sum('replicas', sets),
    updatedReplicas,
    readyReplicas: sum('readyReplicas', sets),
    availableReplicas: available,
    unavailableReplicas: Math.max(desired - available, 0),
    conditions: conditionsFor(deployment, current.metadata.name, available >= desired, isComplete),
  };
  store.patchStatus(DEPLOYMENTS, deployment.metadata, status);
  return undefined;
}

function conditionsFor(deployment: Workload, set: string, isAvailable: boolean, isComplete: boolean): readonly Condition[] {
  const available: Condition = isAvailable
    ? { type: 'Available', status: 'True', reason: 'MinimumReplicasAvailable', message: 'Deployment has minimum availability.' }
    : {
        type: 'Available',
        status: 'False',
        reason: 'MinimumReplicasUnavailable',
        message: 'Deployment does not have minimum availability.',
      };
  const progressing: Condition = isComplete
    ? { type: 'Progressing', status: 'True', reason: 'NewReplicaSetAvailable', message: `ReplicaSet "${set}" has successfully progressed.` }
    : { type: 'Progressing', status: 'True', reason: 'ReplicaSetUpdated', message: `ReplicaSet "${set}" is progressing.` };
  return withCondition(withCondition(deployment['status']?.conditions, available), progressing);
}
