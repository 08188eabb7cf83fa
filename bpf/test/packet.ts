// SPDX-License-Identifier: Apache-2.0
// Packets to write down: a row for a frame, a frame for a row. frame() makes lengths and checksums right, and packetOf()
// throws when one of them is wrong, so that tests compare rows and every comparison has verified every checksum.

import { familyOf, ip, ipFromWire, ipToWire, macFromBytes, macToBytes, parseMac } from '../../src/base/ip.ts';
import { checksum, crc32c, pseudoHeader, sctpChecksums } from './checksum.ts';

export const Protocol = {
  hopByHop: 0,
  icmp: 1,
  tcp: 6,
  udp: 17,
  routing: 43,
  fragment: 44,
  gre: 47,
  esp: 50,
  ah: 51,
  icmpv6: 58,
  none: 59,
  destinationOptions: 60,
  sctp: 132,
} as const;

export type Packet = {
  readonly from: string; // MACs
  readonly to: string;
  readonly source: string;
  readonly destination: string;
  /** Time to live, or hop limit. */
  readonly ttl: number;
  /** IPv4: a multiple of 4 bytes. */
  readonly options?: Buffer;
  /** IPv6: each header in wire format; its first byte, the next header, is filled in. */
  readonly extensions?: readonly Extension[];
  readonly body: Body;
};

type Ports = { readonly sourcePort: number; readonly destinationPort: number };

export type Extension = { readonly protocol: number; readonly bytes: Buffer };

export type Body =
  /** `flags` as letters of FSRPAU. */
  | {
      readonly kind: 'tcp';
      readonly sourcePort: number;
      readonly destinationPort: number;
      readonly flags: string;
      readonly seq: number;
      readonly ack: number;
      readonly payload: string;
    }
  /** `unchecked`: checksum 0, which IPv4 allows, and Geneve. */
  | {
      readonly kind: 'udp';
      readonly sourcePort: number;
      readonly destinationPort: number;
      readonly payload: string;
      readonly unchecked?: true;
    }
  /** A chunk or more, as they stand. `unchecked`: checksum 0, which the NIC is to write. */
  | ({ readonly kind: 'sctp'; readonly tag: number; readonly payload: string; readonly unchecked?: true } & Ports)
  | { readonly kind: 'echo'; readonly reply: boolean; readonly id: number; readonly sequence: number; readonly payload: string }
  /** Any other ICMP message. `rest`: the second word of the header; an error's `data` is the packet that it is about. */
  | { readonly kind: 'icmp'; readonly type: number; readonly code: number; readonly rest: number; readonly data: Buffer }
  | { readonly kind: 'raw'; readonly protocol: number; readonly bytes: Buffer };

const ETHERNET = 14;
export const GENEVE_PORT = 6081;
const flagLetters = ['F', 'S', 'R', 'P', 'A', 'U'] as const;

export function frame(packet: Packet): Buffer {
  const type = familyOf(ip(packet.source)) === 4 ? 0x0800 : 0x86dd;
  return Buffer.concat([ethernet(packet.from, packet.to, type), ipBytes(packet)]);
}

export function ethernet(from: string, to: string, type: number): Buffer {
  return Buffer.concat([bytesOfMac(to), bytesOfMac(from), Buffer.from([type >> 8, type & 0xff])]);
}

/** The packet without its Ethernet header. */
export function ipBytes(packet: Packet): Buffer {
  const transport = transportBytes(packet);
  return familyOf(ip(packet.source)) === 4 ? ipv4(packet, transport) : ipv6(packet, transport);
}

function ipv4({ source, destination, ttl, options = Buffer.alloc(0), body }: Packet, transport: Buffer): Buffer {
  const header = Buffer.concat([Buffer.alloc(12), ipToWire(ip(source)), ipToWire(ip(destination)), options]);
  header.writeUInt8(0x40 | (header.length / 4), 0);
  header.writeUInt16BE(header.length + transport.length, 2);
  header.writeUInt8(ttl, 8);
  header.writeUInt8(protocolOf(body, 4), 9);
  header.writeUInt16BE(checksum(header), 10);
  return Buffer.concat([header, transport]);
}

function ipv6({ source, destination, ttl, extensions = [], body }: Packet, transport: Buffer): Buffer {
  const protocols = [...extensions.map((extension) => extension.protocol), protocolOf(body, 6)];
  const chain = extensions.map(({ bytes }, i) => Buffer.concat([Buffer.from([protocols[i + 1] ?? Protocol.none]), bytes.subarray(1)]));
  const payload = Buffer.concat([...chain, transport]);
  const header = Buffer.concat([
    Buffer.from([0x60, 0, 0, 0, payload.length >> 8, payload.length & 0xff, protocols[0] ?? Protocol.none, ttl]),
    ipToWire(ip(source)),
    ipToWire(ip(destination)),
  ]);
  return Buffer.concat([header, payload]);
}

