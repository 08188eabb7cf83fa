// SPDX-License-Identifier: Apache-2.0
// Network interfaces: list, find, create veth pairs, change, delete. All in the network namespace of the socket.

import { closeSync, openSync } from 'node:fs';
import { macFromBytes, macToBytes } from '../base/ip.ts';
import type { Mac } from '../base/ip.ts';
import { isKernelError } from './errors.ts';
import { attributesOf, put, RouteMessage, structOf, take } from './netlink.ts';
import { NetlinkFlag, requestOffLoop } from './socket.ts';
import type { NetlinkAsked, NetlinkRequest, NetlinkSocket } from './socket.ts';

export type Link = {
  readonly index: number;
  readonly name: string;
  /** Undefined for interfaces without Ethernet addresses. */
  readonly mac: Mac | undefined;
  readonly mtu: number;
  /** IFF_*. */
  readonly flags: number;
  /** Administratively up (IFF_UP). */
  readonly up: boolean;
  /** Has a carrier (IFF_LOWER_UP). */
  readonly carrier: boolean;
  readonly operationalState: OperationalState;
  /** 'veth', 'bridge', ...; undefined for hardware and the loopback. */
  readonly kind: string | undefined;
  /** Index of the bridge or bond that it is a port of. */
  readonly master: number | undefined;
  /** For one end of a veth pair: the index of the other end, in the namespace that `peerNetnsId` names when that is another one. */
  readonly peer: number | undefined;
  readonly peerNetnsId: number | undefined;
  readonly txQueueLength: number;
  /** Bytes; undefined where the kernel does not say. */
  readonly groMaxSize: number | undefined;
  readonly gsoMaxSize: number | undefined;
};

/** IF_OPER_* (RFC 2863). */
export const OperationalState = { unknown: 0, notPresent: 1, down: 2, lowerLayerDown: 3, testing: 4, dormant: 5, up: 6 } as const;
export type OperationalState = (typeof OperationalState)[keyof typeof OperationalState];

/** One end of a veth pair that is to be. What is not given, the kernel chooses. */
type VethEnd = {
  readonly name: string;
  readonly index?: number;
  readonly mac?: Mac;
  readonly mtu?: number;
  readonly txQueueLength?: number;
};

export type VethPair = VethEnd & {
  /** The pair's first end starts up; the other end's namespace brings that one up. */
  readonly up?: boolean;
  /** `netns` is the path of the namespace that the other end is created in. */
  readonly peer: VethEnd & { readonly netns?: string };
};

export type LinkChange = {
  readonly up?: boolean;
  readonly name?: string;
  readonly mac?: Mac;
  readonly mtu?: number;
  /** Index of the bridge to join; 0 leaves. */
  readonly master?: number;
  readonly txQueueLength?: number;
  /** Largest packet that GSO or GRO builds, in bytes, IPv6 and IPv4. */
  readonly groMaxSize?: number;
  readonly gsoMaxSize?: number;
  /** Path of the network namespace to move to. */
  readonly netns?: string;
};

const ifinfomsg = structOf({ family: 'u8', pad: 'u8', type: 'u16', index: 's32', flags: 'u32', change: 'u32' });
const InterfaceFlag = { up: 0x1, lowerUp: 0x10000 } as const;

/** IFLA_*. */
const LinkAttribute = {
  address: 1,
  name: 3,
  mtu: 4,
  link: 5,
  master: 10,
  txQueueLength: 13,
  operationalState: 16,
  info: 18,
  netnsFd: 28,
  extendedMask: 29,
  linkNetnsId: 37,
  gsoMaxSize: 41,
  groMaxSize: 58,
  gsoIpv4MaxSize: 63,
  groIpv4MaxSize: 64,
} as const;
const InfoAttribute = { kind: 1, data: 2 } as const;
const vethPeer = 1; // VETH_INFO_PEER: an ifinfomsg with attributes of its own
const skipStatistics = 8; // RTEXT_FILTER_SKIP_STATS: a third of the bytes of each answer

/** All interfaces. */
export function listLinks(socket: NetlinkAsked): readonly Link[] {
  const body = Buffer.concat([ifinfomsg.encode({}), put.u32(LinkAttribute.extendedMask, skipStatistics)]);
  return socket
    .request({ type: RouteMessage.getLink, flags: NetlinkFlag.dump, body, what: 'RTM_GETLINK of all links' })
    .map((message) => linkOf(message.body));
}

/** The interface of that index or name, or undefined. */
export function findLink(socket: NetlinkSocket, wanted: number | string): Link | undefined {
  const named = typeof wanted === 'string';
  const header = ifinfomsg.encode({ index: named ? 0 : wanted });
  const body = Buffer.concat([
    header,
    put.u32(LinkAttribute.extendedMask, skipStatistics),
    put.text(LinkAttribute.name, named ? wanted : undefined),
  ]);
  try {
    const [message] = socket.request({ type: RouteMessage.getLink, body, what: `RTM_GETLINK ${wanted}` });
    return message && linkOf(message.body);
  } catch (error) {
    if (isKernelError(error, 'ENODEV')) return undefined;
    throw error;
  }
}

/** Creates both ends at once, the other end directly in its namespace under its final name. EEXIST: a name or index is taken. */
export function createVeth(socket: NetlinkSocket, pair: VethPair): void {
  withDescriptor(pair.peer.netns, (netns) => socket.request(vethRequest(pair, netns)));
}

