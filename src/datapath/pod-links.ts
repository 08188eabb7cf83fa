// SPDX-License-Identifier: Apache-2.0
// Veth pairs of pods as a Target. The host side has an index and a MAC that we choose; the pod side is made inside the pod's
// namespace, under its final name, with /32 and /128 addresses and a link-local gateway that answers in BPF.
//
//   node                                             pod
//   lxc1a2b… (index 0x100000 + id, gateway_mac) ───── eth0  10.244.1.5/32, fd00:10:244:1::5/128
//                                                           default via 169.254.1.1, fe80::1

import { writeFileSync } from 'node:fs';
import { cidr, cidrText, familyOf, ip } from '../base/ip.ts';
import type { Ip, Mac } from '../base/ip.ts';
import { messageOf } from '../base/errors.ts';
import { forEachEntry, forEachEntryLater } from '../base/ledger.ts';
import type { Target } from '../base/reconcile.ts';
import { isKernelError } from '../kernel/errors.ts';
import { AddressFlag, listAddresses, putAddress } from '../kernel/netlink-address.ts';
import { changeLink, createVeth, deleteLink, deleteLinkOffLoop, findLink, listLinks } from '../kernel/netlink-link.ts';
import { listRoutes, putRoute, RouteScope, RouteTable } from '../kernel/netlink-route.ts';
import { writeSysctl } from '../kernel/netns.ts';
import { NetlinkSocket } from '../kernel/socket.ts';
import { PROC_SYS } from '../kernel/proc-sys.ts';
import { configDefaults } from './schema.gen.ts';

export type PodLink = {
  /** Of the host side; the row's key. */
  readonly name: string;
  readonly index: number;
  /** Of both sides. Undefined: as it is. */
  readonly mtu?: number;
  /** Undefined in what the kernel lists: the pod's side is in its own namespace. */
  readonly peer?: PodEnd;
};

export type PodEnd = {
  readonly name: string;
  /** Path of the pod's network namespace. */
  readonly netns: string;
  readonly mac: Mac;
  /** At birth, when nothing else says. */
  readonly mtu: number;
  readonly addresses: readonly Ip[];
};

/** The gateway of every pod, as lib/reply.h answers for it. */
export const GATEWAY = { 4: ip('169.254.1.1'), 6: ip('fe80::1') } as const;
export const ANYWHERE = { 4: cidr('0.0.0.0/0'), 6: cidr('::/0') } as const;
export const GATEWAY_MAC = configDefaults.gatewayMac;
const QUEUE_LENGTH = 1000;
const LOOPBACK = 1;
/** Beyond the indexes that the kernel gives by itself on any machine that lives for long. */
const FIRST_INDEX = 0x100000;
const LAST_INDEX = FIRST_INDEX + 0xffff;

/** The index of the host side for an endpoint id from 1 to 65535. */
export function interfaceIndexOf(id: number): number {
  return FIRST_INDEX + id;
}

/** Whether an interface is the host side of a pod's pair. */
export function isPodLink(index: number): boolean {
  return index > FIRST_INDEX && index <= LAST_INDEX;
}

export function samePodLink(a: PodLink, b: PodLink): boolean {
  return a.name === b.name && a.index === b.index && (a.mtu === b.mtu || a.mtu === undefined || b.mtu === undefined);
}

export function podLinkTarget(socket: NetlinkSocket): Target<string, PodLink> {
  return {
    name: 'pod_links',
    *list() {
      for (const { name, index, kind, mtu } of listLinks(socket))
        if (kind === 'veth' && isPodLink(index)) yield [name, { name, index, mtu }];
    },
    put(entries) {
      forEachEntry(entries, (_, link) => putPodLink(socket, link));
    },
    /** The socket's namespace is our own. */
    remove: (entries) => forEachEntryLater(entries, deleteLinkOffLoop),
  };
}

/** What of a pod's interface is not as configurePod() made it, or undefined. `index`: of either side. */
export function podLinkFault(
  index: number,
  { name, netns, mac, addresses }: Pick<PodEnd, 'name' | 'netns' | 'mac' | 'addresses'>,
): string | undefined {
  let pod: NetlinkSocket;
  try {
    pod = NetlinkSocket.open({ netns });
  } catch (error) {
    return messageOf(error);
  }
  using _pod = pod;
  const link = findLink(pod, name);
  if (link?.index !== index) return `${netns} has no interface ${name} of ours`;
  if (link.mac !== mac) return `${name} has MAC ${link.mac}, wanted ${mac}`;
  if (!link.up) return `${name} is down`;
  const present = new Set(listAddresses(pod, index).map(({ ip: address }) => address));
  const lost = addresses.find((address) => !present.has(address));
  if (lost !== undefined) return `${name} has lost its address ${lost}`;
  const routes = listRoutes(pod, { table: RouteTable.main, link: index });
  const families = new Set(addresses.map(familyOf));
  const unrouted = [...families].find(
    (family) =>
      !routes.some(({ destination, gateway }) => gateway === GATEWAY[family] && cidrText(destination) === cidrText(ANYWHERE[family])),
  );
  return unrouted === undefined ? undefined : `${name} has no default route by ${GATEWAY[unrouted]}`;
}

function putPodLink(socket: NetlinkSocket, { name, index, mtu, peer }: PodLink): void {
  if (!peer || peer.netns === '') throw new TypeError(`Cannot make pod link ${name}: nothing says in which namespace its pod is`);
  using pod = NetlinkSocket.open({ netns: peer.netns });
  const found = findLink(socket, name);
  if (found && found.index !== index) deleteLink(socket, name);
  if (found?.index !== index) {
    const common = { index, mtu: mtu ?? peer.mtu };
    createVeth(socket, { ...common, name, mac: GATEWAY_MAC, txQueueLength: QUEUE_LENGTH, up: true, peer: { ...peer, ...common } });
  } else if (mtu !== undefined) resize({ socket, pod }, index, { from: found.mtu, to: mtu });
  writeFileSync(`${PROC_SYS}/net/ipv4/conf/${name}/rp_filter`, '0');
  configurePod(pod, index, peer);
}

/** Neither side ever sends what the other does not take. */
function resize(
  { socket, pod }: { readonly socket: NetlinkSocket; readonly pod: NetlinkSocket },
  index: number,
  { from, to }: { readonly from: number; readonly to: number },
): void {
  // a side takes what is as large as its own MTU: the first to shrink must not be sent more
  for (const side of to < from ? [pod, socket] : [socket, pod]) changeLink(side, index, { mtu: to });
}

/** Everything inside the pod's namespace; may be repeated. `link`: index of the pod's side, the same as that of the host side. */
function configurePod(pod: NetlinkSocket, link: number, { name, netns, addresses }: PodEnd): void {
  changeLink(pod, LOOPBACK, { up: true });
  for (const address of addresses) {
    const wanted = { link, ip: address, bits: familyOf(address) === 4 ? 32 : 128, flags: AddressFlag.noDuplicateDetection };
    try {
      putAddress(pod, wanted);
    } catch (error) {
      if (familyOf(address) === 4 || !isKernelError(error, 'EACCES')) throw error;
      writeSysctl(netns, `net/ipv6/conf/${name}/disable_ipv6`, '0'); // some runtimes switch IPv6 off in every new namespace
      putAddress(pod, wanted);
    }
  }
  changeLink(pod, link, { up: true });
  for (const family of new Set(addresses.map(familyOf))) {
    putRoute(pod, { destination: cidr(GATEWAY[family]), link, scope: RouteScope.link });
    putRoute(pod, { destination: ANYWHERE[family], gateway: GATEWAY[family], link });
  }
}