function protocolOf(body: Body, family: 4 | 6): number {
  switch (body.kind) {
    case 'tcp':
    case 'udp':
    case 'sctp':
      return Protocol[body.kind];
    case 'echo':
    case 'icmp':
      return family === 4 ? Protocol.icmp : Protocol.icmpv6;
    case 'raw':
      return body.protocol;
  }
}

const checksumAt: Readonly<Record<number, number>> = { [Protocol.tcp]: 16, [Protocol.udp]: 6, [Protocol.icmp]: 2, [Protocol.icmpv6]: 2 };

function transportBytes(packet: Packet): Buffer {
  const { body } = packet;
  const family = familyOf(ip(packet.source));
  const protocol = protocolOf(body, family);
  const bytes = withoutChecksum(body, family);
  const at = checksumAt[protocol];
  if (body.kind === 'sctp' && !body.unchecked) bytes.writeUInt32LE(crc32c(bytes), 8);
  if (body.kind === 'raw' || at === undefined || (body.kind === 'udp' && body.unchecked)) return bytes;
  const sum = checksum(...(protocol === Protocol.icmp ? [] : [pseudoHeader(packet, protocol, bytes.length)]), bytes);
  bytes.writeUInt16BE(sum === 0 && body.kind === 'udp' ? 0xffff : sum, at);
  return bytes;
}

function withoutChecksum(body: Body, family: 4 | 6): Buffer {
  switch (body.kind) {
    case 'tcp': {
      const header = Buffer.alloc(20);
      header.writeUInt16BE(body.sourcePort, 0);
      header.writeUInt16BE(body.destinationPort, 2);
      header.writeUInt32BE(body.seq, 4);
      header.writeUInt32BE(body.ack, 8);
      header.writeUInt8(0x50, 12);
      header.writeUInt8(
        flagLetters.reduce((bits, letter, i) => bits | (body.flags.includes(letter) ? 1 << i : 0), 0),
        13,
      );
      return Buffer.concat([header, Buffer.from(body.payload, 'latin1')]);
    }
    case 'udp': {
      const header = Buffer.alloc(8);
      header.writeUInt16BE(body.sourcePort, 0);
      header.writeUInt16BE(body.destinationPort, 2);
      header.writeUInt16BE(8 + body.payload.length, 4);
      return Buffer.concat([header, Buffer.from(body.payload, 'latin1')]);
    }
    case 'sctp': {
      const header = Buffer.alloc(12);
      for (const [i, half] of [body.sourcePort, body.destinationPort, body.tag >>> 16, body.tag & 0xffff].entries())
        header.writeUInt16BE(half, 2 * i);
      return Buffer.concat([header, Buffer.from(body.payload, 'latin1')]);
    }
    case 'echo': {
      const [request, reply] = family === 4 ? [8, 0] : [128, 129];
      return icmp({
        type: body.reply ? reply : request,
        code: 0,
        rest: body.id * 0x10000 + body.sequence,
        data: Buffer.from(body.payload, 'latin1'),
      });
    }
    case 'icmp':
      return icmp(body);
    case 'raw':
      return Buffer.from(body.bytes);
  }
}

function icmp({ type, code, rest, data }: Omit<Extract<Body, { kind: 'icmp' }>, 'kind'>): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt8(type, 0);
  header.writeUInt8(code, 1);
  header.writeUInt32BE(rest, 4);
  return Buffer.concat([header, data]);
}

/** The row of a frame that is no fragment. Throws on the first thing that is wrong with it. */
export function packetOf(bytes: Buffer): Packet {
  const type = bytes.readUInt16BE(12);
  check('the Ethernet type', type, (bytes[ETHERNET] ?? 0) >> 4 === 4 ? 0x0800 : 0x86dd);
  return { from: macFromBytes(bytes, 6), to: macFromBytes(bytes, 0), ...ipPacketOf(bytes.subarray(ETHERNET)) };
}

/** The same for a packet without its Ethernet header. */
function ipPacketOf(bytes: Buffer): Omit<Packet, 'from' | 'to'> {
  return (bytes[0] ?? 0) >> 4 === 4 ? ipv4PacketOf(bytes) : ipv6PacketOf(bytes);
}

function ipv4PacketOf(bytes: Buffer): Omit<Packet, 'from' | 'to'> {
  const header = bytes.subarray(0, ((bytes[0] ?? 0) & 15) * 4);
  check('the IPv4 header checksum', checksum(header), 0);
  check('the total length', bytes.readUInt16BE(2), bytes.length);
  check('the fragment offset', bytes.readUInt16BE(6) & 0x3fff, 0);
  const ends = { source: ipFromWire(bytes.subarray(12, 16)), destination: ipFromWire(bytes.subarray(16, 20)) };
  const options = header.length > 20 ? { options: Buffer.from(header.subarray(20)) } : {};
  return { ...ends, ttl: bytes.readUInt8(8), ...options, body: bodyOf(ends, bytes.readUInt8(9), bytes.subarray(header.length)) };
}

