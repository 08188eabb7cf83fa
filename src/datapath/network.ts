// SPDX-License-Identifier: Apache-2.0
// The node's interfaces and their addresses as a Source. Pods' own interfaces are left out.

import { familyOf, type Ip, type Mac } from '../base/ip.ts';
import type { Writer } from '../base/table.ts';
import { listAddresses } from '../kernel/netlink-address.ts';
import { listLinks } from '../kernel/netlink-link.ts';
import { monitorNetwork, type NetworkChange } from '../kernel/netlink-monitor.ts';
import { listRoutes, RouteScope, RouteTable } from '../kernel/netlink-route.ts';
import type { NetlinkSocket } from '../kernel/socket.ts';
import { isPodLink } from './pod-links.ts';

export type InterfaceRow = {
  readonly index: number;
  readonly name: string;
  /** 'veth', 'bridge', 'wireguard', …; undefined for physical ones. */
  readonly kind: string | undefined;
  readonly mac: Mac | undefined;
  readonly mtu: number;
  readonly up: boolean;
  /** Of global scope, with the length of the connected prefix. */
  readonly addresses: readonly { readonly ip: Ip; readonly bits: number }[];
  readonly defaultRoute: boolean;
};

export type NetworkSourceOptions = {
  readonly socket: NetlinkSocket;
  /** By interface index. */
  readonly writer: Writer<string, InterfaceRow>;
  readonly changed: () => void;
  readonly signal: AbortSignal;
};

/** Writes the table now and whenever the kernel tells of a change, until the signal aborts. */
export function watchNetwork({ socket, writer, changed, signal }: NetworkSourceOptions): void {
  const look = () => {
    const rows = new Map(interfaces(socket).map((row) => [String(row.index), row]));
    for (const [key] of [...writer.table.entries()]) if (!rows.has(key)) writer.delete(key);
    for (const [key, row] of rows) writer.put(key, row);
    writer.complete();
    changed();
  };
  monitorNetwork({ kinds: ['link', 'address', 'route'], signal, onChanges: (changes) => changes.some(concernsNode) && look() });
  look();
}

function concernsNode(change: NetworkChange): boolean {
  switch (change.kind) {
    case 'link':
      return !isPodLink(change.link.index);
    case 'address':
      return !isPodLink(change.address.link);
    case 'route':
      return change.route.destination.bits === 0;
    case 'neighbour':
      return false;
    case 'resync':
      return true;
  }
}

function interfaces(socket: NetlinkSocket): InterfaceRow[] {
  const addresses = listAddresses(socket).filter((address) => address.scope === RouteScope.universe);
  const defaults = new Set(listRoutes(socket, { table: RouteTable.main }).filter((route) => route.destination.bits === 0).map((route) => route.link));
  return listLinks(socket)
    .filter((link) => !isPodLink(link.index) && link.index !== 1)
    .map(({ index, name, kind, mac, mtu, up }) => {
      const own = addresses.filter((address) => address.link === index).map(({ ip, bits }) => ({ ip, bits }));
      own.sort((a, b) => familyOf(a.ip) - familyOf(b.ip));
      return { index, name, kind, mac, mtu, up, addresses: own, defaultRoute: defaults.has(index) };
    });
}
