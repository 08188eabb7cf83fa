// SPDX-License-Identifier: Apache-2.0
// What new pods get: their ranges and their MTU.

import { familyOf } from '../base/ip.ts';
import type { Cidr } from '../base/ip.ts';
import type { Problem } from '../base/problem.ts';
import { mtuProblems, podMtu } from '../nodes/mtu.ts';
import type { PodMtu } from '../nodes/mtu.ts';
import { mtuBudget } from '../nodes/mtu-budget.ts';
import type { BudgetRow } from '../nodes/mtu-budget.ts';
import type { NodeTables } from '../nodes/tables.ts';
import type { Config } from './config.ts';

/** The ranges of this node's pods, one for each family that is switched on, or why there are none. */
export function podRanges(nodes: NodeTables, self: string, config: Pick<Config, 'ipv4' | 'ipv6'>): readonly Cidr[] | string {
  const node = nodes.nodes.get(self);
  if (!node) return `Node ${self} is not known yet, wanted its object from the Kubernetes API`;
  const wanted = { 4: config.ipv4, 6: config.ipv6 } as const;
  const ranges = node.podCidrs.filter((range) => wanted[familyOf(range.ip)] !== false);
  const missing = ([4, 6] as const).find((family) => wanted[family] === true && !ranges.some((range) => familyOf(range.ip) === family));
  if (missing !== undefined) return `Node ${self} has no IPv${missing} range in spec.podCIDRs, and ipv${missing}.enabled wants one`;
  return ranges.length > 0
    ? ranges
    : `Node ${self} has no range in spec.podCIDRs, wanted one that kube-controller-manager assigns (--allocate-node-cidrs)`;
}

/** What new pods get, and why. */
export function mtuOf(nodes: Pick<NodeTables, 'uplinks'>, config: Pick<Config, 'mtu'>): PodMtu {
  const uplinks = Array.from(nodes.uplinks.entries(), ([, uplink]) => uplink);
  return podMtu(uplinks, config.mtu);
}

/** How large packets may be on each way. */
export function budgetOf(
  nodes: Pick<NodeTables, 'uplinks' | 'nodes'>,
  self: string,
  config: Pick<Config, 'mtu' | 'loadBalancer'>,
): readonly BudgetRow[] {
  const { mode, dispatch } = config.loadBalancer;
  const { mtu: pods } = mtuOf(nodes, config);
  const wire = Math.min(...Array.from(nodes.uplinks.entries(), ([, { mtu }]) => mtu));
  const families = new Set(nodes.nodes.get(self)?.addresses.map(familyOf));
  return mtuBudget({ pods, wire: Number.isFinite(wire) ? wire : pods, mode, dispatch, nodes: families });
}

/** What is wrong with that MTU. */
export function mtuTroubles(nodes: NodeTables, self: string, config: Pick<Config, 'mtu' | 'ipv4' | 'ipv6'>): readonly Problem[] {
  if (!nodes.uplinks.complete) return [];
  const ranges = podRanges(nodes, self, config);
  const ipv6 = typeof ranges !== 'string' && ranges.some((range) => familyOf(range.ip) === 6);
  return mtuProblems(mtuOf(nodes, config), { node: self, ipv6 });
}
