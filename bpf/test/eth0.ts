// SPDX-License-Identifier: Apache-2.0
// The uplink of node1, as netlink tells of it and as tables have it.

import { cidrOf, ip, parseMac } from '../../src/base/ip.ts';
import type { Mac } from '../../src/base/ip.ts';
import { table } from '../../src/base/table.ts';
import type { Table } from '../../src/base/table.ts';
import type { InterfaceRow } from '../../src/datapath/network.ts';
import { nodeAddressesFor } from '../../src/nodes/node-ports.ts';
import type { NodeAddress } from '../../src/nodes/node-ports.ts';
import type { NodeRow } from '../../src/nodes/node.ts';
import { uplinksFor } from '../../src/nodes/uplinks.ts';
import { at, families } from './cluster.ts';

/** Interface indexes, which we choose. `stranger` is an interface that is no uplink. */
export const link = { uplink: 10, stranger: 12, podA: 21, podB: 22 } as const;
export const mac = {
  uplink: '02:00:00:00:01:10',
  router: '02:00:00:00:01:01',
  podA: '02:00:00:00:00:0a',
  podB: '02:00:00:00:00:0b',
  gateway: '02:53:74:6e:74:72',
} as const;

export function knownMac(text: string): Mac {
  const parsed = parseMac(text);
  if (parsed === undefined) throw new RangeError(`Cannot read '${text}' as a MAC`);
  return parsed;
}

/** Where node1 has node ports. */
export function nodeAddresses(nodeTable: readonly NodeRow[]): Table<string, NodeAddress> {
  const made = table<string, NodeAddress>('node_addresses');
  const writer = made.writer('test');
  for (const uplink of uplinks(nodeTable)) for (const row of nodeAddressesFor(uplink, eth0, [])) writer.put(...row);
  writer.complete();
  return made;
}

export const eth0: InterfaceRow = {
  index: link.uplink,
  name: 'eth0',
  kind: undefined,
  mac: knownMac(mac.uplink),
  mtu: 1500,
  up: true,
  carrier: true,
  loopback: false,
  master: undefined,
  addresses: families.map((family) => ({ ip: ip(at[family].node), bits: 64 })),
  defaultRoute: true,
  gateways: [],
  segments: families.map((family) => cidrOf(ip(at[family].node), family === 4 ? 24 : 64)),
};

export function uplinks(nodeTable: readonly NodeRow[]) {
  return [...uplinksFor(eth0, nodeTable[0], { devices: [], local: eth0.addresses.map((address) => address.ip) })].map(
    ([, uplink]) => uplink,
  );
}
