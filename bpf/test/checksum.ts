// SPDX-License-Identifier: Apache-2.0
// The Internet checksum as RFC 1071 writes it down: sum, fold, complement. Shares nothing with the programs that it checks.

import { ip, ipToWire } from '../../src/base/ip.ts';

/** Of 16-bit words; an odd last byte is the high half of a word. 0 when `bytes` contain their own right checksum. */
export function checksum(...parts: readonly Uint8Array[]): number {
  const bytes = Buffer.concat(parts.map((part) => (part.length % 2 === 0 ? part : Buffer.concat([part, Buffer.alloc(1)]))));
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += bytes.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return ~sum & 0xffff;
}

/** RFC 9293 section 3.1, RFC 8200 section 8.1: what TCP, UDP and ICMPv6 also sum up. */
export function pseudoHeader(ends: { readonly source: string; readonly destination: string }, protocol: number, length: number): Buffer {
  const addresses = [ends.source, ends.destination].map((text) => ipToWire(ip(text)));
  const rest = Buffer.alloc(addresses[0]?.length === 4 ? 4 : 8);
  rest.writeUInt8(protocol, rest.length === 4 ? 1 : 7);
  if (rest.length === 4) rest.writeUInt16BE(length, 2);
  else rest.writeUInt32BE(length, 0);
  return Buffer.concat([...addresses, rest]);
}

/** CRC-32C, bit by bit: RFC 9260 appendix A. */
export function crc32c(bytes: Buffer): number {
  let crc = 0xffff_ffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f6_3b78 : crc >>> 1;
  }
  return ~crc >>> 0;
}

/** The checksum that an SCTP packet has, and the one that it should have. */
export function sctpChecksums(bytes: Buffer): readonly [found: number, wanted: number] {
  const zeroed = Buffer.from(bytes);
  zeroed.writeUInt32LE(0, 8);
  return [bytes.readUInt32LE(8), crc32c(zeroed)];
}
