// SPDX-License-Identifier: Apache-2.0
// Addresses, prefixes, MACs and ports. The only file that makes these brands.
//
//   Ip    canonical text: '10.0.0.1', 'fd00::1' (RFC 5952). A v4-mapped address is its IPv4 address.
//   bytes always 16, network order, IPv4 as ::ffff:a.b.c.d: the one address type of every map.

import type { Brand } from './brand.ts';

export type Ip = Brand<string, 'Ip'>;
export type Mac = Brand<string, 'Mac'>;
export type Port = Brand<number, 'Port'>;
export type Family = 4 | 6;
/** A prefix with its host bits cleared. `bits` counts within the family: 0 to 32 or 0 to 128. */
export type Cidr = Brand<{ readonly ip: Ip; readonly bits: number }, 'Cidr'>;

const DOT = 46;
const ZERO = 48;
const V4_MAPPED = Buffer.from('00000000000000000000ffff', 'hex');

/** The address in `text`, or undefined. Zone suffixes and leading zeroes in IPv4 are refused. */
export function parseIp(text: string): Ip | undefined {
  const bytes = text.includes(':') ? bytesOfV6(text) : bytesOfV4(text);
  return bytes && ipFromBytes(bytes);
}

/** Like parseIp, for text that this program wrote itself. Throws RangeError. */
export function ip(text: string): Ip {
  const parsed = parseIp(text);
  if (parsed === undefined) throw new RangeError(`Cannot read '${text}' as an IP address, wanted IPv4 or IPv6 text`);
  return parsed;
}

export function familyOf(address: Ip): Family {
  return address.includes(':') ? 6 : 4;
}

/** 16 bytes in network order; IPv4 as ::ffff:a.b.c.d. */
export function ipToBytes(address: Ip): Buffer {
  const bytes = address.includes(':') ? bytesOfV6(address) : bytesOfV4(address);
  if (!bytes) throw new RangeError(`Cannot encode '${address}' as an IP address`);
  return bytes;
}

/** Writes the 16 bytes of ipToBytes() over `into` at `offset`. An address is canonical text, so this reads it without checking it again. */
export function writeIp(address: Ip, into: Buffer, offset: number): void {
  if (address.includes(':')) {
    writeV6(address, into, offset);
    return;
  }
  into.writeUInt32BE(0, offset);
  into.writeUInt32BE(0, offset + 4);
  into.writeUInt32BE(0xffff, offset + 8);
  let at = offset + 12;
  let part = 0;
  for (let i = 0; i < address.length; i++) {
    const code = address.charCodeAt(i);
    if (code === DOT) {
      into[at++] = part;
      part = 0;
    } else part = part * 10 + code - ZERO;
  }
  into[at] = part;
}

/** Reads 16 bytes in network order at `offset`. */
export function ipFromBytes(bytes: Uint8Array, offset = 0): Ip {
  if (bytes.length < offset + 16)
    throw new RangeError(`Cannot read an address at offset ${offset} of ${bytes.length} bytes, wanted 16 bytes`);
  for (let i = 0; i < 12; i++) if (bytes[offset + i] !== V4_MAPPED[i]) return textOfV6(bytes, offset);
  const number =
    ((bytes[offset + 12] ?? 0) << 24) | ((bytes[offset + 13] ?? 0) << 16) | ((bytes[offset + 14] ?? 0) << 8) | (bytes[offset + 15] ?? 0);
  const slot = (Math.imul(number, 0x9e3779b1) >>> 20) & (RECENT - 1);
  const recent = recentTexts[slot];
  if (recent !== undefined && recentNumbers[slot] === number) return recent;
  const text = `${number >>> 24}.${(number >>> 16) & 255}.${(number >>> 8) & 255}.${number & 255}` as Ip; // canonical by construction
  recentNumbers[slot] = number;
  recentTexts[slot] = text;
  return text;
}

/** Packets come from few addresses: one text for each of them is quick to look up by, and no garbage. */
const RECENT = 4096;
const recentNumbers = new Int32Array(RECENT);
const recentTexts: (Ip | undefined)[] = Array.from({ length: RECENT });

