// SPDX-License-Identifier: Apache-2.0
// Addresses of interfaces: list, add, delete, for both families by the same calls.

import { familyOf, ipFromWire, ipToWire } from '../base/ip.ts';
import type { Ip } from '../base/ip.ts';
import { isKernelError } from './errors.ts';
import { AddressFamily, attributesOf, put, RouteMessage, structOf, take } from './netlink.ts';
import { NetlinkFlag } from './socket.ts';
import type { NetlinkAsked, NetlinkRequest, NetlinkSocket } from './socket.ts';

export type InterfaceAddress = {
  /** Index of the interface. */
  readonly link: number;
  readonly ip: Ip;
  /** Length of the connected prefix: 0 to 32 or 0 to 128. */
  readonly bits: number;
  /** RT_SCOPE_*: 0 universe, 253 link, 254 host. */
  readonly scope: number;
  /** IFA_F_*. */
  readonly flags: number;
};

/** IFA_F_*: `noDuplicateDetection` makes an IPv6 address usable at once, `noPrefixRoute` adds no route to the connected prefix. */
export const AddressFlag = { noDuplicateDetection: 0x02, tentative: 0x40, permanent: 0x80, noPrefixRoute: 0x200 } as const;

/** What is added; scope and flags are 0 unless given. */
export type NewAddress = Pick<InterfaceAddress, 'link' | 'ip' | 'bits'> & { readonly scope?: number; readonly flags?: number };

const ifaddrmsg = structOf({ family: 'u8', bits: 'u8', flags: 'u8', scope: 'u8', link: 'u32' });
/** IFA_*. `address` is the other end on point-to-point interfaces, else the same as `local`. */
const AddressAttribute = { address: 1, local: 2, flags: 8 } as const;

/** Addresses of all interfaces, or of one. */
export function listAddresses(socket: NetlinkAsked, link = 0): readonly InterfaceAddress[] {
  const what = link === 0 ? 'RTM_GETADDR of all links' : `RTM_GETADDR of link ${link}`;
  const body = ifaddrmsg.encode({ link });
  return socket.request({ type: RouteMessage.getAddress, flags: NetlinkFlag.dump, body, what }).map((message) => addressOf(message.body));
}

/** Adds the address, or changes its flags when it is there. */
export function putAddress(socket: NetlinkSocket, address: NewAddress): void {
  socket.request(addressRequest(address));
}

/** The request behind putAddress. */
export function addressRequest(address: NewAddress): NetlinkRequest {
  return {
    type: RouteMessage.newAddress,
    flags: NetlinkFlag.create | NetlinkFlag.replace,
    body: addressBody(address),
    what: `RTM_NEWADDR ${addressText(address)}`,
  };
}

/** False when the interface or the address is not there. */
export function deleteAddress(socket: NetlinkSocket, address: NewAddress): boolean {
  try {
    socket.request({ type: RouteMessage.deleteAddress, body: addressBody(address), what: `RTM_DELADDR ${addressText(address)}` });
    return true;
  } catch (error) {
    if (isKernelError(error, 'EADDRNOTAVAIL') || isKernelError(error, 'ENODEV')) return false;
    throw error;
  }
}

/** Reads the body of RTM_NEWADDR or RTM_DELADDR. */
export function addressOf(body: Buffer): InterfaceAddress {
  const header = ifaddrmsg.decode(body);
  const attributes = attributesOf(body, ifaddrmsg.size);
  const bytes = attributes.get(AddressAttribute.local) ?? attributes.get(AddressAttribute.address);
  if (!bytes) throw new RangeError(`Cannot read an address of link ${header.link}, the message carries none`);
  const flags = take.u32(attributes, AddressAttribute.flags) ?? header.flags;
  return { link: header.link, ip: ipFromWire(bytes), bits: header.bits, scope: header.scope, flags };
}

function addressBody({ link, ip, bits, scope, flags }: NewAddress): Buffer {
  const family = familyOf(ip) === 4 ? AddressFamily.ipv4 : AddressFamily.ipv6;
  const bytes = ipToWire(ip);
  return Buffer.concat([
    ifaddrmsg.encode({ family, bits, scope, link }),
    put.bytes(AddressAttribute.local, bytes),
    put.bytes(AddressAttribute.address, bytes),
    put.u32(AddressAttribute.flags, flags),
  ]);
}

function addressText({ ip, bits, link }: NewAddress): string {
  return `${ip}/${bits} of link ${link}`;
}
