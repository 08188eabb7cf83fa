// SPDX-License-Identifier: Apache-2.0
// What a DNS message says (RFC 1035), as far as it was kept. Whoever sends it may want to harm us: nothing is read beyond the bytes that
// there are, a name ends, and what makes no sense is undefined rather than an error.

import { ipFromWire } from '../base/ip.ts';
import type { Ip } from '../base/ip.ts';

export type DnsMessage = {
  readonly id: number;
  readonly response: boolean;
  readonly rcode: number;
  /** The name in the question, with the dot at its end. */
  readonly name: string;
  readonly type: string;
  readonly answers: readonly DnsAnswer[];
};

export type DnsAnswer = {
  readonly type: string;
  /** Seconds. */
  readonly ttl: number;
  readonly address?: Ip;
  /** Of a CNAME. */
  readonly target?: string;
};

const HEADER = 12;
const LONGEST_NAME = 255;
const MOST_ANSWERS = 64;

/** Undefined for what is no message with one question. Answers end where the bytes do. */
export function dnsMessage(bytes: Buffer): DnsMessage | undefined {
  if (bytes.length < HEADER || bytes.readUInt16BE(4) !== 1) return undefined;
  const [flags, count] = [bytes.readUInt16BE(2), bytes.readUInt16BE(6)];
  const opcode = (flags >> 11) & 15;
  const question = nameAt(bytes, HEADER);
  if (opcode !== 0 || !question || question.end + 4 > bytes.length) return undefined;
  const response = (flags & 0x8000) !== 0;
  return {
    id: bytes.readUInt16BE(0),
    response,
    rcode: flags & 15,
    name: question.name,
    type: typeName(bytes.readUInt16BE(question.end)),
    answers: response ? answersAt(bytes, question.end + 4, Math.min(count, MOST_ANSWERS)) : [],
  };
}

function answersAt(bytes: Buffer, start: number, count: number): readonly DnsAnswer[] {
  const answers: DnsAnswer[] = [];
  for (let at = start; answers.length < count;) {
    const owner = nameAt(bytes, at);
    if (!owner || owner.end + 10 > bytes.length) break;
    const [type, ttl, length] = [bytes.readUInt16BE(owner.end), bytes.readUInt32BE(owner.end + 4), bytes.readUInt16BE(owner.end + 8)];
    const data = owner.end + 10;
    at = data + length;
    if (at > bytes.length) break;
    answers.push({ type: typeName(type), ttl, ...contentOf(bytes, type, data, at) });
  }
  return answers;
}

const A = 1;
const CNAME = 5;
const AAAA = 28;

function contentOf(bytes: Buffer, type: number, start: number, end: number): Pick<DnsAnswer, 'address' | 'target'> {
  if ((type === A && end - start === 4) || (type === AAAA && end - start === 16))
    return { address: ipFromWire(bytes.subarray(start, end)) };
  const target = type === CNAME ? nameAt(bytes, start)?.name : undefined;
  return target === undefined ? {} : { target };
}

/** The name at `start` with a dot at its end, and where what follows it begins. A pointer leads to what was before it, so each does so but once. */
function nameAt(bytes: Buffer, start: number): { readonly name: string; readonly end: number } | undefined {
  let [at, first, length, name] = [start, start, 0, ''];
  let end: number | undefined;
  for (;;) {
    const size = bytes[at];
    if (size === undefined) return undefined;
    if (size >= 0xc0) {
      const low = bytes[at + 1];
      if (low === undefined) return undefined;
      end ??= at + 2;
      at = ((size & 0x3f) << 8) | low;
      if (at >= first) return undefined;
      first = at;
      continue;
    }
    length += size + 1;
    if (size > 63 || length > LONGEST_NAME || at + 1 + size > bytes.length) return undefined;
    if (size === 0) return { name: name === '' ? '.' : name, end: end ?? at + 1 };
    name += `${labelText(bytes, at + 1, at + 1 + size)}.`;
    at += 1 + size;
  }
}

/** What could be taken for something else is written as in zone files: '\.' and '\007'. */
function labelText(bytes: Buffer, start: number, end: number): string {
  const text = bytes.toString('latin1', start, end);
  if (/^[\w-]*$/.test(text)) return text.toLowerCase();
  return text
    .toLowerCase()
    .replace(/[.\\"();@$]/g, String.raw`\$&`)
    .replace(/[^!-~]/g, (odd) => `\\${String(odd.charCodeAt(0)).padStart(3, '0')}`);
}

const types: Readonly<Record<number, string>> = {
  1: 'A',
  2: 'NS',
  5: 'CNAME',
  6: 'SOA',
  12: 'PTR',
  15: 'MX',
  16: 'TXT',
  28: 'AAAA',
  33: 'SRV',
  35: 'NAPTR',
  39: 'DNAME',
  41: 'OPT',
  43: 'DS',
  46: 'RRSIG',
  47: 'NSEC',
  48: 'DNSKEY',
  50: 'NSEC3',
  52: 'TLSA',
  64: 'SVCB',
  65: 'HTTPS',
  255: 'ANY',
  257: 'CAA',
};

function typeName(type: number): string {
  return types[type] ?? `TYPE${type}`;
}
