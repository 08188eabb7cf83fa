// SPDX-License-Identifier: Apache-2.0
// Why an interface is an uplink, or is none, in words.

import type { InterfaceRow } from '../datapath/network.ts';
import type { NodeRow } from './node.ts';
import { uplinksFor } from './uplinks.ts';

export type UplinkReason = { readonly uplink: boolean; readonly reason: string };

/** `self`: undefined while this node's object is not known. `devices`: names from the values; empty: chosen. */
export function uplinkReason(row: InterfaceRow, self: NodeRow | undefined, devices: readonly string[]): UplinkReason {
  const uplink = [...uplinksFor(row, self, devices)].length > 0;
  return { uplink, reason: reasonOf(row, { self, devices, uplink }) };
}

type Known = { readonly self: NodeRow | undefined; readonly devices: readonly string[]; readonly uplink: boolean };

function reasonOf({ up, mac, addresses, defaultRoute }: InterfaceRow, { self, devices, uplink }: Known): string {
  if (!up) return 'it is down';
  if (devices.length > 0) return uplink ? 'devices in the values names it' : `devices in the values has ${devices.join(', ')}`;
  if (mac === undefined) return 'it has no MAC address: it is a tunnel';
  const own = addresses.find((address) => self?.addresses.includes(address.ip));
  if (own) return `it has ${own.ip}, an address of Node ${self?.name}`;
  if (defaultRoute) return 'it has a default route';
  return `it has no default route and no address of ${self ? `Node ${self.name}` : 'the Node, which is not known'}`;
}
