// SPDX-License-Identifier: Apache-2.0
// The node's interfaces and their addresses as a Source. Pods' own interfaces are left out. Also tells what of ours was taken away.

import { familyOf } from '../base/ip.ts';
import type { Cidr, Ip, Mac } from '../base/ip.ts';
import type { Writer } from '../base/table.ts';
import { listAddresses } from '../kernel/netlink-address.ts';
import { listLinks } from '../kernel/netlink-link.ts';
import { monitorNetwork } from '../kernel/netlink-monitor.ts';
import type { NetworkChange } from '../kernel/netlink-monitor.ts';
import { listRoutes, RouteScope, RouteTable } from '../kernel/netlink-route.ts';
import type { NetlinkSocket } from '../kernel/socket.ts';
import { isPodLink } from './pod-links.ts';
import { ROUTE_PROTOCOL } from './routes.ts';

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
  /** Called for what is gone, by us or by others. */
  readonly lost: (loss: Loss) => void;
  readonly signal: AbortSignal;
};

/** Of a route of ours by its destination, of a pod's interface, of a program on a pod's interface; 'anything': the kernel does not say what. */
export type Loss =
  | { readonly kind: 'route'; readonly destination: Cidr }
  | { readonly kind: 'pod link' | 'pod filter'; readonly link: number }
  | { readonly kind: 'anything' };

/** Writes the table now and whenever the kernel tells of a change, until the signal aborts. */
export function watchNetwork({ socket, writer, changed, lost, signal }: NetworkSourceOptions): void {
  const look = () => {
    const rows = new Map(interfaces(socket).map((row) => [String(row.index), row]));
    for (const [key] of writer.table.entries()) if (!rows.has(key)) writer.delete(key);
    for (const [key, row] of rows) writer.put(key, row);
    writer.complete();
    changed();
  };
  const hear = (changes: readonly NetworkChange[]) => {
    const losses = changes.map(lossOf).filter((loss) => loss !== undefined);
    for (const loss of losses) lost(loss);
    if (changes.some(concernsNode)) look();
    else if (losses.length > 0) changed();
  };
  monitorNetwork({ kinds: ['link', 'address', 'route', 'filter'], signal, onChanges: hear });
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
    case 'filter':
      return false;
    case 'resync':
      return true;
  }
}

function lossOf(change: NetworkChange): Loss | undefined {
  if (change.kind === 'resync') return { kind: 'anything' };
  if (!change.gone) return undefined;
  if (change.kind === 'route' && change.route.protocol === ROUTE_PROTOCOL) return { kind: 'route', destination: change.route.destination };
  if (change.kind === 'link' && isPodLink(change.link.index)) return { kind: 'pod link', link: change.link.index };
  if (change.kind === 'filter' && isPodLink(change.link)) return { kind: 'pod filter', link: change.link };
  return undefined;
}

/** What the table would hold now. */
export function interfaces(socket: NetlinkSocket): InterfaceRow[] {
  const addresses = listAddresses(socket).filter((address) => address.scope === RouteScope.universe);
  const defaults = new Set(
    listRoutes(socket, { table: RouteTable.main })
      .filter((route) => route.destination.bits === 0)
      .map((route) => route.link),
  );
  return listLinks(socket)
    .filter((link) => !isPodLink(link.index) && link.index !== 1)
    .map(({ index, name, kind, mac, mtu, up }) => {
      const own = addresses.filter((address) => address.link === index).map(({ ip, bits }) => ({ ip, bits }));
      own.sort((a, b) => familyOf(a.ip) - familyOf(b.ip));
      return { index, name, kind, mac, mtu, up, addresses: own, defaultRoute: defaults.has(index) };
    });
}
