// SPDX-License-Identifier: Apache-2.0
// Routes of the main table as a Target. Ours carry a routing protocol number of our own: all others are never touched.

import { cidrText } from '../base/ip.ts';
import type { Cidr, Ip } from '../base/ip.ts';
import { forEachEntry } from '../base/ledger.ts';
import type { Target } from '../base/reconcile.ts';
import { deleteRoute, listRoutes, putRoute, RouteTable } from '../kernel/netlink-route.ts';
import type { NewRoute, Route } from '../kernel/netlink-route.ts';
import type { NetlinkSocket } from '../kernel/socket.ts';

/** RTPROT_*: numbers from 192 on are free for anybody; shown as `proto 205` by ip-route(8). */
export const ROUTE_PROTOCOL = 205;

export type RouteRow =
  | { readonly kind: 'via'; readonly destination: Cidr; readonly gateway: Ip }
  /** `link`: interface index. */
  | { readonly kind: 'link'; readonly destination: Cidr; readonly link: number; readonly source?: Ip };

/** The row's key: there is one route for a destination. */
export function routeText(row: RouteRow): string {
  return cidrText(row.destination);
}

export function routeTarget(socket: NetlinkSocket): Target<string, RouteRow> {
  return {
    name: 'routes',
    *list() {
      for (const route of listRoutes(socket, { protocol: ROUTE_PROTOCOL, table: RouteTable.main })) {
        const row = rowOf(route);
        yield [routeText(row), row];
      }
    },
    put(entries) {
      forEachEntry(entries, (_, row) => putRoute(socket, routeOf(row)));
    },
    remove(entries) {
      forEachEntry(entries, (_, row) => deleteRoute(socket, routeOf(row)));
    },
  };
}

function routeOf(row: RouteRow): NewRoute {
  const common = { destination: row.destination, protocol: ROUTE_PROTOCOL, table: RouteTable.main };
  if (row.kind === 'via') return { ...common, gateway: row.gateway };
  return { ...common, link: row.link, ...(row.source !== undefined && { source: row.source }) };
}

function rowOf({ destination, gateway, link, source }: Route): RouteRow {
  if (gateway !== undefined) return { kind: 'via', destination, gateway };
  return { kind: 'link', destination, link: link ?? 0, ...(source !== undefined && { source }) };
}