const extensionBytes: Readonly<Record<number, (length: number) => number>> = {
  [Protocol.hopByHop]: (length) => (length + 1) * 8,
  [Protocol.routing]: (length) => (length + 1) * 8,
  [Protocol.destinationOptions]: (length) => (length + 1) * 8,
  [Protocol.ah]: (length) => (length + 2) * 4,
};

function ipv6PacketOf(bytes: Buffer): Omit<Packet, 'from' | 'to'> {
  check('the payload length', bytes.readUInt16BE(4), bytes.length - 40);
  const ends = { source: ipFromWire(bytes.subarray(8, 24)), destination: ipFromWire(bytes.subarray(24, 40)) };
  const extensions: Extension[] = [];
  let [protocol, at] = [bytes.readUInt8(6), 40];
  for (let size = extensionBytes[protocol]; size; size = extensionBytes[protocol]) {
    const header = Buffer.from(bytes.subarray(at, at + size(bytes.readUInt8(at + 1))));
    const next = header.readUInt8(0);
    header.writeUInt8(0, 0);
    extensions.push({ protocol, bytes: header });
    [protocol, at] = [next, at + header.length];
  }
  return {
    ...ends,
    ttl: bytes.readUInt8(7),
    ...(extensions.length > 0 && { extensions }),
    body: bodyOf(ends, protocol, bytes.subarray(at)),
  };
}

/** RFC 6935: tunnels over IPv6 may leave it out, too. */
function mayBeUnchecked(source: string, destinationPort: number): boolean {
  return familyOf(ip(source)) === 4 || destinationPort === GENEVE_PORT;
}

function bodyOf(ends: { readonly source: string; readonly destination: string }, protocol: number, bytes: Buffer): Body {
  const pseudo = protocol === Protocol.icmp ? [] : [pseudoHeader(ends, protocol, bytes.length)];
  const unchecked = protocol === Protocol.udp && bytes.readUInt16BE(6) === 0 && mayBeUnchecked(ends.source, bytes.readUInt16BE(2));
  if (checksumAt[protocol] !== undefined && !unchecked) check(`the checksum of protocol ${protocol}`, checksum(...pseudo, bytes), 0);
  switch (protocol) {
    case Protocol.tcp: {
      const flags = flagLetters.filter((_, bit) => bytes.readUInt8(13) & (1 << bit)).join('');
      const payload = bytes.toString('latin1', (bytes.readUInt8(12) >> 4) * 4);
      return { kind: 'tcp', ...portsOf(bytes), flags, seq: bytes.readUInt32BE(4), ack: bytes.readUInt32BE(8), payload };
    }
    case Protocol.udp:
      check('the UDP length', bytes.readUInt16BE(4), bytes.length);
      return { kind: 'udp', ...portsOf(bytes), payload: bytes.toString('latin1', 8), ...(unchecked && { unchecked }) };
    case Protocol.sctp: {
      const [sum, wanted] = sctpChecksums(bytes);
      if (sum !== 0) check('the checksum of SCTP', sum, wanted);
      const common = { kind: 'sctp', ...portsOf(bytes), tag: bytes.readUInt32BE(4), payload: bytes.toString('latin1', 12) } as const;
      return { ...common, ...(sum === 0 && { unchecked: true }) };
    }
    case Protocol.icmp:
    case Protocol.icmpv6:
      return icmpOf(bytes, protocol === Protocol.icmp ? [8, 0] : [128, 129]);
    default:
      return { kind: 'raw', protocol, bytes: Buffer.from(bytes) };
  }
}

function icmpOf(bytes: Buffer, [request, reply]: readonly [number, number]): Body {
  const type = bytes.readUInt8(0);
  if (type !== request && type !== reply)
    return { kind: 'icmp', type, code: bytes.readUInt8(1), rest: bytes.readUInt32BE(4), data: Buffer.from(bytes.subarray(8)) };
  return {
    kind: 'echo',
    reply: type === reply,
    id: bytes.readUInt16BE(4),
    sequence: bytes.readUInt16BE(6),
    payload: bytes.toString('latin1', 8),
  };
}

function portsOf(bytes: Buffer): Ports {
  return { sourcePort: bytes.readUInt16BE(0), destinationPort: bytes.readUInt16BE(2) };
}

function check(what: string, found: number, wanted: number): void {
  if (found !== wanted) throw new Error(`Cannot read a packet: ${what} is ${found}, wanted ${wanted}`);
}

function bytesOfMac(text: string): Buffer {
  const mac = parseMac(text);
  if (mac) return macToBytes(mac);
  throw new RangeError(`Cannot read '${text}' as a MAC`);
}
