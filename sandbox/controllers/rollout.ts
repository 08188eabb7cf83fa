// SPDX-License-Identifier: Apache-2.0
// One step of a rolling update: how many replicas each ReplicaSet of a Deployment should have now. Pure.
import type { RolloutStrategy } from '../objects.ts';
import { countOf } from './templates.ts';

export type ReplicaCount = {
  readonly name: string;
  /** Wanted at the moment. */
  readonly replicas: number;
  /** Ready at the moment. */
  readonly available: number;
};

export type Rollout = {
  readonly desired: number;
  readonly current: ReplicaCount;
  /** Oldest first. */
  readonly old: readonly ReplicaCount[];
  readonly strategy: RolloutStrategy;
};

const total = (counts: readonly ReplicaCount[], of: 'replicas' | 'available'): number => counts.reduce((sum, count) => sum + count[of], 0);

/** The number of replicas by ReplicaSet, for all sets of the rollout. */
export function replicasFor({ desired, current, old, strategy }: Rollout): ReadonlyMap<string, number> {
  if (strategy.type === 'Recreate') return recreated({ desired, current, old, strategy });
  const { maxSurge = '25%', maxUnavailable = '25%' } = strategy.rollingUpdate ?? {};
  const surge = countOf(maxSurge, desired, Math.ceil);
  const unavailable = Math.max(countOf(maxUnavailable, desired, Math.floor), surge === 0 ? 1 : 0);
  const leastAvailable = desired - unavailable;

  const room = Math.max(desired + surge - current.replicas - total(old, 'replicas'), 0);
  const grown = current.replicas >= desired ? desired : Math.min(desired, current.replicas + room);
  const plan = new Map<string, number>([[current.name, grown]]);

  // What never came up goes first and costs nothing; then as many as may be missing.
  const notUpYet = Math.max(current.replicas - current.available, 0);
  let removable = Math.max(current.replicas + total(old, 'replicas') - leastAvailable - notUpYet, 0);
  let spare = Math.max(current.available + total(old, 'available') - leastAvailable, 0);
  for (const set of old) {
    const broken = Math.min(Math.max(set.replicas - set.available, 0), removable);
    const healthy = Math.min(set.replicas - broken, spare, removable - broken);
    removable -= broken + healthy;
    spare -= healthy;
    plan.set(set.name, set.replicas - broken - healthy);
  }
  return plan;
}

function recreated({ desired, current, old }: Rollout): ReadonlyMap<string, number> {
  const isClear = total(old, 'replicas') === 0;
  return new Map([[current.name, isClear ? desired : current.replicas], ...old.map(({ name }) => [name, 0] as const)]);
}
