// SPDX-License-Identifier: Apache-2.0
// What a node says about itself in its CiliumNode: on which segments it can answer for addresses.

import { derive, from } from '../base/derive.ts';
import type { Derivation } from '../base/derive.ts';
import { cidrText } from '../base/ip.ts';
import { sameRow } from '../base/same.ts';
import { table } from '../base/table.ts';
import type { Table } from '../base/table.ts';
import type { InterfaceRow } from '../datapath/network.ts';
import type { CiliumNode } from '../kube/types.ts';

/** On a CiliumNode: the prefixes of the segments that its node is on, with commas between them. */
export const SUBNETS = 'stentor.dev/subnets';

export type PublishedNodes = { readonly published: Table<string, CiliumNode>; readonly derivations: readonly Derivation[] };

/** `objects`: this node's own, without. Waits for the interfaces: to say that there are none would be wrong. */
export function publishedNodes(objects: Table<string, CiliumNode>, interfaces: Table<string, InterfaceRow>): PublishedNodes {
  const published = table<string, CiliumNode>('published_nodes', { same: sameRow });
  const derivation = derive({
    name: 'published_nodes',
    whole: true,
    inputs: [from(objects), from(interfaces, () => Array.from(objects.entries(), ([name]) => name))],
    out: published.writer('published_nodes'),
    compute: function* (name: string) {
      const object = objects.get(name);
      if (object === undefined) return;
      const annotations = { [SUBNETS]: subnetsText(Array.from(interfaces.entries(), ([, row]) => row)) };
      yield [name, { ...object, metadata: { ...object.metadata, annotations } }] as const;
    },
  });
  return { published, derivations: [derivation] };
}

/** Only Ethernet has ARP and neighbour discovery. */
export function subnetsText(interfaces: readonly InterfaceRow[]): string {
  const found = interfaces.filter(({ up, loopback, mac }) => up && !loopback && mac !== undefined).flatMap(({ segments }) => segments);
  return [...new Set(found.map(cidrText))].toSorted().join(',');
}
