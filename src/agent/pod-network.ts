// SPDX-License-Identifier: Apache-2.0
// What new pods get: their ranges and their MTU.

import { familyOf } from '../base/ip.ts';
import type { Cidr } from '../base/ip.ts';
import type { NodeTables } from '../nodes/tables.ts';
import type { Config } from './config.ts';

const USUAL_MTU = 1500;

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

/** The smallest of the uplinks', so that a pod's packet fits whichever way it leaves. */
export function mtuOf(nodes: NodeTables, config: Pick<Config, 'mtu'>): number {
  if (config.mtu !== undefined) return config.mtu;
  const mtus = Array.from(nodes.uplinks.entries(), ([, uplink]) => uplink.mtu);
  return mtus.length > 0 ? Math.min(...mtus) : USUAL_MTU;
}
