// SPDX-License-Identifier: Apache-2.0
// What announcements write to the Kubernetes API: conditions of policies, when they change and never else.

import { asyncReconciler } from '../base/reconcile-async.ts';
import type { AsyncReconciler } from '../base/reconcile-async.ts';
import type { KubeClient } from '../kube/client.ts';
import { pathOf, pathOfObject, resources } from '../kube/resources.ts';
import { patchTarget } from '../kube/status.ts';
import type { CiliumL2AnnouncementPolicy } from '../kube/types.ts';
import { conditionsIn } from '../l2/conditions.ts';
import type { PolicyCondition } from '../l2/conditions.ts';
import type { L2Tables } from '../l2/tables.ts';

export function l2Objects(client: KubeClient, { conditions }: L2Tables): readonly AsyncReconciler[] {
  const target = patchTarget<string, readonly PolicyCondition[]>({
    name: 'l2_policy_conditions',
    client,
    list: async () => {
      const { items } = await client.list<CiliumL2AnnouncementPolicy>(pathOf(resources.l2Policies));
      return items.map((policy) => [policy.metadata.name, conditionsIn(policy)] as const);
    },
    path: (name) => `${pathOfObject(resources.l2Policies, name)}/status`,
    how: { type: 'merge' },
    set: (_, rows) => {
      const lastTransitionTime = new Date().toISOString();
      return { status: { conditions: rows.map((row) => ({ ...row, lastTransitionTime })) } };
    },
    unset: () => ({}), // what is not ours to say any more, another node says
  });
  return [asyncReconciler(conditions, target)];
}
