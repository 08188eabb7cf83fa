// SPDX-License-Identifier: Apache-2.0
// The node's interfaces and their addresses as a Source. Pods' own interfaces are left out. Also tells what of ours was taken away.

import { backoff } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import { cidr, cidrContains, cidrText, familyOf } from '../base/ip.ts';
import type { Cidr, Ip, Mac } from '../base/ip.ts';
import { problem } from '../base/problem.ts';
import type { Problem, ProblemBook } from '../base/problem.ts';
import type { Writer } from '../base/table.ts';
import { listAddresses } from '../kernel/netlink-address.ts';
import type { InterfaceAddress } from '../kernel/netlink-address.ts';
import { listLinks } from '../kernel/netlink-link.ts';
import type { Link } from '../kernel/netlink-link.ts';
import { monitorNetwork } from '../kernel/netlink-monitor.ts';
import type { NetworkChange } from '../kernel/netlink-monitor.ts';
import { listRoutes, RouteScope, RouteTable, RouteType } from '../kernel/netlink-route.ts';
import type { Route } from '../kernel/netlink-route.ts';
import type { NetlinkAsked } from '../kernel/socket.ts';
import { isPodLink } from './pod-links.ts';
import { ROUTE_PROTOCOL } from './routes.ts';

const LOOPBACK_FLAG = 0x8; // IFF_LOOPBACK
const FIRST_RETRY_MS = 50;
const LAST_RETRY_MS = 10_000;

export type InterfaceRow = {
  readonly index: number;
  readonly name: string;
  /** 'veth', 'bridge', 'wireguard', …; undefined for physical ones. */
  readonly kind: string | undefined;
  readonly mac: Mac | undefined;
  readonly mtu: number;
  readonly up: boolean;
  readonly carrier: boolean;
  readonly loopback: boolean;
  /** The bond, bridge or VRF that it is a member of; its kind is undefined where that interface is not seen. */
  readonly master: { readonly name: string; readonly kind: string | undefined } | undefined;
  /** Of global scope, with the length of the connected prefix. */
  readonly addresses: readonly { readonly ip: Ip; readonly bits: number }[];
  readonly defaultRoute: boolean;
  /** Next hops of default routes through it, sorted. */
  readonly gateways: readonly Ip[];
  /** Whose machines it reaches without a gateway, by the main table: its segment, and what somebody routes there. Without link-local ones. */
  readonly segments: readonly Cidr[];
};

export type NetworkSourceOptions = {
  readonly socket: NetlinkAsked;
  /** Path of the socket's network namespace; our own unless given. */
  readonly netns?: string;
  /** By interface index. */
  readonly writer: Writer<string, InterfaceRow>;
  /** Name of this node. */
  readonly node: string;
  readonly problems: ProblemBook;
  readonly changed: () => void;
  /** Called for what is gone, by us or by others. */
  readonly lost: (loss: Loss) => void;
  readonly signal: AbortSignal;
};

/**
 * Of a route of ours by its destination, of a pod's interface, of a program on a pod's interface; 'routes': those of an interface that went
 * down, which the kernel does not tell one by one; 'anything': the kernel does not say what.
 */
export type Loss =
  | { readonly kind: 'route'; readonly destination: Cidr }
  | { readonly kind: 'pod link' | 'pod filter'; readonly link: number }
  | { readonly kind: 'routes' }
  | { readonly kind: 'anything' };

/**
 * Writes the table now and whenever the kernel tells of a change, until the signal aborts. While the kernel does not answer, the table stays as it
 * was and the kernel is asked again and again; what one repetition does not cure is a Problem.
 */
export function watchNetwork({ socket, writer, node, problems, changed, lost, ...options }: NetworkSourceOptions): void {
  let failures = 0;
  let retry: NodeJS.Timeout | undefined;
  const look = () => {
    retry = undefined;
    let rows: readonly InterfaceRow[];
    try {
      rows = interfaces(socket);
    } catch (error) {
      retry = setTimeout(look, backoff(failures++, FIRST_RETRY_MS, LAST_RETRY_MS));
      if (failures > 1) problems.report('network', [unreadable(node, error)]);
      return changed();
    }
    failures = 0;
    problems.report('network', []);
    const byKey = new Map(rows.map((row) => [String(row.index), row]));
    for (const [key] of writer.table.entries()) if (!byKey.has(key)) writer.delete(key);
    for (const [key, row] of byKey) writer.put(key, row);
    writer.complete();
    changed();
  };
  const hear = (changes: readonly NetworkChange[]) => {
    const losses = changes.map(lossOf).filter((loss) => loss !== undefined);
    for (const loss of losses) lost(loss);
    if (changes.some(concernsNode) && retry === undefined) look();
    else if (losses.length > 0) changed();
  };
  monitorNetwork({ kinds: ['link', 'address', 'route', 'filter'], onChanges: hear, ...options });
  options.signal.addEventListener('abort', () => clearTimeout(retry), { once: true });
  look();
}

