// SPDX-License-Identifier: Apache-2.0
// Header fields of HTTP/2 (RFC 7541) of one direction of a connection. A sender names fields that it sent before by how long ago that
// was. Whoever overheard only a part knows the newest of them all the same: what was missed is forgotten together with all before it, and
// fields of before have no name and no value.

import { huffmanText } from './huffman.ts';

/** Undefined: it was sent at a time of which nothing is known. */
export type HeaderField = { readonly name: string | undefined; readonly value: string | undefined };

export type HeaderFields = {
  readonly fields: readonly HeaderField[];
  /** All of the block could be read. */
  readonly whole: boolean;
};

export type Hpack = {
  /** Reads a block as far as it goes. Undefined for what is none. */
  read(block: Buffer): HeaderFields | undefined;
  /** Something was missed. */
  forget(): void;
};

/** Of names, values and 32 for each field, as the standard counts: more than that is not remembered, whatever the sides agreed on. */
const MOST_REMEMBERED = 4096;
const OVERHEAD = 32;

// prettier-ignore
const known: readonly HeaderField[] = [
  [':authority'], [':method', 'GET'], [':method', 'POST'], [':path', '/'], [':path', '/index.html'], [':scheme', 'http'], [':scheme', 'https'],
  [':status', '200'], [':status', '204'], [':status', '206'], [':status', '304'], [':status', '400'], [':status', '404'], [':status', '500'],
  ['accept-charset'], ['accept-encoding', 'gzip, deflate'], ['accept-language'], ['accept-ranges'], ['accept'], ['access-control-allow-origin'],
  ['age'], ['allow'], ['authorization'], ['cache-control'], ['content-disposition'], ['content-encoding'], ['content-language'],
  ['content-length'], ['content-location'], ['content-range'], ['content-type'], ['cookie'], ['date'], ['etag'], ['expect'], ['expires'],
  ['from'], ['host'], ['if-match'], ['if-modified-since'], ['if-none-match'], ['if-range'], ['if-unmodified-since'], ['last-modified'],
  ['link'], ['location'], ['max-forwards'], ['proxy-authenticate'], ['proxy-authorization'], ['range'], ['referer'], ['refresh'],
  ['retry-after'], ['server'], ['set-cookie'], ['strict-transport-security'], ['transfer-encoding'], ['user-agent'], ['vary'], ['via'],
  ['www-authenticate'],
].map(([name, value = '']) => ({ name, value }));

const unknown: HeaderField = { name: undefined, value: undefined };

export function hpack(): Hpack {
  const table = remembered();
  return {
    forget: table.forget,
    read(block) {
      const cursor = cursorOf(block);
      const fields: HeaderField[] = [];
      try {
        while (!cursor.atEnd()) {
          const field = nextField(cursor, table);
          if (field) fields.push(field);
        }
      } catch (error) {
        if (error instanceof Cut) return { fields, whole: false };
        if (error instanceof Unreadable) return undefined;
        throw error;
      }
      return { fields, whole: true };
    },
  };
}

type Remembered = ReturnType<typeof remembered>;

function remembered() {
  const recent: HeaderField[] = []; // the newest is the last
  let [size, most] = [0, MOST_REMEMBERED];
  const sizeOf = ({ name = '', value = '' }: HeaderField): number => name.length + value.length + OVERHEAD;
  const shrink = () => {
    while (size > most) size -= sizeOf(recent.shift() ?? unknown);
  };
  return {
    at: (index: number): HeaderField => known[index - 1] ?? recent[recent.length - 1 - (index - known.length - 1)] ?? unknown,
    add(field: HeaderField) {
      recent.push(field);
      size += sizeOf(field);
      shrink();
    },
    limit(bytes: number) {
      most = Math.min(bytes, MOST_REMEMBERED);
      shrink();
    },
    forget() {
      recent.length = size = 0;
      most = MOST_REMEMBERED;
    },
  };
}

/** Undefined for what says how much is to be remembered. */
function nextField(cursor: Cursor, table: Remembered): HeaderField | undefined {
  const first = cursor.peek();
  if (first >= 0x80) {
    const index = cursor.integer(7);
    if (index === 0) throw new Unreadable();
    return table.at(index);
  }
  if (first >= 0x20 && first < 0x40) {
    table.limit(cursor.integer(5));
    return undefined;
  }
  const isNew = first >= 0x40;
  const index = cursor.integer(isNew ? 6 : 4);
  const name = index === 0 ? cursor.text() : table.at(index).name;
  const field = { name, value: cursor.text() };
  if (isNew) table.add(field);
  return field;
}

class Unreadable extends Error {}
class Cut extends Error {}

type Cursor = ReturnType<typeof cursorOf>;

function cursorOf(bytes: Buffer) {
  let at = 0;
  const byte = (): number => {
    const found = bytes[at++];
    if (found === undefined) throw new Cut();
    return found;
  };
  const integer = (bits: number): number => {
    const mask = 2 ** bits - 1;
    let value = byte() & mask;
    if (value < mask) return value;
    for (let scale = 1; ; scale *= 128) {
      if (scale > 2 ** 21) throw new Unreadable(); // no length and no index is that large
      const more = byte();
      value += (more & 0x7f) * scale;
      if (more < 0x80) return value;
    }
  };
  return {
    atEnd: () => at >= bytes.length,
    peek: (): number => bytes[at] ?? 0,
    integer,
    text(): string {
      const isCoded = (bytes[at] ?? 0) >= 0x80;
      const length = integer(7);
      if (at + length > bytes.length) throw new Cut();
      const content = bytes.subarray(at, at + length);
      at += length;
      const text = isCoded ? huffmanText(content) : content.toString('latin1');
      if (text === undefined) throw new Unreadable();
      return text;
    },
  };
}
