// SPDX-License-Identifier: Apache-2.0
// Neighbours (ARP and ND entries): list, put permanent ones, delete.

import { familyOf, ipFromWire, ipToWire, macFromBytes, macToBytes } from '../base/ip.ts';
import type { Ip, Mac } from '../base/ip.ts';
import { isKernelError } from './errors.ts';
import { AddressFamily, attributesOf, put, RouteMessage, structOf } from './netlink.ts';
import { NetlinkFlag } from './socket.ts';
import type { NetlinkSocket } from './socket.ts';

export type Neighbour = {
  /** Index of the interface. */
  readonly link: number;
  readonly ip: Ip;
  /** Undefined while it is being asked for, or after nobody answered. */
  readonly mac: Mac | undefined;
  /** NUD_*. */
  readonly state: NeighbourState;
};

/** NUD_*. */
export const NeighbourState = {
  none: 0,
  incomplete: 1,
  reachable: 2,
  stale: 4,
  delay: 8,
  probe: 0x10,
  failed: 0x20,
  noArp: 0x40,
  permanent: 0x80,
} as const;
export type NeighbourState = (typeof NeighbourState)[keyof typeof NeighbourState];

const ndmsg = structOf({ family: 'u8', pad1: 'u8', pad2: 'u16', link: 's32', state: 'u16', flags: 'u8', type: 'u8' });
/** NDA_*. */
const NeighbourAttribute = { destination: 1, linkLayerAddress: 2 } as const;

/** IP neighbours of all interfaces. */
export function listNeighbours(socket: NetlinkSocket): readonly Neighbour[] {
  const messages = socket.request({
    type: RouteMessage.getNeighbour,
    flags: NetlinkFlag.dump,
    body: ndmsg.encode({}),
    what: 'RTM_GETNEIGH of all links',
  });
  return messages.map((message) => neighbourOf(message.body)).filter((neighbour) => neighbour !== undefined);
}

/** Makes the neighbour's MAC permanent, whatever was known before. */
export function putNeighbour(
  socket: NetlinkSocket,
  { link, ip, mac }: { readonly link: number; readonly ip: Ip; readonly mac: Mac },
): void {
  const body = Buffer.concat([
    ndmsg.encode({ family: numberOfFamily(ip), link, state: NeighbourState.permanent }),
    put.bytes(NeighbourAttribute.destination, ipToWire(ip)),
    put.bytes(NeighbourAttribute.linkLayerAddress, macToBytes(mac)),
  ]);
  socket.request({
    type: RouteMessage.newNeighbour,
    flags: NetlinkFlag.create | NetlinkFlag.replace,
    body,
    what: `RTM_NEWNEIGH ${ip} at ${mac} on link ${link}`,
  });
}

/** False when there is no such neighbour or interface. */
export function deleteNeighbour(socket: NetlinkSocket, link: number, ip: Ip): boolean {
  const body = Buffer.concat([ndmsg.encode({ family: numberOfFamily(ip), link }), put.bytes(NeighbourAttribute.destination, ipToWire(ip))]);
  try {
    socket.request({ type: RouteMessage.deleteNeighbour, body, what: `RTM_DELNEIGH ${ip} on link ${link}` });
    return true;
  } catch (error) {
    if (isKernelError(error, 'ENOENT') || isKernelError(error, 'ENODEV')) return false;
    throw error;
  }
}

/** Reads the body of RTM_NEWNEIGH or RTM_DELNEIGH; undefined for entries of bridges, which have no IP address. */
export function neighbourOf(body: Buffer): Neighbour | undefined {
  const header = ndmsg.decode(body);
  const attributes = attributesOf(body, ndmsg.size);
  const destination = attributes.get(NeighbourAttribute.destination);
  if (!destination || (header.family !== AddressFamily.ipv4 && header.family !== AddressFamily.ipv6)) return undefined;
  const mac = attributes.get(NeighbourAttribute.linkLayerAddress);
  return {
    link: header.link,
    ip: ipFromWire(destination),
    mac: mac?.length === 6 ? macFromBytes(mac) : undefined,
    state: header.state as NeighbourState, // NUD_* are all there are
  };
}

function numberOfFamily(ip: Ip): number {
  return familyOf(ip) === 4 ? AddressFamily.ipv4 : AddressFamily.ipv6;
}
