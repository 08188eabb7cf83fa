// SPDX-License-Identifier: Apache-2.0
// A block in a file: a header that says what is in it, and its sections, each compressed by itself. Checksums tell what is whole.
//
//   [ STB1 ][ header bytes ][ body bytes ][ CRC-32 of the three before and the header ][ header ][ dictionary ][ index ] …
//   header: [ length ][ JSON ][ bloom ]

import { setImmediate } from 'node:timers/promises';
import { promisify } from 'node:util';
import { crc32, zstdCompress, zstdDecompress } from 'node:zlib';
import { messageOf } from '../base/errors.ts';
import { sectionNames, sectionsOf } from './block.ts';
import type { SectionName } from './block.ts';
import { ByteReader, FormatError, sized } from './bytes.ts';
import type { Rows } from './rows.ts';
import { summaryOf } from './summary.ts';
import type { Summary } from './summary.ts';
import { textOf, valueOf } from './text.ts';

export type Header = {
  /** Which block it is, or will be part of: one more than that of the block before. */
  readonly block: number;
  readonly summary: Summary;
  readonly sections: readonly Section[];
};

type Section = { readonly packed: number; readonly raw: number; readonly crc: number };

export type Packed = { readonly bytes: Buffer; readonly header: Header; readonly headerLength: number };

export const PREFIX = 16;
const MAGIC = Buffer.from('STB1');
const MAX_HEADER = 1024 * 1024;
const MAX_BODY = 256 * 1024 * 1024;
const MAX_ROWS = 1024 * 1024;

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);

/** On the threads of libuv what is long, and one section to a turn of the loop. `part`: these rows are not yet all of the block. */
export async function packed(rows: Rows, block: number, part = false): Promise<Packed> {
  const bodies: Buffer[] = [];
  const sections: Section[] = [];
  for (const [, raw] of sectionsOf(rows)) {
    const bytes = await compress(raw);
    bodies.push(bytes);
    sections.push({ packed: bytes.length, raw: raw.length, crc: crc32(bytes) });
  }
  const header: Header = { block, summary: summaryOf(rows, !part), sections };
  await setImmediate();
  const head = headerBytes(header);
  const prefix = Buffer.concat([MAGIC, Buffer.alloc(PREFIX - MAGIC.length)]);
  prefix.writeUInt32LE(head.length, 4);
  prefix.writeUInt32LE(
    bodies.reduce((sum, { length }) => sum + length, 0),
    8,
  );
  prefix.writeUInt32LE(crc32(head, crc32(prefix.subarray(0, 12))), 12);
  return { bytes: Buffer.concat([prefix, head, ...bodies]), header, headerLength: head.length };
}

function headerBytes({ block, summary: { bloom, ...summary }, sections }: Header): Buffer {
  return Buffer.concat([...sized(Buffer.from(textOf({ block, summary, sections }))), bloom]);
}

export type Prefix = { readonly headerLength: number; readonly bodyLength: number; readonly crc: number };

/** Undefined when no block begins there. */
export function prefixOf(bytes: Buffer): Prefix | undefined {
  if (bytes.length < PREFIX || !bytes.subarray(0, MAGIC.length).equals(MAGIC)) return undefined;
  const [headerLength, bodyLength, crc] = [bytes.readUInt32LE(4), bytes.readUInt32LE(8), bytes.readUInt32LE(12)];
  return headerLength <= MAX_HEADER && bodyLength <= MAX_BODY ? { headerLength, bodyLength, crc } : undefined;
}

/** `bytes`: prefix and header. Throws FormatError. */
export function headerFrom(bytes: Buffer): Header {
  const head = bytes.subarray(PREFIX);
  if (crc32(head, crc32(bytes.subarray(0, 12))) !== prefixOf(bytes)?.crc) throw new FormatError('The checksum of a header is another');
  const reader = new ByteReader(head);
  const { block, summary, sections } = valueOf(reader.sized().toString()) as Header; // as: with that checksum we wrote it
  if (sections.length !== sectionNames.length || summary.count > MAX_ROWS) throw new FormatError('A block is none of this version');
  return { block, summary: { ...summary, bloom: reader.take(reader.left) }, sections };
}

/** Where a section is in the body. */
export function placeOfSection({ sections }: Header, name: SectionName): readonly [start: number, end: number] {
  const index = sectionNames.indexOf(name);
  const start = sections.slice(0, index).reduce((sum, one) => sum + one.packed, 0);
  return [start, start + (sections[index]?.packed ?? 0)];
}

/** Throws FormatError. */
export async function unpacked({ sections }: Header, name: SectionName, bytes: Buffer): Promise<Buffer> {
  const section = sections[sectionNames.indexOf(name)];
  if (section === undefined || crc32(bytes) !== section.crc) throw new FormatError(`The checksum of section ${name} is another`);
  try {
    return await decompress(bytes, { maxOutputLength: Math.max(1, section.raw) });
  } catch (cause) {
    throw new FormatError(`Section ${name} cannot be unpacked: ${messageOf(cause)}`, { cause });
  }
}
