// SPDX-License-Identifier: Apache-2.0
// Routes of the node: to the pods of every other node that shares a segment through that node, and to each pod of its own through its veth.

import { cidr, cidrContains, cidrText, familyOf } from '../base/ip.ts';
import type { Cidr, Ip } from '../base/ip.ts';
import { problem } from '../base/problem.ts';
import type { Problem } from '../base/problem.ts';
import type { RouteRow } from '../datapath/routes.ts';
import { routeText } from '../datapath/routes.ts';
import type { EndpointRow } from '../endpoints/endpoint.ts';
import type { NodeRow } from './node.ts';

/** What of this node decides about the routes to others. */
export type Here = {
  /** Its name. */
  readonly self: string;
  /** Whose machines its interfaces reach without a gateway. */
  readonly segments: readonly Cidr[];
  /** directRoutingSkipUnreachable: say nothing of a node that is on none of them. */
  readonly skip: boolean;
};

/** autoDirectNodeRoutes: the node's podCIDRs through its first address of the same family that is on a segment of this node. */
export function* nodeRoutes(node: NodeRow | undefined, { self, segments, skip }: Here): Iterable<readonly [string, RouteRow] | Problem> {
  if (!node || node.name === self) return;
  const unreached: string[] = [];
  for (const destination of node.podCidrs) {
    const addresses = node.addresses.filter((address) => familyOf(address) === familyOf(destination.ip));
    const gateway = addresses.find((address) => segments.some((segment) => cidrContains(segment, address)));
    if (gateway === undefined) {
      if (addresses.length > 0) unreached.push(`${cidrText(destination)} behind ${addresses.join(' and ')}`);
      continue;
    }
    const row: RouteRow = { kind: 'via', destination, gateway };
    yield [routeText(row), row];
  }
  if (unreached.length > 0 && !skip) yield notOnSegment(node.name, unreached, self);
}

function notOnSegment(node: string, unreached: readonly string[], self: string): Problem {
  return problem({
    object: `Node ${node}`,
    reason: 'NotOnSegment',
    message: `${self} has no segment in common with it, so pods of ${self} do not reach its pods: ${unreached.join(', ')}`,
    advice: `Give both an address on one segment among their InternalIPs, or let the router between them know the podCIDRs of all nodes and set directRoutingSkipUnreachable: true`,
  });
}

/** endpointRoutes: each of the pod's addresses through its own interface. `source`: who the host is towards the pod. */
export function* endpointRoutes(endpoint: EndpointRow | undefined, sources: readonly Ip[]): Iterable<readonly [string, RouteRow]> {
  for (const address of endpoint?.addresses ?? []) {
    const source = sources.find((candidate) => familyOf(candidate) === familyOf(address));
    const row: RouteRow = {
      kind: 'link',
      destination: cidr(address),
      link: endpoint?.interfaceIndex ?? 0,
      ...(source !== undefined && { source }),
    };
    yield [routeText(row), row];
  }
}
