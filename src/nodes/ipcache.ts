// SPDX-License-Identifier: Apache-2.0
// What is known of remote addresses by prefix: nodes, their pods, and the prefixes that pods reach with their own address.

import { familyOf } from '../base/ip.ts';
import type { Cidr, Ip } from '../base/ip.ts';
import { mapEntry, mapKinds } from '../datapath/maps.ts';
import type { MapEntry } from '../datapath/maps.ts';
import { IpcacheFlag } from '../datapath/schema.gen.ts';
import type { IpcacheEntry, IpcacheKey } from '../datapath/schema.gen.ts';
import type { RemotePod } from '../identities/facts.ts';
import { Reserved } from '../identities/numbers.ts';
import type { NodeRow } from './node.ts';

/** A row of the ipcache table: an entry, or what a derivation that uses it looks for. */
export type IpcacheRow = MapEntry<IpcacheKey, IpcacheEntry>;

export function* ipcacheFor(node: NodeRow | undefined, self: string): Iterable<readonly [string, IpcacheRow]> {
  if (!node) return;
  const identity = node.name === self ? Reserved.host : Reserved.remoteNode;
  for (const address of node.addresses) yield entry(address, hostBits(address), identity);
  for (const { ip, bits } of node.podCidrs) yield entry(ip, bits, Reserved.unknown);
}

/** The addresses of a pod on another node. What its node's range says of them is less. */
export function* remotePodEntries(pod: RemotePod | undefined): Iterable<readonly [string, IpcacheRow]> {
  for (const address of pod?.addresses ?? []) yield entry(address, hostBits(address), pod?.identity ?? Reserved.unknown);
}

/** A prefix of ipv4NativeRoutingCIDR or ipv6NativeRoutingCIDR. */
export function nativeEntry({ ip, bits }: Cidr): readonly [string, IpcacheRow] {
  return entry(ip, bits, Reserved.world);
}

function entry(address: Ip, bits: number, identity: number): readonly [string, IpcacheRow] {
  const prefixLength = familyOf(address) === 4 ? 96 + bits : bits;
  return mapEntry(mapKinds.ipcache, { prefixLength, address }, { identity, flags: IpcacheFlag.noMasquerade });
}

function hostBits(address: Ip): number {
  return familyOf(address) === 4 ? 32 : 128;
}
