// SPDX-License-Identifier: Apache-2.0
// What is known of remote addresses by prefix: nodes, their pods, and the prefixes that pods reach with their own address.

import { familyOf, type Cidr, type Ip } from '../base/ip.ts';
import { mapEntry, mapKinds, type MapEntry } from '../datapath/maps.ts';
import { IpcacheFlag, type IpcacheEntry, type IpcacheKey } from '../datapath/schema.gen.ts';
import type { NodeRow } from './node.ts';

/** Reserved identities, with the numbers that Hubble clients know. */
export const Identity = { unknown: 0, host: 1, world: 2, remoteNode: 6 } as const;

/** A row of the ipcache table: an entry, or what a derivation that uses it looks for. */
export type IpcacheRow = MapEntry<IpcacheKey, IpcacheEntry>;

export function* ipcacheFor(node: NodeRow | undefined, self: string): Iterable<readonly [string, IpcacheRow]> {
  if (!node) return;
  const identity = node.name === self ? Identity.host : Identity.remoteNode;
  for (const address of node.addresses) yield entry(address, hostBits(address), identity);
  for (const { ip, bits } of node.podCidrs) yield entry(ip, bits, Identity.unknown);
}

/** A prefix of ipv4NativeRoutingCIDR or ipv6NativeRoutingCIDR. */
export function nativeEntry({ ip, bits }: Cidr): readonly [string, IpcacheRow] {
  return entry(ip, bits, Identity.world);
}

function entry(address: Ip, bits: number, identity: number): readonly [string, IpcacheRow] {
  const prefixLength = familyOf(address) === 4 ? 96 + bits : bits;
  return mapEntry(mapKinds.ipcache, { prefixLength, address }, { identity, flags: IpcacheFlag.noMasquerade });
}

function hostBits(address: Ip): number {
  return familyOf(address) === 4 ? 32 : 128;
}
