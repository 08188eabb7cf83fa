// SPDX-License-Identifier: Apache-2.0
// Gives each Node its pod ranges, one of each family, and keeps pods away from nodes that are not ready.
import { cidr } from '../../src/base/ip.ts';
import type { Store } from '../api/store.ts';
import { CLUSTER } from '../layout.ts';
import { conditionIs, isDeleting, nodesIn } from '../objects.ts';
import type { Node } from '../objects.ts';
import { subnetAt } from './addresses.ts';
import { itself } from './controller.ts';
import type { Controller } from './controller.ts';

const [IPV4, IPV6] = CLUSTER.podCidrs;
const RANGES = 255;
const NOT_READY = 'node.kubernetes.io/not-ready';

export const nodeController = (store: Store): Controller => ({
  name: 'nodes',
  watches: [{ resource: 'nodes', keysFor: itself }],
  sync(name) {
    const nodes = nodesIn(store);
    const node = nodes.find(({ metadata }) => metadata.name === name);
    if (node === undefined || isDeleting(node)) return undefined;
    const change = { ...podRangesFor(node, nodes), ...taintsFor(node) };
    if (Object.keys(change).length > 0) store.patch('nodes', { name }, { spec: change });
    return undefined;
  },
});

/** The lowest free pair of ranges, counted from 1, for a node that has none. */
export function podRangesFor(node: Node, nodes: readonly Node[]): { podCIDR?: string; podCIDRs?: readonly string[] } {
  if (node.spec.podCIDR !== undefined) return {};
  const taken = new Set(nodes.flatMap(({ spec }) => spec.podCIDRs ?? []));
  for (let index = 1; index <= RANGES; index++) {
    const pair = [subnetAt(cidr(IPV4), 24, index), subnetAt(cidr(IPV6), 64, index)] as const;
    if (!pair.some((range) => taken.has(range))) return { podCIDR: pair[0], podCIDRs: pair };
  }
  return {};
}

function taintsFor({ spec, status }: Node): { taints?: Node['spec']['taints'] } {
  const taints = spec.taints ?? [];
  const isTainted = taints.some(({ key }) => key === NOT_READY);
  const isReady = conditionIs(status?.conditions, 'Ready', 'True');
  if (isReady !== isTainted) return {};
  if (isReady) return { taints: taints.filter(({ key }) => key !== NOT_READY) };
  return { taints: [...taints, { key: NOT_READY, effect: 'NoSchedule' }] };
}
