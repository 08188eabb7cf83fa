// SPDX-License-Identifier: Apache-2.0
// What is known of remote addresses by prefix: nodes, their pods, and the prefixes that pods reach with their own address.

import { familyOf, ip } from '../base/ip.ts';
import type { Cidr, Family, Ip } from '../base/ip.ts';
import { mapEntry, mapKinds } from '../datapath/maps.ts';
import type { MapEntry } from '../datapath/maps.ts';
import { IpcacheFlag } from '../datapath/schema.gen.ts';
import type { IpcacheEntry, IpcacheKey } from '../datapath/schema.gen.ts';
import type { RemotePod } from '../identities/facts.ts';
import { Reserved } from '../identities/numbers.ts';
import type { NodeRow } from './node.ts';

/** A row of the ipcache table: an entry, or what a derivation that uses it looks for. */
export type IpcacheRow = MapEntry<IpcacheKey, IpcacheEntry>;

/** `lossy`: the families of which packets with options do not come to that node. */
export function* ipcacheFor(
  node: NodeRow | undefined,
  self: string,
  lossy: readonly Family[] = [],
): Iterable<readonly [string, IpcacheRow]> {
  if (!node) return;
  const identity = node.name === self ? Reserved.host : Reserved.remoteNode;
  const more = lossy.reduce((flags, family) => flags | NO_OPTION[family], 0);
  for (const address of node.addresses) yield entry(address, hostBits(address), { identity, node: address, more });
  for (const { ip: prefix, bits } of node.podCidrs) {
    const alike = node.addresses.find((address) => familyOf(address) === familyOf(prefix));
    yield entry(prefix, bits, { identity: Reserved.unknown, node: alike ?? node.addresses[0] });
  }
}

/** The addresses of a pod on another node. What its node's range says of them is less. */
export function* remotePodEntries(pod: RemotePod | undefined): Iterable<readonly [string, IpcacheRow]> {
  if (!pod) return;
  for (const address of pod.addresses) yield entry(address, hostBits(address), pod);
}

/** A prefix of ipv4NativeRoutingCIDR or ipv6NativeRoutingCIDR. */
export function nativeEntry({ ip: prefix, bits }: Cidr): readonly [string, IpcacheRow] {
  return entry(prefix, bits, { identity: Reserved.world, node: undefined });
}

/** As the programs write that there is none. */
const NOWHERE = ip('::');

const NO_OPTION = { 4: IpcacheFlag.noOptionIpv4, 6: IpcacheFlag.noOptionIpv6 } as const;

type Known = { readonly identity: number; readonly node: Ip | undefined; readonly more?: number };

function entry(address: Ip, bits: number, { identity, node = NOWHERE, more = 0 }: Known): readonly [string, IpcacheRow] {
  const prefixLength = familyOf(address) === 4 ? 96 + bits : bits;
  return mapEntry(mapKinds.ipcache, { prefixLength, address }, { identity, flags: IpcacheFlag.noMasquerade | more, node });
}

function hostBits(address: Ip): number {
  return familyOf(address) === 4 ? 32 : 128;
}
