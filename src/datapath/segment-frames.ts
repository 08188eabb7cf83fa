// SPDX-License-Identifier: Apache-2.0
// What goes out on a segment to say who has an address: ARP (RFC 826, RFC 5227) and neighbour discovery (RFC 4861).

import { familyOf, ip, ipFromWire, ipToWire, macFromBytes, macToBytes, parseMac } from '../base/ip.ts';
import type { Ip, Mac } from '../base/ip.ts';

const BROADCAST = Buffer.alloc(6, 0xff);
const NOBODY = Buffer.alloc(6);
const ALL_NODES = ip('ff02::1');
export const EtherType = { arp: 0x0806, ipv4: 0x0800, ipv6: 0x86dd } as const;
const ArpOperation = { request: 1, reply: 2 } as const;
const SOLICITATION = 135;
const ADVERTISEMENT = 136;
const SOURCE_MAC = 1;
const ETHERNET = 14;
const OVERRIDE = 0x2000_0000;
const TARGET_MAC = 2;

/** Says to everybody that `mac` has `address`: for IPv4 as a request and as a reply, since some believe only one of the two. */
export function gratuitousFrames(address: Ip, mac: Mac): readonly Buffer[] {
  const own = macToBytes(mac);
  if (familyOf(address) === 6) return [advertisement(address, own)];
  const wire = ipToWire(address);
  return [
    arp(own, BROADCAST, { operation: ArpOperation.request, sender: wire, targetMac: NOBODY, target: wire }),
    arp(own, BROADCAST, { operation: ArpOperation.reply, sender: wire, targetMac: BROADCAST, target: wire }),
  ];
}

/** Asks everybody, or the group of the address, who has it. Without a `source`: whether it is free (RFC 5227 section 2.1.1, RFC 4862 section 5.4.2). */
export function questionFrame({
  ip: address,
  mac,
  source,
}: {
  readonly ip: Ip;
  readonly mac: Mac;
  readonly source: Ip | undefined;
}): Buffer {
  const own = macToBytes(mac);
  if (familyOf(address) === 4) {
    const sender = source === undefined ? Buffer.alloc(4) : ipToWire(source);
    return arp(own, BROADCAST, { operation: ArpOperation.request, sender, targetMac: NOBODY, target: ipToWire(address) });
  }
  const option = source === undefined ? [] : [Buffer.from([SOURCE_MAC, 1]), own];
  const message = Buffer.concat([Buffer.alloc(8), ipToWire(address), ...option]);
  message.writeUInt8(SOLICITATION, 0);
  return icmpv6({ source: source ?? ip('::'), destination: solicitedNodeGroup(address).group, from: own }, message);
}

/** Who says in this frame that he has which address. */
export function ownerIn(frame: Buffer): { readonly ip: Ip; readonly mac: Mac } | undefined {
  const type = frame.length >= 42 ? frame.readUInt16BE(12) : 0;
  if (type === EtherType.arp) {
    const sender = ipFromWire(frame.subarray(ETHERNET + 14, ETHERNET + 18));
    return frame.readUInt32BE(ETHERNET + 14) === 0 ? undefined : { ip: sender, mac: macFromBytes(frame, ETHERNET + 8) };
  }
  const isAdvertisement =
    type === EtherType.ipv6 && frame.length >= 86 && frame[ETHERNET + 6] === 58 && frame[ETHERNET + 40] === ADVERTISEMENT;
  if (!isAdvertisement || frame[ETHERNET + 64] !== TARGET_MAC) return undefined;
  return { ip: ipFromWire(frame.subarray(ETHERNET + 48, ETHERNET + 64)), mac: macFromBytes(frame, ETHERNET + 66) };
}

type Asked = { readonly operation: number; readonly sender: Uint8Array; readonly targetMac: Buffer; readonly target: Uint8Array };

function arp(from: Buffer, to: Buffer, { operation, sender, targetMac, target }: Asked): Buffer {
  const fixed = Buffer.from([0, 1, 8, 0, 6, 4, 0, operation]);
  return padded(Buffer.concat([ethernet(from, to, EtherType.arp), fixed, from, sender, targetMac, target]));
}

/** Unsolicited, overriding (RFC 4861 section 7.2.6). */
function advertisement(address: Ip, from: Buffer): Buffer {
  const message = Buffer.concat([Buffer.alloc(8), ipToWire(address), Buffer.from([TARGET_MAC, 1]), from]);
  message.writeUInt8(ADVERTISEMENT, 0);
  message.writeUInt32BE(OVERRIDE, 4);
  return icmpv6({ source: address, destination: ALL_NODES, from }, message);
}

type Ends = { readonly source: Ip; readonly destination: Ip; readonly from: Buffer };

/** To a group: its link address follows from it (RFC 2464 section 7). */
function icmpv6({ source, destination, from }: Ends, message: Buffer): Buffer {
  const [sourceBytes, destinationBytes] = [Buffer.from(ipToWire(source)), Buffer.from(ipToWire(destination))];
  const pseudo = Buffer.concat([sourceBytes, destinationBytes, Buffer.from([0, 0, 0, message.length, 0, 0, 0, 58])]);
  message.writeUInt16BE(checksum(Buffer.concat([pseudo, message])), 2);
  const header = Buffer.from([0x60, 0, 0, 0, 0, message.length, 58, 255]);
  const to = Buffer.concat([Buffer.from([0x33, 0x33]), destinationBytes.subarray(12)]);
  return Buffer.concat([ethernet(from, to, EtherType.ipv6), header, sourceBytes, destinationBytes, message]);
}

export function ethernet(from: Buffer, to: Buffer, type: number): Buffer {
  return Buffer.concat([to, from, Buffer.from([type >> 8, type & 0xff])]);
}

function padded(frame: Buffer): Buffer {
  return frame.length >= 60 ? frame : Buffer.concat([frame, Buffer.alloc(60 - frame.length)]);
}

/** RFC 1071; an even number of bytes. */
export function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += bytes.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** The group by which an address is solicited (RFC 4291 section 2.7.1). */
export function solicitedNodeGroup(address: Ip): { readonly group: Ip; readonly mac: Mac | undefined } {
  const [a = 0, b = 0, c = 0] = ipToWire(address).subarray(13);
  const hex = [a, b, c].map((byte) => byte.toString(16).padStart(2, '0'));
  return { group: ip(`ff02::1:ff${hex[0]}:${hex[1]}${hex[2]}`), mac: parseMac(`33:33:ff:${hex.join(':')}`) };
}
