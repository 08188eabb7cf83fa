// SPDX-License-Identifier: Apache-2.0
// At which addresses of this node its node ports are.

import { cidrContains } from '../base/ip.ts';
import type { Cidr, Ip } from '../base/ip.ts';
import type { InterfaceRow } from '../datapath/network.ts';
import type { UplinkRow } from './uplinks.ts';

/** An address of this node that has node ports. Key: the address. */
export type NodeAddress = { readonly address: Ip };

/**
 * Those of one uplink: the one of each family that its pods are masqueraded to, or with `prefixes` (`nodePort.addresses`) every one that is in
 * one of them.
 */
export function* nodeAddressesFor(
  uplink: UplinkRow | undefined,
  row: InterfaceRow | undefined,
  prefixes: readonly Cidr[],
): Iterable<readonly [string, NodeAddress]> {
  if (!uplink || !row) return;
  const all = row.addresses.map(({ ip }) => ip);
  const chosen =
    prefixes.length === 0 ? [uplink.ipv4, uplink.ipv6] : all.filter((address) => prefixes.some((prefix) => cidrContains(prefix, address)));
  for (const address of chosen) if (address !== undefined) yield [address, { address }];
}
