// SPDX-License-Identifier: Apache-2.0
// What a node says of itself to the others on a segment, in frames of its own protocol: no address, no port and no firewall is needed.
//
//   | Ethernet 0x88b5 | magic | version | kind | part | parts | node | interface | serial | part of deflated JSON … |

import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { macToBytes, parseIp, parseMac } from '../base/ip.ts';
import type { Mac } from '../base/ip.ts';
import { ethernet } from '../datapath/segment-frames.ts';
import type { Cession, Claim, Level, MemberInterface, Sight } from '../l2/members.ts';

export type Hello = {
  readonly node: string;
  /** Of its Node object. */
  readonly uid: string;
  /** Another one with each start of its agent. */
  readonly instance: number;
  readonly interfaces: readonly (MemberInterface & { readonly index: number })[];
  readonly claims: readonly Claim[];
  readonly sights: readonly Sight[];
  readonly cedes: readonly Cession[];
  /** Wants to hear the others now. */
  readonly asks: boolean;
};

/** Part of a message; `serial` tells its parts from those of the next. */
export type HelloPart = {
  readonly from: Mac;
  readonly node: number;
  readonly interfaceIndex: number;
  readonly serial: number;
  readonly part: number;
  readonly parts: number;
  readonly bytes: Buffer;
};

export const HELLO_PROTOCOL = 0x88b5;
/** A group of link addresses that is ours: locally administered. */
export const HELLO_GROUP = macOf('03:53:74:6e:74:72');

const MAGIC = 0x53746e74;
const VERSION = 1;
const KIND = 2;
const ETHERNET = 14;
const HEADER = 24;
const PART_MOST = 1400;
const PARTS_MOST = 255;
const INFLATED_MOST = 1 << 20;

function macOf(text: string): Mac {
  const mac = parseMac(text);
  if (mac === undefined) throw new RangeError(`Cannot read '${text}' as a MAC`);
  return mac;
}

/** The name of a node in heartbeats: 48 bits of FNV-1a, twice. */
export function beatName(uid: string): number {
  const hash = (text: string) => {
    let sum = 0x811c9dc5;
    for (const letter of text) sum = Math.imul(sum ^ (letter.codePointAt(0) ?? 0), 0x01000193);
    return sum >>> 0;
  };
  return (hash(`a${uid}`) & 0xffffff) * 2 ** 24 + (hash(`b${uid}`) & 0xffffff);
}

/** The message as it goes out on one interface. Throws RangeError when it is too long. */
export function helloFrames(
  hello: Hello,
  from: Mac,
  { interfaceIndex, serial }: { readonly interfaceIndex: number; readonly serial: number },
): readonly Buffer[] {
  const bytes = deflateRawSync(JSON.stringify(hello));
  const parts = Math.ceil(bytes.length / PART_MOST);
  if (parts > PARTS_MOST) throw new RangeError(`Cannot say ${bytes.length} bytes in ${PARTS_MOST} frames`);
  return Array.from({ length: parts }, (_, part) => {
    const header = Buffer.alloc(HEADER);
    header.writeUInt32BE(MAGIC, 0);
    header.writeUInt8(VERSION, 4);
    header.writeUInt8(KIND, 5);
    header.writeUInt8(part, 6);
    header.writeUInt8(parts, 7);
    header.writeBigUInt64LE(BigInt(beatName(hello.uid)), 8);
    header.writeUInt32BE(interfaceIndex, 16);
    header.writeUInt32BE(serial >>> 0, 20);
    return Buffer.concat([
      ethernet(macToBytes(from), macToBytes(HELLO_GROUP), HELLO_PROTOCOL),
      header,
      bytes.subarray(part * PART_MOST, (part + 1) * PART_MOST),
    ]);
  });
}

/** Undefined: not one of ours, or of a version that we do not speak. `bytes` is a copy. */
export function helloPart(frame: Buffer): HelloPart | undefined {
  const header = frame.subarray(ETHERNET, ETHERNET + HEADER);
  if (header.length < HEADER || header.readUInt32BE(0) !== MAGIC || header.readUInt8(4) !== VERSION || header.readUInt8(5) !== KIND)
    return undefined;
  const from = parseMac(frame.toString('hex', 6, 12).replaceAll(/(..)(?=.)/g, '$1:'));
  const [part, parts] = [header.readUInt8(6), header.readUInt8(7)];
  if (from === undefined || parts === 0 || part >= parts) return undefined;
  return {
    from,
    node: Number(header.readBigUInt64LE(8)),
    interfaceIndex: header.readUInt32BE(16),
    serial: header.readUInt32BE(20),
    part,
    parts,
    bytes: Buffer.from(frame.subarray(ETHERNET + HEADER)),
  };
}

/** Undefined: it is damaged. Whoever is on the segment may have sent it. */
export function helloOf(bytes: Buffer): Hello | undefined {
  let value: unknown;
  try {
    value = JSON.parse(inflateRawSync(bytes, { maxOutputLength: INFLATED_MOST }).toString());
  } catch {
    return undefined;
  }
  return helloIn(value);
}

/** The same of what was JSON. */
export function helloIn(value: unknown): Hello | undefined {
  if (!isObject(value) || typeof value['node'] !== 'string' || typeof value['uid'] !== 'string' || typeof value['instance'] !== 'number')
    return undefined;
  const [interfaces, claims, sights, cedes] = [
    listOf(value['interfaces'], interfaceOf),
    listOf(value['claims'], claimOf),
    listOf(value['sights'] ?? [], sightOf),
    listOf(value['cedes'] ?? [], cessionOf),
  ];
  if (!interfaces || !claims || !sights || !cedes) return undefined;
  const { node, uid, instance } = value;
  return { node, uid, instance, interfaces, claims, sights, cedes, asks: value['asks'] === true };
}

type Fields = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function listOf<T>(value: unknown, read: (fields: Fields) => T | undefined): readonly T[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const rows = value.map((one: unknown) => (isObject(one) ? read(one) : undefined));
  return rows.every((one) => one !== undefined) ? rows : undefined;
}

function interfaceOf({ name, index, mac, prefixes, fault, doubt }: Fields): Hello['interfaces'][number] | undefined {
  const texts = Array.isArray(prefixes) ? prefixes.filter((one) => typeof one === 'string') : [];
  if (typeof name !== 'string' || typeof index !== 'number') return undefined;
  return {
    name,
    index,
    mac: typeof mac === 'string' ? parseMac(mac) : undefined,
    prefixes: texts,
    fault: typeof fault === 'string' ? fault : undefined,
    ...(typeof doubt === 'string' && { doubt }),
  };
}

function claimOf({ ip, epoch, level }: Fields): Claim | undefined {
  const address = typeof ip === 'string' ? parseIp(ip) : undefined;
  if (address === undefined || !Number.isSafeInteger(epoch) || !isLevel(level)) return undefined;
  return { ip: address, epoch: Number(epoch), level };
}

function sightOf({ ip, found, missing }: Fields): Sight | undefined {
  const address = typeof ip === 'string' ? parseIp(ip) : undefined;
  return address === undefined ? undefined : { ip: address, found: found === true, ...(typeof missing === 'string' && { missing }) };
}

function cessionOf({ ip, why }: Fields): Cession | undefined {
  const address = typeof ip === 'string' ? parseIp(ip) : undefined;
  return address === undefined || typeof why !== 'string' ? undefined : { ip: address, why };
}

function isLevel(level: unknown): level is Level {
  return level === 0 || level === 1 || level === 2;
}