/** The request behind createVeth; `netns` is a descriptor of the other end's namespace. */
export function vethRequest(pair: VethPair, netns?: number): NetlinkRequest {
  const flags = pair.up === true ? InterfaceFlag.up : 0;
  const end = (side: VethEnd): Buffer[] => [
    put.text(LinkAttribute.name, side.name),
    put.bytes(LinkAttribute.address, side.mac && macToBytes(side.mac)),
    put.u32(LinkAttribute.mtu, side.mtu),
    put.u32(LinkAttribute.txQueueLength, side.txQueueLength),
  ];
  const peer = Buffer.concat([ifinfomsg.encode({ index: pair.peer.index }), ...end(pair.peer), put.u32(LinkAttribute.netnsFd, netns)]);
  const info = put.nested(
    LinkAttribute.info,
    put.text(InfoAttribute.kind, 'veth'),
    put.nested(InfoAttribute.data, put.bytes(vethPeer, peer)),
  );
  const body = Buffer.concat([ifinfomsg.encode({ index: pair.index, flags, change: flags }), ...end(pair), info]);
  return {
    type: RouteMessage.newLink,
    flags: NetlinkFlag.create | NetlinkFlag.exclusive,
    body,
    what: `RTM_NEWLINK of veth pair ${pair.name} and ${pair.peer.name}`,
  };
}

/** Creates a bridge. */
export function createBridge(socket: NetlinkSocket, name: string): void {
  const info = put.nested(LinkAttribute.info, put.text(InfoAttribute.kind, 'bridge'));
  const body = Buffer.concat([ifinfomsg.encode({}), put.text(LinkAttribute.name, name), info]);
  socket.request({
    type: RouteMessage.newLink,
    flags: NetlinkFlag.create | NetlinkFlag.exclusive,
    body,
    what: `RTM_NEWLINK of bridge ${name}`,
  });
}

/** Changes what is given of the interface of that index. ENODEV: there is none. */
export function changeLink(socket: NetlinkSocket, index: number, change: LinkChange): void {
  withDescriptor(change.netns, (netns) => {
    const flag = change.up === undefined ? {} : { flags: change.up ? InterfaceFlag.up : 0, change: InterfaceFlag.up };
    const body = Buffer.concat([
      ifinfomsg.encode({ index, ...flag }),
      put.text(LinkAttribute.name, change.name),
      put.bytes(LinkAttribute.address, change.mac && macToBytes(change.mac)),
      put.u32(LinkAttribute.mtu, change.mtu),
      put.u32(LinkAttribute.master, change.master),
      put.u32(LinkAttribute.txQueueLength, change.txQueueLength),
      put.u32(LinkAttribute.gsoMaxSize, change.gsoMaxSize),
      put.u32(LinkAttribute.groMaxSize, change.groMaxSize),
      put.u32(LinkAttribute.gsoIpv4MaxSize, change.gsoMaxSize),
      put.u32(LinkAttribute.groIpv4MaxSize, change.groMaxSize),
      put.u32(LinkAttribute.netnsFd, netns),
    ]);
    socket.request({ type: RouteMessage.newLink, body, what: `RTM_NEWLINK of link ${index}` });
  });
}

/**
 * Deletes the interface, and a veth's other end with it. False when there was none. The kernel waits until no CPU sees the interface any more, 15 to
 * 40 ms: where the loop matters use deleteLinkOffLoop().
 */
export function deleteLink(socket: NetlinkSocket, wanted: number | string): boolean {
  try {
    socket.request(deleteRequest(wanted));
    return true;
  } catch (error) {
    if (isKernelError(error, 'ENODEV')) return false;
    throw error;
  }
}

/** The same in our own namespace, on a thread of the pool. */
export async function deleteLinkOffLoop(wanted: number | string): Promise<boolean> {
  try {
    await requestOffLoop(deleteRequest(wanted));
    return true;
  } catch (error) {
    if (isKernelError(error, 'ENODEV')) return false;
    throw error;
  }
}

function deleteRequest(wanted: number | string): NetlinkRequest {
  const named = typeof wanted === 'string';
  const body = Buffer.concat([ifinfomsg.encode({ index: named ? 0 : wanted }), put.text(LinkAttribute.name, named ? wanted : undefined)]);
  return { type: RouteMessage.deleteLink, body, what: `RTM_DELLINK ${wanted}` };
}

/** Reads the body of RTM_NEWLINK or RTM_DELLINK. */
export function linkOf(body: Buffer): Link {
  const header = ifinfomsg.decode(body);
  const attributes = attributesOf(body, ifinfomsg.size);
  const address = attributes.get(LinkAttribute.address);
  const kind = take.text(take.nested(attributes, LinkAttribute.info), InfoAttribute.kind);
  return {
    index: header.index,
    name: take.text(attributes, LinkAttribute.name) ?? '',
    mac: address?.length === 6 ? macFromBytes(address) : undefined,
    mtu: take.u32(attributes, LinkAttribute.mtu) ?? 0,
    flags: header.flags,
    up: (header.flags & InterfaceFlag.up) !== 0,
    carrier: (header.flags & InterfaceFlag.lowerUp) !== 0,
    operationalState: (take.u8(attributes, LinkAttribute.operationalState) ?? 0) as OperationalState, // IF_OPER_* are all there are
    kind,
    master: take.u32(attributes, LinkAttribute.master),
    peer: take.u32(attributes, LinkAttribute.link),
    peerNetnsId: attributes.get(LinkAttribute.linkNetnsId)?.readInt32LE(0),
    txQueueLength: take.u32(attributes, LinkAttribute.txQueueLength) ?? 0,
    groMaxSize: take.u32(attributes, LinkAttribute.groMaxSize),
    gsoMaxSize: take.u32(attributes, LinkAttribute.gsoMaxSize),
  };
}

/** Runs with a descriptor of the namespace at `path`, open for as long as `use` runs. */
function withDescriptor(path: string | undefined, use: (descriptor: number | undefined) => void): void {
  const descriptor = path === undefined ? undefined : openSync(path, 'r');
  try {
    use(descriptor);
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}
