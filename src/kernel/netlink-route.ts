// SPDX-License-Identifier: Apache-2.0
// Routes: list, put, delete, look up, for both families by the same calls. A route with several next hops is listed with their interfaces alone.

import { cidrOf, cidrText, familyOf, ipFromWire, ipToWire } from '../base/ip.ts';
import type { Cidr, Family, Ip } from '../base/ip.ts';
import { isKernelError } from './errors.ts';
import { AddressFamily, attributesOf, put, RouteMessage, structOf, take } from './netlink.ts';
import { NetlinkFlag } from './socket.ts';
import type { NetlinkAsked, NetlinkRequest, NetlinkSocket } from './socket.ts';

export type Route = {
  readonly destination: Cidr;
  readonly type: RouteType;
  readonly table: number;
  /** RTPROT_*: who made it. */
  readonly protocol: number;
  readonly scope: RouteScope;
  /** The lower the better; 0 for IPv4 routes without one. */
  readonly priority: number;
  /** Index of the interface that it leaves through. */
  readonly link: number | undefined;
  /** Those of all its next hops. */
  readonly links: readonly number[];
  /** May be IPv6 for an IPv4 destination. */
  readonly gateway: Ip | undefined;
  /** The gateway counts as reachable through `link` whatever the addresses there. */
  readonly onlink: boolean;
  /** Source address of packets from this host. */
  readonly source: Ip | undefined;
  readonly mtu: number | undefined;
};

/** RTN_*. */
export const RouteType = {
  unspecified: 0,
  unicast: 1,
  local: 2,
  broadcast: 3,
  anycast: 4,
  multicast: 5,
  blackhole: 6,
  unreachable: 7,
  prohibit: 8,
  throw: 9,
} as const;
export type RouteType = (typeof RouteType)[keyof typeof RouteType];

/** RT_SCOPE_*. */
export const RouteScope = { universe: 0, site: 200, link: 253, host: 254, nowhere: 255 } as const;
export type RouteScope = (typeof RouteScope)[keyof typeof RouteScope];

/** RT_TABLE_*. */
export const RouteTable = { main: 254, local: 255 } as const;
const protocolBoot = 3; // RTPROT_BOOT: routes that nobody in particular made

/** A route that is to be. Unicast in the main table, of protocol "boot", unless it says otherwise; the scope follows from type and gateway. */
export type NewRoute = Pick<Route, 'destination'> & { readonly [name in Exclude<keyof Route, 'destination' | 'links'>]?: Route[name] };

/** Undefined means any. */
export type RouteFilter = { readonly table?: number; readonly protocol?: number; readonly link?: number; readonly family?: Family };

const rtmsg = structOf({
  family: 'u8',
  destinationBits: 'u8',
  sourceBits: 'u8',
  tos: 'u8',
  table: 'u8',
  protocol: 'u8',
  scope: 'u8',
  type: 'u8',
  flags: 'u32',
});
/** RTA_*. */
const RouteAttribute = {
  destination: 1,
  output: 4,
  gateway: 5,
  priority: 6,
  preferredSource: 7,
  metrics: 8,
  multipath: 9,
  table: 15,
  mark: 16,
  via: 18,
} as const;
const rtnexthop = structOf({ length: 'u16', flags: 'u8', hops: 'u8', link: 'u32' });
const metricMtu = 2; // RTAX_MTU
const NextHopFlag = { onlink: 4 } as const;
const cloned = 0x200; // RTM_F_CLONED: a cached exception, not a route

/** The routes that match, both families unless one is named. */
export function listRoutes(socket: NetlinkAsked, filter: RouteFilter = {}): readonly Route[] {
  const families = filter.family === undefined ? ([4, 6] as const) : [filter.family];
  return families.flatMap((family) => {
    const header = rtmsg.encode({ family: numberOfFamily(family), protocol: filter.protocol });
    const body = Buffer.concat([header, put.u32(RouteAttribute.table, filter.table), put.u32(RouteAttribute.output, filter.link)]);
    const messages = dumpRoutes(socket, body, family);
    const routes = messages.filter((message) => (rtmsg.decode(message.body).flags & cloned) === 0).map((message) => routeOf(message.body));
    return routes.filter((route) => matches(route, filter));
  });
}

/** ENOENT: the table has never had a route. */
function dumpRoutes(socket: NetlinkAsked, body: Buffer, family: Family): ReturnType<NetlinkAsked['request']> {
  try {
    return socket.request({ type: RouteMessage.getRoute, flags: NetlinkFlag.dump, body, what: `RTM_GETROUTE of all IPv${family} routes` });
  } catch (error) {
    if (isKernelError(error, 'ENOENT')) return [];
    throw error;
  }
}

/** The kernel filters too; a kernel that does not know a filter ignores it. */
function matches(route: Route, filter: RouteFilter): boolean {
  const same = <T>(wanted: T | undefined, has: T): boolean => wanted === undefined || wanted === has;
  return same(filter.table, route.table) && same(filter.protocol, route.protocol) && same(filter.link, route.link);
}

/** Adds the route, or replaces the one with the same destination, table and priority, whoever made that. */
export function putRoute(socket: NetlinkSocket, route: NewRoute): void {
  socket.request(routeRequest(route));
}

/** The request behind putRoute. */
export function routeRequest(route: NewRoute): NetlinkRequest {
  return {
    type: RouteMessage.newRoute,
    flags: NetlinkFlag.create | NetlinkFlag.replace,
    body: routeBody(route),
    what: `RTM_NEWROUTE ${routeText(route)}`,
  };
}

