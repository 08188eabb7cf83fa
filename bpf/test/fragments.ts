// SPDX-License-Identifier: Apache-2.0
// Datagrams in pieces, and pieces made whole again, as RFC 791 section 3.2 and RFC 8200 section 4.5 say.

import { familyOf, ip } from '../../src/base/ip.ts';
import { checksum } from './checksum.ts';
import { frame, Protocol } from './packet.ts';
import type { Packet } from './packet.ts';

const ETHERNET = 14;
const IPV6 = 40;

/** Frames of at most `size` bytes of payload each, a multiple of 8. */
export function fragmentsOf(packet: Packet, id: number, size: number): readonly Buffer[] {
  const whole = frame(packet);
  const isIpv4 = familyOf(ip(packet.source)) === 4;
  const header = whole.subarray(0, ETHERNET + (isIpv4 ? (whole.readUInt8(ETHERNET) & 15) * 4 : IPV6));
  const payload = whole.subarray(header.length);
  const pieces = Array.from({ length: Math.ceil(payload.length / size) }, (_, i) => payload.subarray(i * size, (i + 1) * size));
  return pieces.map((piece, i) => (isIpv4 ? ipv4Piece : ipv6Piece)(header, piece, { id, offset: i * size, more: i < pieces.length - 1 }));
}

type Place = { readonly id: number; readonly offset: number; readonly more: boolean };

function ipv4Piece(header: Buffer, piece: Buffer, { id, offset, more }: Place): Buffer {
  const out = Buffer.concat([header, piece]);
  out.writeUInt16BE(out.length - ETHERNET, ETHERNET + 2);
  out.writeUInt16BE(id, ETHERNET + 4);
  out.writeUInt16BE((more ? 0x2000 : 0) | (offset / 8), ETHERNET + 6);
  out.writeUInt16BE(0, ETHERNET + 10);
  out.writeUInt16BE(checksum(out.subarray(ETHERNET, header.length)), ETHERNET + 10);
  return out;
}

function ipv6Piece(header: Buffer, piece: Buffer, { id, offset, more }: Place): Buffer {
  const fragment = Buffer.alloc(8);
  fragment.writeUInt8(header.readUInt8(ETHERNET + 6), 0);
  fragment.writeUInt16BE(offset | (more ? 1 : 0), 2);
  fragment.writeUInt32BE(id, 4);
  const out = Buffer.concat([header, fragment, piece]);
  out.writeUInt16BE(fragment.length + piece.length, ETHERNET + 4);
  out.writeUInt8(Protocol.fragment, ETHERNET + 6);
  return out;
}

/** One frame of all fragments of a datagram, in any order. Throws when a header checksum is wrong. */
export function reassembled(fragments: readonly Buffer[]): Buffer {
  const [first] = fragments.toSorted((a, b) => placeOf(a).offset - placeOf(b).offset);
  if (!first) throw new RangeError('Cannot put together a packet of no fragments');
  const isIpv4 = first.readUInt8(ETHERNET) >> 4 === 4;
  const headerBytes = ETHERNET + (isIpv4 ? (first.readUInt8(ETHERNET) & 15) * 4 : IPV6);
  const payload: Buffer[] = [];
  for (const fragment of fragments.toSorted((a, b) => placeOf(a).offset - placeOf(b).offset)) {
    if (isIpv4 && checksum(fragment.subarray(ETHERNET, headerBytes)) !== 0)
      throw new Error('Cannot put fragments together: a header checksum is wrong');
    payload.push(fragment.subarray(headerBytes + (isIpv4 ? 0 : 8)));
  }
  const out = Buffer.concat([first.subarray(0, headerBytes), ...payload]);
  if (isIpv4) {
    out.writeUInt16BE(out.length - ETHERNET, ETHERNET + 2);
    out.writeUInt16BE(0, ETHERNET + 6);
    out.writeUInt16BE(0, ETHERNET + 10);
    out.writeUInt16BE(checksum(out.subarray(ETHERNET, headerBytes)), ETHERNET + 10);
  } else {
    out.writeUInt8(first.readUInt8(headerBytes), ETHERNET + 6);
    out.writeUInt16BE(out.length - headerBytes, ETHERNET + 4);
  }
  return out;
}

function placeOf(fragment: Buffer): { readonly offset: number } {
  if (fragment.readUInt8(ETHERNET) >> 4 === 4) return { offset: (fragment.readUInt16BE(ETHERNET + 6) & 0x1fff) * 8 };
  return { offset: fragment.readUInt16BE(ETHERNET + IPV6 + 2) & 0xfff8 };
}
