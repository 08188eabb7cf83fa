// SPDX-License-Identifier: Apache-2.0
// Routes of the node: to every other node's pods through that node, and to each pod of its own through its veth.

import { cidr, familyOf } from '../base/ip.ts';
import type { Ip } from '../base/ip.ts';
import type { RouteRow } from '../datapath/routes.ts';
import { routeText } from '../datapath/routes.ts';
import type { EndpointRow } from '../endpoints/endpoint.ts';
import type { NodeRow } from './node.ts';

/** autoDirectNodeRoutes: the node's podCIDRs through its address of the same family. */
export function* nodeRoutes(node: NodeRow | undefined, self: string): Iterable<readonly [string, RouteRow]> {
  if (!node || node.name === self) return;
  for (const destination of node.podCidrs) {
    const gateway = node.addresses.find((address) => familyOf(address) === familyOf(destination.ip));
    if (gateway === undefined) continue;
    const row: RouteRow = { kind: 'via', destination, gateway };
    yield [routeText(row), row];
  }
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
