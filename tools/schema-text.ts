// SPDX-License-Identifier: Apache-2.0
// The text of schema.gen.ts. Layout becomes straight-line code: one read or write for each field, at a fixed offset.
//
//   C                                      row                         rule
//   __u8..__u32, __s8..__s64               number                      host order
//   __be16, __be32                         number, host order          by the typedef's name
//   __u64                                  number (up to 2^53)         bigint where typedef or field name says cookie or hash
//   bool                                   boolean
//   enum, or integer tagged 'enum NAME'    union of the enum's values  of any size: C enums with attribute packed take one byte
//   enum *_flag                            number                      any of its values or'ed together
//   struct address (16 bytes)              Ip                          IPv4 is ::ffff:a.b.c.d in the kernel
//   __u8 [6], struct mac (6 bytes)         Mac
//   char [N]                               string                      NUL-terminated
//   __u8 [N]                               Uint8Array
//   T [N]                                  readonly T[]
//   struct                                 its own row
//   pad*, gaps, struct bpf_*               not in the row              written as zero

import type { Field, IntegerLayout, Layout, StructLayout } from '../src/kernel/layout.ts';
import { camelCase, codecName, isPadding, pascalCase } from './schema-names.ts';

/** How one value appears on both sides. `at` and `value` are TypeScript expressions. */
type Access = {
  readonly type: string;
  readonly read: (at: string) => string;
  readonly write: (value: string, at: string) => string;
  /** A codec for the value alone, where there is one. */
  readonly codec: string | undefined;
};

/** The access to a value; `field` is the C name it goes by, '' when it stands alone. Throws Error for what has no rule. */
export function accessOf(layout: Layout, field = ''): Access {
  if (isAddress(layout)) return simple('Ip', 'ipFromBytes', 'writeIp', 'ipCodec');
  if (isMac(layout)) return simple('Mac', 'macFromBytes', 'writeMac', 'macCodec');
  switch (layout.kind) {
    case 'integer':
      return integerAccess(layout, field);
    case 'enum': {
      const carrier = integerAccess(
        plain(
          layout.size,
          layout.members.some((member) => member.value < 0),
        ),
        '',
      );
      if (/_flags?$/.test(layout.name)) return carrier;
      const type = pascalCase(layout.name);
      return { ...carrier, type, read: (at) => `${carrier.read(at)} as ${type}`, codec: `${carrier.codec} as Codec<${type}>` };
    }
    case 'struct': {
      const codec = codecName(layout.name);
      return {
        type: pascalCase(layout.name),
        read: (at) => `${codec}.decode(buffer, ${at})`,
        write: (value, at) => `${codec}.encodeInto(${value}, buffer, ${at})`,
        codec,
      };
    }
    case 'array':
      return arrayAccess(layout.element, layout.length, field);
    case 'opaque':
      throw new Error(`Cannot describe a value of struct ${layout.name}, wanted it inside a struct`);
  }
}

function simple(type: string, read: string, write: string, codec: string): Access {
  return { type, read: (at) => `${read}(buffer, ${at})`, write: (value, at) => `${write}(${value}, buffer, ${at})`, codec };
}

function isAddress(layout: Layout): boolean {
  return layout.kind === 'struct' && layout.name === 'address' && layout.size === 16;
}

function isMac(layout: Layout): boolean {
  if (layout.kind === 'struct') return layout.name === 'mac' && layout.size === 6;
  return layout.kind === 'array' && layout.length === 6 && isByte(layout.element);
}

function isByte(layout: Layout): boolean {
  return layout.kind === 'integer' && layout.size === 1 && !layout.char && !layout.bool && !layout.signed;
}

function plain(size: number, signed: boolean): IntegerLayout {
  return { kind: 'integer', size, signed, bool: false, char: false, bigEndian: false, typedef: '' };
}

function integerAccess(layout: IntegerLayout, field: string): Access {
  const bits = layout.size * 8;
  if (layout.bool)
    return {
      type: 'boolean',
      read: (at) => `buffer.readUInt8(${at}) !== 0`,
      write: (value, at) => `buffer.writeUInt8(${value} ? 1 : 0, ${at})`,
      codec: 'boolCodec',
    };
  if (layout.size === 8) return wideAccess(layout, field);
  const suffix = layout.size === 1 ? '' : layout.bigEndian ? 'BE' : 'LE';
  const name = `${layout.signed ? 'Int' : 'UInt'}${bits}${suffix}`;
  const codec = layout.bigEndian ? `be${bits}Codec` : `${layout.signed ? 's' : 'u'}${bits}Codec`;
  return { type: 'number', read: (at) => `buffer.read${name}(${at})`, write: (value, at) => `buffer.write${name}(${value}, ${at})`, codec };
}

