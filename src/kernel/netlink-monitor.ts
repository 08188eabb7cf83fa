// SPDX-License-Identifier: Apache-2.0
// What the kernel says of itself: changes of links, addresses, routes, neighbours and tc filters as they happen.
// A change says how things are now, so hearing it twice does no harm. After `resync` some were lost: list everything again.

import { isKernelError } from './errors.ts';
import { addressOf } from './netlink-address.ts';
import type { InterfaceAddress } from './netlink-address.ts';
import { filterLinkOf } from './netlink-filter.ts';
import { linkOf } from './netlink-link.ts';
import type { Link } from './netlink-link.ts';
import { neighbourOf } from './netlink-neighbour.ts';
import type { Neighbour } from './netlink-neighbour.ts';
import { routeOf } from './netlink-route.ts';
import type { Route } from './netlink-route.ts';
import { RouteMessage } from './netlink.ts';
import { NetlinkSocket } from './socket.ts';
import type { NetlinkMessage } from './socket.ts';

export type NetworkChange =
  | { readonly kind: 'link'; readonly gone: boolean; readonly link: Link }
  | { readonly kind: 'address'; readonly gone: boolean; readonly address: InterfaceAddress }
  | { readonly kind: 'route'; readonly gone: boolean; readonly route: Route }
  | { readonly kind: 'neighbour'; readonly gone: boolean; readonly neighbour: Neighbour }
  /** A filter or a whole qdisc; `link` is the index of its interface. */
  | { readonly kind: 'filter'; readonly gone: boolean; readonly link: number }
  | { readonly kind: 'resync' };

/** RTNLGRP_*. Both families. */
const groups = { link: [1], address: [5, 9], route: [7, 11], neighbour: [3], filter: [4] } as const;

export type MonitorOptions = {
  readonly kinds: readonly (keyof typeof groups)[];
  /** Path of the network namespace; our own unless given. */
  readonly netns?: string;
  /** Room for unread messages in the kernel, in bytes. */
  readonly receiveBufferBytes?: number;
  readonly signal: AbortSignal;
  /** Called on the event loop with what has arrived. A throw is an uncaught exception. */
  readonly onChanges: (changes: readonly NetworkChange[]) => void;
};

const datagramsPerWake = 64; // then other work of the loop has its turn

/** Listens until the signal aborts. Listing after this call misses nothing. */
export function monitorNetwork({ kinds, signal, onChanges, ...options }: MonitorOptions): void {
  if (signal.aborted) return;
  const socket = NetlinkSocket.open({ ...options, groups: kinds.flatMap((kind) => groups[kind]) });
  socket.onReadable(() => {
    const changes = readChanges(socket);
    if (changes.length > 0) onChanges(changes);
  });
  signal.addEventListener('abort', () => socket[Symbol.dispose](), { once: true });
}

/** What waits in a socket with groups. The kernel's ENOBUFS becomes `resync`. */
export function readChanges(socket: NetlinkSocket): readonly NetworkChange[] {
  const changes: NetworkChange[] = [];
  for (let datagram = 0; datagram < datagramsPerWake; datagram++) {
    try {
      const messages = socket.receive();
      if (messages.length === 0) break;
      changes.push(...messages.map(changeOf).filter((change) => change !== undefined));
    } catch (error) {
      if (!isKernelError(error, 'ENOBUFS')) throw error;
      changes.push({ kind: 'resync' });
    }
  }
  return changes;
}

/** The change that a message tells of; undefined for other messages. */
function changeOf({ type, body }: NetlinkMessage): NetworkChange | undefined {
  switch (type) {
    case RouteMessage.newLink:
    case RouteMessage.deleteLink:
      // A bridge tells of its ports by the same message in its own family.
      return body[0] === 0 ? { kind: 'link', gone: type === RouteMessage.deleteLink, link: linkOf(body) } : undefined;
    case RouteMessage.newAddress:
    case RouteMessage.deleteAddress:
      return { kind: 'address', gone: type === RouteMessage.deleteAddress, address: addressOf(body) };
    case RouteMessage.newRoute:
    case RouteMessage.deleteRoute:
      return { kind: 'route', gone: type === RouteMessage.deleteRoute, route: routeOf(body) };
    case RouteMessage.newNeighbour:
    case RouteMessage.deleteNeighbour: {
      const neighbour = neighbourOf(body);
      return neighbour && { kind: 'neighbour', gone: type === RouteMessage.deleteNeighbour, neighbour };
    }
    case RouteMessage.newFilter:
    case RouteMessage.deleteFilter:
    case RouteMessage.newQdisc:
    case RouteMessage.deleteQdisc:
      return { kind: 'filter', gone: type === RouteMessage.deleteFilter || type === RouteMessage.deleteQdisc, link: filterLinkOf(body) };
    default:
      return undefined;
  }
}
