// SPDX-License-Identifier: Apache-2.0
// From an endpoint to what it needs on the node: a veth pair, entries in the map of endpoints, and the two programs of its interface.

import type { Ip } from '../base/ip.ts';
import { mapEntry, mapKinds } from '../datapath/maps.ts';
import type { MapEntry } from '../datapath/maps.ts';
import type { PodFilter } from '../datapath/pod-filters.ts';
import type { PodLink } from '../datapath/pod-links.ts';
import type { Endpoint } from '../datapath/schema.gen.ts';
import { usableMtu } from './endpoint.ts';
import type { EndpointRow } from './endpoint.ts';

/** `podMtu`: what the pods of this node get now; undefined while nobody knows, and then they keep what they have. */
export function* podLinksFor(endpoint: EndpointRow | undefined, podMtu?: number): Iterable<readonly [string, PodLink]> {
  if (!endpoint) return;
  const { hostInterface, interfaceIndex, interfaceName, netns, mac, mtu, addresses } = endpoint;
  const peer = { name: interfaceName, netns, mac, mtu, addresses };
  const now = podMtu === undefined || netns === '' ? {} : { mtu: usableMtu(podMtu, addresses) }; // an adopted pod's side is out of reach
  yield [hostInterface, { name: hostInterface, index: interfaceIndex, ...now, peer }];
}

/** `programs`: ids of the loaded pod_from and pod_to; a new load is a new row, and so an atomic replacement. */
export function* podFiltersFor(
  endpoint: EndpointRow | undefined,
  programs: { readonly from: number; readonly to: number },
): Iterable<readonly [string, PodFilter]> {
  if (endpoint) yield [endpoint.hostInterface, { link: endpoint.interfaceIndex, from: programs.from, to: programs.to }];
}

/** `identity`: who the pod is. */
export function* endpointEntries(endpoint: EndpointRow | undefined, identity: number): Iterable<readonly [string, MapEntry<Ip, Endpoint>]> {
  if (!endpoint) return;
  for (const address of endpoint.addresses)
    yield mapEntry(mapKinds.endpoints, address, { interfaceIndex: endpoint.interfaceIndex, identity, id: endpoint.id, mac: endpoint.mac });
}