function wideAccess(layout: IntegerLayout, field: string): Access {
  const order = layout.bigEndian ? 'BE' : 'LE';
  if (layout.bigEndian || layout.signed || /cookie|hash/.test(layout.typedef) || /cookie|hash/.test(field)) {
    const name = `Big${layout.signed ? 'Int' : 'UInt'}64${order}`;
    const codec = layout.bigEndian || layout.signed ? undefined : 'id64Codec';
    return {
      type: 'bigint',
      read: (at) => `buffer.read${name}(${at})`,
      write: (value, at) => `buffer.write${name}(${value}, ${at})`,
      codec,
    };
  }
  return simple('number', 'readU64', 'writeU64', 'u64Codec');
}

function arrayAccess(element: Layout, length: number, field: string): Access {
  if (element.kind === 'integer' && element.char) {
    return {
      type: 'string',
      read: (at) => `readText(buffer, ${at}, ${length})`,
      write: (value, at) => `writeText(${value}, buffer, { offset: ${at}, length: ${length} })`,
      codec: undefined,
    };
  }
  if (isByte(element)) {
    return {
      type: 'Uint8Array',
      read: (at) => `readBytes(buffer, ${at}, ${length})`,
      write: (value, at) => `writeBytes(${value}, buffer, { offset: ${at}, length: ${length} })`,
      codec: undefined,
    };
  }
  const each = accessOf(element, field);
  const place = (at: string): string => (element.size === 1 ? `${at} + index` : `${at} + index * ${element.size}`);
  return {
    type: `readonly ${each.type.includes(' ') ? `(${each.type})` : each.type}[]`,
    read: (at) => `readArray(${length}, (index) => ${each.read(place(at))})`,
    write: (value, at) => `writeArray(${value}, ${length}, (value, index) => { ${each.write('value', place(at))}; })`,
    codec: undefined,
  };
}

/** Whether a struct has a row and a codec of its own. */
export function hasRow(layout: Layout): layout is StructLayout {
  return layout.kind === 'struct' && !isAddress(layout) && !isMac(layout);
}

/** A row type and its codec. `kinds` narrows the field `kind` of an event. */
export function structText(struct: StructLayout, kind: string | undefined): string {
  const fields = struct.fields.filter((field) => !isPadding(field.name) && field.layout.kind !== 'opaque');
  const accesses = fields.map((field) => ({ field, name: camelCase(field.name), access: accessOf(field.layout, field.name) }));
  const type = pascalCase(struct.name);
  const codec = codecName(struct.name);
  const narrowed = (name: string, access: Access): string => (kind !== undefined && name === 'kind' ? kind : access.type);
  const rows = accesses.map(({ name, access }) => `readonly ${name}: ${narrowed(name, access)};`);
  const reads = accesses.map(
    ({ field, name, access }) => `${name}: ${narrowRead(access.read(place(field.offset)), narrowed(name, access), access.type)},`,
  );
  const writes = accesses.map(({ field, name, access }) => `${access.write(`row.${name}`, place(field.offset))};`);
  const gaps = gapsOf(struct, fields).map(([from, to]) => `buffer.fill(0, ${place(from)}, ${place(to)});`);
  return [
    `/** struct ${struct.name}, ${struct.size} bytes. */`,
    `export type ${type} = { ${rows.join('\n')} };`,
    `export const ${codec}: Codec<${type}> = {`,
    `size: ${struct.size},`,
    `encode(row) { const buffer = Buffer.alloc(${struct.size}); ${codec}.encodeInto(row, buffer, 0); return buffer; },`,
    `encodeInto(row, buffer, offset) { ${[...writes, ...gaps].join('\n')} },`,
    `decode(buffer, offset = 0) { return { ${reads.join('\n')} }; },`,
    '};',
  ].join('\n');
}

function narrowRead(read: string, narrowed: string, type: string): string {
  return narrowed === type ? read : read.replace(/ as \w+$/, ` as ${narrowed}`);
}

function place(offset: number): string {
  return offset === 0 ? 'offset' : `offset + ${offset}`;
}

/** Byte ranges that no field of the row covers. */
function gapsOf(struct: StructLayout, fields: readonly Field[]): [number, number][] {
  const ends = [0, ...fields.map((field) => field.offset + field.layout.size)];
  const starts = [...fields.map((field) => field.offset), struct.size];
  return ends.flatMap((end, index): [number, number][] => {
    const start = starts[index] ?? end;
    return start > end ? [[end, start]] : [];
  });
}
