// SPDX-License-Identifier: Apache-2.0
// Nodes whose podCIDRs have addresses in common: which pod a packet meant is then a matter of luck.

import { cidrContains, cidrText, familyOf, ipToBytes } from '../base/ip.ts';
import type { Cidr } from '../base/ip.ts';
import { problem } from '../base/problem.ts';
import type { Problem } from '../base/problem.ts';
import type { NodeRow } from './node.ts';

/** That a node's prefix has addresses of another node's. Key: the node. */
export type OverlapRow = {
  readonly node: string;
  readonly prefix: Cidr;
  readonly other: { readonly node: string; readonly prefix: Cidr };
};

/** For each node that shares addresses with another the first such pair, by its own podCIDRs. */
export function overlapsOf(nodes: Iterable<NodeRow>): readonly OverlapRow[] {
  const claims = Array.from(nodes, (node) => node.podCidrs.map((prefix) => ({ node: node.name, prefix, order: orderOf(prefix) })))
    .flat()
    .toSorted((a, b) => Buffer.compare(a.order, b.order) || (a.node < b.node ? -1 : 1));
  const found = new Map<string, OverlapRow>();
  const around: (typeof claims)[number][] = []; // what holds the place that has been reached, the widest first
  for (const claim of claims) {
    for (let last = around.at(-1); last && !holds(last.prefix, claim.prefix); last = around.at(-1)) around.pop();
    const other = around.findLast(({ node }) => node !== claim.node);
    if (other) {
      if (!found.has(claim.node)) found.set(claim.node, { node: claim.node, prefix: claim.prefix, other: named(other) });
      if (!found.has(other.node)) found.set(other.node, { node: other.node, prefix: other.prefix, other: named(claim) });
    }
    around.push(claim);
  }
  return [...found.values()];
}

export function overlapProblem({ node, prefix, other }: OverlapRow): Problem {
  const same = cidrText(prefix) === cidrText(other.prefix);
  return problem({
    object: `Node ${node}`,
    reason: 'PodCidrOverlaps',
    message: `spec.podCIDRs has ${cidrText(prefix)}, ${same ? `and so has Node ${other.node}` : `which overlaps ${cidrText(other.prefix)} of Node ${other.node}`}: pods of both get the same addresses, and what is sent to them reaches one of the two nodes`,
    advice: `Delete the Node object of one of them, so that kube-controller-manager assigns another range when its kubelet registers again, and start its pods anew`,
  });
}

/** Sorts families apart, then by first address, and the wider before what it holds. */
function orderOf({ ip, bits }: Cidr): Buffer {
  return Buffer.concat([Buffer.of(familyOf(ip)), ipToBytes(ip), Buffer.of(bits)]);
}

function holds(wide: Cidr, prefix: Cidr): boolean {
  return wide.bits <= prefix.bits && cidrContains(wide, prefix.ip);
}

function named({ node, prefix }: { readonly node: string; readonly prefix: Cidr }): OverlapRow['other'] {
  return { node, prefix };
}