/** 4 or 16 bytes in network order, as netlink carries them. */
export function ipToWire(address: Ip): Buffer {
  const bytes = ipToBytes(address);
  return familyOf(address) === 4 ? bytes.subarray(12) : bytes;
}

/** Reads 4 or 16 bytes in network order. Throws RangeError for any other length. */
export function ipFromWire(bytes: Uint8Array): Ip {
  if (bytes.length === 4) return ipFromBytes(Buffer.concat([V4_MAPPED, bytes]));
  if (bytes.length !== 16) throw new RangeError(`Cannot read an address from ${bytes.length} bytes, wanted 4 or 16`);
  return ipFromBytes(bytes);
}

/**
 * The prefix in `text` ('10.0.0.0/8'; a bare address is a host prefix) with its host bits cleared, or undefined. A length
 * after a v4-mapped address is refused: it might count from either family's first bit.
 */
export function parseCidr(text: string): Cidr | undefined {
  const [address, length, ...rest] = text.split('/');
  if (address === undefined || rest.length > 0) return undefined;
  const parsed = parseIp(address);
  if (parsed === undefined) return undefined;
  const width = widthOf(parsed);
  if (length === undefined) return cidrOf(parsed, width);
  if (!/^(0|[1-9]\d{0,2})$/.test(length) || address.includes(':') !== parsed.includes(':')) return undefined;
  return Number(length) > width ? undefined : cidrOf(parsed, Number(length));
}

/** Like parseCidr, for text that this program wrote itself. Throws RangeError. */
export function cidr(text: string): Cidr {
  const parsed = parseCidr(text);
  if (parsed === undefined) throw new RangeError(`Cannot read '${text}' as a prefix, wanted for example 10.244.0.0/16`);
  return parsed;
}

/** The prefix of `bits` bits that holds `address`. Throws RangeError when its family has fewer bits. */
export function cidrOf(address: Ip, bits: number): Cidr {
  if (!Number.isInteger(bits) || bits < 0 || bits > widthOf(address))
    throw new RangeError(`Cannot take ${bits} bits of ${address}, wanted 0 to ${widthOf(address)}`);
  const prefix = { ip: ipFromNumber(numberOf(address) & maskOf(address, bits), familyOf(address)), bits };
  return prefix as Cidr; // host bits are cleared
}

export function cidrText(prefix: Cidr): string {
  return `${prefix.ip}/${prefix.bits}`;
}

export function cidrContains(prefix: Cidr, address: Ip): boolean {
  return familyOf(prefix.ip) === familyOf(address) && (numberOf(address) & maskOf(address, prefix.bits)) === numberOf(prefix.ip);
}

/** Number of addresses in the prefix. */
export function cidrSize(prefix: Cidr): bigint {
  return 1n << BigInt(widthOf(prefix.ip) - prefix.bits);
}

/** The address `index` places after the prefix's first one. Throws RangeError outside the prefix. */
export function cidrAddress(prefix: Cidr, index: bigint): Ip {
  if (index < 0n || index >= cidrSize(prefix))
    throw new RangeError(`Cannot take address ${index} of ${cidrText(prefix)}, which holds ${cidrSize(prefix)}`);
  return ipFromNumber(numberOf(prefix.ip) + index, familyOf(prefix.ip));
}

/** How many places `address` comes after the prefix's first address; undefined outside the prefix. */
export function cidrIndex(prefix: Cidr, address: Ip): bigint | undefined {
  return cidrContains(prefix, address) ? numberOf(address) - numberOf(prefix.ip) : undefined;
}

/** The MAC in `text` ('0a:1b:2c:3d:4e:5f', any case), or undefined. */
export function parseMac(text: string): Mac | undefined {
  if (!/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i.test(text)) return undefined;
  return text.toLowerCase() as Mac; // checked above
}

export function macToBytes(mac: Mac): Buffer {
  return Buffer.from(mac.replaceAll(':', ''), 'hex');
}

