// SPDX-License-Identifier: Apache-2.0
// Endpoints whose file is gone or damaged while their pod lives: what the kernel has of them makes a row again, so that nothing of
// them is taken away and their numbers and addresses are not given to others. Who the pod is, only the file knew; CNI DEL finds
// the row all the same, by the name of the interface.

import type { Ip } from '../base/ip.ts';
import type { MapEntry } from '../datapath/maps.ts';
import type { PodLink } from '../datapath/pod-links.ts';
import type { Endpoint } from '../datapath/schema.gen.ts';
import type { EndpointRow } from './endpoint.ts';

export type InKernel = {
  readonly links: Iterable<readonly [string, PodLink]>;
  readonly entries: Iterable<readonly [string, MapEntry<Ip, Endpoint>]>;
};

/** A row for each interface of a pod that is not among `known`. One without an entry in the map of endpoints never worked: it is left out. */
export function adoptedEndpoints({ links, entries }: InKernel, known: readonly EndpointRow[]): EndpointRow[] {
  const names = new Set(known.map((row) => row.hostInterface));
  const byLink = Map.groupBy(
    Array.from(entries, ([, entry]) => entry),
    ({ value }) => value.interfaceIndex,
  );
  return Array.from(links).flatMap(([hostInterface, { index }]) => {
    const [first, ...more] = byLink.get(index) ?? [];
    if (names.has(hostInterface) || !first) return [];
    const unknown = { containerId: '', interfaceName: '', netns: '', netnsCookie: '', namespace: '', pod: '', uid: '', mtu: 0 };
    const addresses = [first, ...more].map(({ key }) => key);
    return [{ ...unknown, hostInterface, id: first.value.id, interfaceIndex: index, addresses, mac: first.value.mac }];
  });
}
