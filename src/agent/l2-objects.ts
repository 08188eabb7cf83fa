// SPDX-License-Identifier: Apache-2.0
// What announcements write to the Kubernetes API: conditions of policies and of Services, when they change and never else.

import { asyncReconciler } from '../base/reconcile-async.ts';
import type { AsyncReconciler } from '../base/reconcile-async.ts';
import type { KubeClient } from '../kube/client.ts';
import { pathOf, pathOfObject, resources } from '../kube/resources.ts';
import { patchTarget } from '../kube/status.ts';
import type { CiliumL2AnnouncementPolicy, Condition, Service } from '../kube/types.ts';
import { conditionsIn } from '../l2/conditions.ts';
import type { PolicyCondition } from '../l2/conditions.ts';
import { REACHABLE, toBeFound } from '../l2/reachable.ts';
import type { Reachable } from '../l2/reachable.ts';
import type { L2Tables } from '../l2/tables.ts';

export function l2Objects(
  client: KubeClient,
  { conditions, reachable, owners }: Pick<L2Tables, 'conditions' | 'reachable' | 'owners'>,
): readonly AsyncReconciler[] {
  return [policyConditions(client, conditions), serviceConditions(client, { reachable, owners })];
}

function policyConditions(client: KubeClient, conditions: L2Tables['conditions']): AsyncReconciler {
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
    unset: () => ({}),
  });
  return asyncReconciler(conditions, { ...target, remove: () => Promise.resolve() }); // another node says it from now on
}

/** Of the status only what is ours: other conditions stay, whoever has them. */
function serviceConditions(client: KubeClient, { reachable, owners }: Pick<L2Tables, 'reachable' | 'owners'>): AsyncReconciler {
  const partsOf = (key: string) => key.split('/') as [namespace: string, name: string]; // as: keys of Services have both
  const target = patchTarget<string, Reachable>({
    name: 'l2_service_conditions',
    client,
    list: async () => {
      const { items } = await client.list<Service>(pathOf(resources.services));
      return items.flatMap(({ metadata: { namespace = 'default', name }, status }) => {
        const found = status?.conditions?.find(({ type }) => type === REACHABLE);
        return found ? [[`${namespace}/${name}`, readable(found)] as const] : [];
      });
    },
    path: (key) => {
      const [namespace, name] = partsOf(key);
      return `${pathOfObject(resources.services, name, namespace)}/status`;
    },
    how: { type: 'apply', fieldManager: 'stentor-agent-l2', force: true },
    set: (key, row) => {
      const [namespace, name] = partsOf(key);
      const lastTransitionTime = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
      const { apiVersion, kind } = resources.services;
      return { apiVersion, kind, metadata: { namespace, name }, status: { conditions: [{ type: REACHABLE, ...row, lastTransitionTime }] } };
    },
    unset: (key) => {
      const [namespace, name] = partsOf(key);
      const { apiVersion, kind } = resources.services;
      return { apiVersion, kind, metadata: { namespace, name }, status: { conditions: [] } };
    },
  });
  /** While it has an address another node says it from now on. */
  const remove: typeof target.remove = (entries) => target.remove(entries.filter(([key]) => toBeFound(owners, key).length === 0));
  return asyncReconciler(reachable, { ...target, remove });
}

function readable({ status, reason = '', message = '' }: Condition): Reachable {
  return { status: status === 'True' || status === 'False' ? status : 'Unknown', reason, message };
}