export function macFromBytes(bytes: Uint8Array, offset = 0): Mac {
  if (bytes.length < offset + 6) throw new RangeError(`Cannot read a MAC at offset ${offset} of ${bytes.length} bytes, wanted 6 bytes`);
  const text = Array.from(bytes.subarray(offset, offset + 6), (byte) => byte.toString(16).padStart(2, '0')).join(':');
  return text as Mac; // six bytes by construction
}

/** 0 to 65535. Throws RangeError. */
export function port(value: number): Port {
  if (!Number.isInteger(value) || value < 0 || value > 0xffff) throw new RangeError(`Cannot use ${value} as a port, wanted 0 to 65535`);
  return value as Port; // checked above
}

/** 'address:port' with IPv6 in brackets (RFC 3986). */
export function addressPort(address: Ip, number: number): string {
  return familyOf(address) === 6 ? `[${address}]:${number}` : `${address}:${number}`;
}

function widthOf(address: Ip): number {
  return familyOf(address) === 4 ? 32 : 128;
}

function maskOf(address: Ip, bits: number): bigint {
  return ((1n << BigInt(bits)) - 1n) << BigInt(widthOf(address) - bits);
}

/** The address as a number of 32 or 128 bits. */
export function numberOf(address: Ip): bigint {
  return BigInt(`0x${ipToWire(address).toString('hex')}`);
}

/** The address that numberOf() made `value` of. Throws RangeError when the family has fewer bits. */
export function ipFromNumber(value: bigint, family: Family): Ip {
  return ipFromWire(Buffer.from(value.toString(16).padStart(family === 4 ? 8 : 32, '0'), 'hex'));
}

/** Groups before '::' from the front, those behind it from the back. */
function writeV6(address: Ip, into: Buffer, offset: number): void {
  into.fill(0, offset, offset + 16);
  const [head = '', tail] = address.split('::');
  let at = offset;
  if (head !== '') for (const group of head.split(':')) at = into.writeUInt16BE(Number.parseInt(group, 16), at);
  if (tail === undefined || tail === '') return;
  const groups = tail.split(':');
  at = offset + 16 - 2 * groups.length;
  for (const group of groups) at = into.writeUInt16BE(Number.parseInt(group, 16), at);
}

function bytesOfV4(text: string): Buffer | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (!match) return undefined;
  const bytes = Buffer.alloc(16);
  V4_MAPPED.copy(bytes);
  for (let i = 0; i < 4; i++) {
    const part = match[i + 1] ?? '';
    if (Number(part) > 255 || (part.length > 1 && part.startsWith('0'))) return undefined;
    bytes[12 + i] = Number(part);
  }
  return bytes;
}

function bytesOfV6(text: string): Buffer | undefined {
  const tail = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  if (tail) {
    const v4 = bytesOfV4(tail[2] ?? '');
    return v4 && bytesOfV6(`${tail[1]}${v4.toString('hex', 12, 14)}:${v4.toString('hex', 14, 16)}`);
  }
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const [head = '', rest] = halves;
  const left = head === '' ? [] : head.split(':');
  const right = rest === undefined || rest === '' ? [] : rest.split(':');
  const missing = 8 - left.length - right.length;
  if (rest === undefined ? missing !== 0 : missing < 1) return undefined;
  const groups = [...left, ...Array.from({ length: missing }, () => '0'), ...right];
  if (!groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return undefined;
  return Buffer.from(groups.map((group) => group.padStart(4, '0')).join(''), 'hex');
}

/** RFC 5952: lower case, the first longest run of two or more zero groups shortened. */
function textOfV6(bytes: Uint8Array, offset: number): Ip {
  const groups = Array.from({ length: 8 }, (_, i) => ((bytes[offset + 2 * i] ?? 0) << 8) | (bytes[offset + 2 * i + 1] ?? 0));
  let start = 0;
  let length = 1;
  for (let i = 0; i < 8; i++) {
    let run = 0;
    while (i + run < 8 && groups[i + run] === 0) run++;
    if (run > length) [start, length] = [i, run];
  }
  const hex = groups.map((group) => group.toString(16));
  const text = length > 1 ? `${hex.slice(0, start).join(':')}::${hex.slice(start + length).join(':')}` : hex.join(':');
  return text as Ip; // canonical by construction
}