function unreadable(node: string, error: unknown): Problem {
  return problem({
    object: `Node ${node}`,
    reason: 'CannotReadNetwork',
    message: `the kernel does not tell of interfaces, addresses and routes, so changes of them are not followed: ${messageOf(error)}`,
    advice: "Look at dmesg, and for what changes this node's routes all the time; the agent asks again and keeps what it saw last",
  });
}

function concernsNode(change: NetworkChange): boolean {
  switch (change.kind) {
    case 'link':
      return !isPodLink(change.link.index);
    case 'address':
      return !isPodLink(change.address.link);
    case 'route':
      return change.route.destination.bits === 0 || leadsToSegment(change.route);
    case 'neighbour':
    case 'filter':
      return false;
    case 'resync':
      return true;
  }
}

function lossOf(change: NetworkChange): Loss | undefined {
  if (change.kind === 'resync') return { kind: 'anything' };
  if (change.kind === 'link' && !isPodLink(change.link.index) && (change.gone || !change.link.up)) return { kind: 'routes' };
  if (!change.gone) return undefined;
  if (change.kind === 'route' && change.route.protocol === ROUTE_PROTOCOL) return { kind: 'route', destination: change.route.destination };
  if (change.kind === 'link' && isPodLink(change.link.index)) return { kind: 'pod link', link: change.link.index };
  if (change.kind === 'filter' && isPodLink(change.link)) return { kind: 'pod filter', link: change.link };
  return undefined;
}

/** What the table would hold now. Throws KernelError. */
export function interfaces(socket: NetlinkAsked): InterfaceRow[] {
  const routes = listRoutes(socket, { table: RouteTable.main });
  return interfaceRows({ links: listLinks(socket), addresses: listAddresses(socket), routes });
}

/** What the kernel tells of a node, as kernel/netlink-*.ts read it. */
export type NetworkDump = {
  readonly links: readonly Pick<Link, 'index' | 'name' | 'kind' | 'mac' | 'mtu' | 'up' | 'carrier' | 'flags' | 'master'>[];
  readonly addresses: readonly Pick<InterfaceAddress, 'link' | 'ip' | 'bits' | 'scope'>[];
  /** Of the main table. */
  readonly routes: readonly Pick<Route, 'destination' | 'type' | 'link' | 'links' | 'gateway' | 'protocol'>[];
};

/** Without pods' own interfaces. */
export function interfaceRows({ links, addresses, routes }: NetworkDump): InterfaceRow[] {
  const defaults = routes.filter(({ destination, type }) => destination.bits === 0 && type === RouteType.unicast);
  const segments = segmentsByLink(routes);
  const byIndex = new Map(links.map((link) => [link.index, link]));
  const masterOf = (index: number | undefined) => {
    if (index === undefined || index === 0) return undefined;
    const { name, kind } = byIndex.get(index) ?? { name: String(index), kind: undefined };
    return { name, kind };
  };
  return links
    .filter((link) => !isPodLink(link.index))
    .map(({ index, name, kind, mac, mtu, up, carrier, flags, master }) => {
      const own = addresses
        .filter(({ link, scope }) => link === index && scope === RouteScope.universe)
        .map(({ ip, bits }) => ({ ip, bits }));
      own.sort((a, b) => familyOf(a.ip) - familyOf(b.ip));
      const facts = {
        loopback: (flags & LOOPBACK_FLAG) !== 0,
        master: masterOf(master),
        addresses: own,
        defaultRoute: defaults.some((route) => route.links.includes(index)),
        gateways: defaults.flatMap(({ link, gateway }) => (link === index && gateway !== undefined ? [gateway] : [])).toSorted(),
        segments: segments.get(index) ?? [],
      };
      return { index, name, kind, mac, mtu, up, carrier, ...facts };
    });
}

const LINK_LOCAL = cidr('fe80::/10');

/** A route to neighbours: theirs are the addresses of a segment. Ours lead to pods. */
function leadsToSegment({ destination, type, gateway, protocol }: NetworkDump['routes'][number]): boolean {
  const unicast = type === RouteType.unicast && gateway === undefined && protocol !== ROUTE_PROTOCOL;
  return unicast && destination.bits > 0 && !cidrContains(LINK_LOCAL, destination.ip);
}

/** Each once, in the order of their texts, so that the same routes make the same row. */
function segmentsByLink(routes: NetworkDump['routes']): ReadonlyMap<number, readonly Cidr[]> {
  const byLink = new Map<number, Map<string, Cidr>>();
  for (const route of routes) {
    if (route.link === undefined || !leadsToSegment(route)) continue;
    const found = byLink.get(route.link) ?? new Map<string, Cidr>();
    byLink.set(route.link, found.set(cidrText(route.destination), route.destination));
  }
  return new Map(
    Array.from(byLink, ([link, found]) => [
      link,
      Array.from(found)
        .toSorted(([a], [b]) => (a < b ? -1 : 1))
        .map(([, prefix]) => prefix),
    ]),
  );
}