/** Deletes the route that agrees in everything given. False when there is none. */
export function deleteRoute(socket: NetlinkSocket, route: NewRoute): boolean {
  const body = routeBody({ ...route, scope: RouteScope.nowhere, type: route.type ?? RouteType.unspecified, protocol: route.protocol ?? 0 });
  try {
    socket.request({ type: RouteMessage.deleteRoute, body, what: `RTM_DELROUTE ${routeText(route)}` });
    return true;
  } catch (error) {
    if (isKernelError(error, 'ESRCH') || isKernelError(error, 'ENODEV')) return false;
    throw error;
  }
}

/** The route that a packet to `destination` would take, or undefined when there is none; unreachable and the like count as none. */
export function lookUpRoute(socket: NetlinkSocket, destination: Ip, mark?: number): Route | undefined {
  const bits = familyOf(destination) === 4 ? 32 : 128;
  const header = rtmsg.encode({ family: numberOfFamily(familyOf(destination)), destinationBits: bits });
  const body = Buffer.concat([header, put.bytes(RouteAttribute.destination, ipToWire(destination)), put.u32(RouteAttribute.mark, mark)]);
  try {
    const [message] = socket.request({ type: RouteMessage.getRoute, body, what: `RTM_GETROUTE to ${destination}` });
    return message && routeOf(message.body);
  } catch (error) {
    if (['ENETUNREACH', 'EHOSTUNREACH', 'EACCES', 'EINVAL'].some((code) => isKernelError(error, code))) return undefined;
    throw error;
  }
}

/** Reads the body of RTM_NEWROUTE or RTM_DELROUTE. */
export function routeOf(body: Buffer): Route {
  const header = rtmsg.decode(body);
  const attributes = attributesOf(body, rtmsg.size);
  const address = (type: number): Ip | undefined => {
    const bytes = attributes.get(type);
    return bytes && ipFromWire(bytes);
  };
  const any = ipFromWire(Buffer.alloc(header.family === AddressFamily.ipv4 ? 4 : 16));
  const via = attributes.get(RouteAttribute.via);
  const link = take.u32(attributes, RouteAttribute.output);
  return {
    destination: cidrOf(address(RouteAttribute.destination) ?? any, header.destinationBits),
    type: header.type as RouteType, // RTN_* are all there are
    table: take.u32(attributes, RouteAttribute.table) ?? header.table,
    protocol: header.protocol,
    scope: header.scope as RouteScope, // administrators may choose others; they compare unequal to ours, which is right
    priority: take.u32(attributes, RouteAttribute.priority) ?? 0,
    link,
    links: link === undefined ? linksOf(attributes.get(RouteAttribute.multipath)) : [link],
    gateway: address(RouteAttribute.gateway) ?? (via && ipFromWire(via.subarray(2))),
    onlink: (header.flags & NextHopFlag.onlink) !== 0,
    source: address(RouteAttribute.preferredSource),
    mtu: take.u32(take.nested(attributes, RouteAttribute.metrics), metricMtu),
  };
}

/** Of RTA_MULTIPATH: one struct after the other, each with attributes of its own behind it. */
function linksOf(hops: Buffer = Buffer.alloc(0)): readonly number[] {
  const found: number[] = [];
  for (let at = 0; at + rtnexthop.size <= hops.length;) {
    const { length, link } = rtnexthop.decode(hops.subarray(at));
    if (length < rtnexthop.size) throw new RangeError(`Cannot read a next hop of ${length} bytes, wanted at least ${rtnexthop.size}`);
    found.push(link);
    at += (length + 3) & ~3;
  }
  return found;
}

function routeBody(route: NewRoute): Buffer {
  const { destination, gateway, source, table = RouteTable.main, type = RouteType.unicast } = route;
  const family = familyOf(destination.ip);
  const header = rtmsg.encode({
    family: numberOfFamily(family),
    destinationBits: destination.bits,
    table: table < 256 ? table : 0,
    protocol: route.protocol ?? protocolBoot,
    scope: route.scope ?? scopeOf(route, family),
    type,
    flags: route.onlink === true ? NextHopFlag.onlink : 0,
  });
  const sameFamily = gateway !== undefined && familyOf(gateway) === family;
  return Buffer.concat([
    header,
    put.bytes(RouteAttribute.destination, destination.bits === 0 ? undefined : ipToWire(destination.ip)),
    put.u32(RouteAttribute.table, table),
    put.u32(RouteAttribute.output, route.link),
    put.bytes(RouteAttribute.gateway, sameFamily ? ipToWire(gateway) : undefined),
    put.bytes(RouteAttribute.via, gateway !== undefined && !sameFamily ? rtvia(gateway) : undefined),
    put.bytes(RouteAttribute.preferredSource, source && ipToWire(source)),
    put.u32(RouteAttribute.priority, route.priority),
    put.nested(RouteAttribute.metrics, put.u32(metricMtu, route.mtu)),
  ]);
}

/** struct rtvia: family u16, then the address. */
function rtvia(gateway: Ip): Buffer {
  return Buffer.concat([Buffer.from([numberOfFamily(familyOf(gateway)), 0]), ipToWire(gateway)]);
}

/** IPv6 has no scopes; an IPv4 route without a gateway reaches as far as the link, a local one as far as the host. */
function scopeOf({ type = RouteType.unicast, gateway }: NewRoute, family: Family): RouteScope {
  if (family === 6) return RouteScope.universe;
  if (type === RouteType.local) return RouteScope.host;
  return type === RouteType.unicast && gateway === undefined ? RouteScope.link : RouteScope.universe;
}

function numberOfFamily(family: Family): number {
  return family === 4 ? AddressFamily.ipv4 : AddressFamily.ipv6;
}

function routeText({ destination, gateway, link, table }: NewRoute): string {
  const parts = [cidrText(destination), gateway && `via ${gateway}`, link && `link ${link}`, table && `table ${table}`];
  return parts.filter((part) => part !== undefined).join(' ');
}
