// SPDX-License-Identifier: Apache-2.0
// The BPF Type Format, read into a list of types whose index is the type id. Pure.
//
//   header ─▶ types:   { name_off u32, info u32 (vlen 0..15, kind 24..28, kind_flag 31), size_or_type u32, kind's own data } ...
//         └─▶ strings: NUL-terminated, at name_off
//
// Type id 0 is void. Sizes are bytes, offsets in structs are bytes (bit-fields are refused where a layout is asked for).
// Source: Linux Documentation/bpf/btf.rst, include/uapi/linux/btf.h.

import { ObjectFormatError, textAt } from './elf.ts';

export type TypeId = number;

/** `offsetBits` counts from the start of the struct; `bitSize` is 0 but for bit-fields. */
type BtfMember = { readonly name: string; readonly type: TypeId; readonly offsetBits: number; readonly bitSize: number };
export type BtfEnumerator = { readonly name: string; readonly value: number };
type BtfVariable = { readonly type: TypeId; readonly offset: number; readonly size: number };

export type BtfType =
  | { readonly kind: 'void' }
  | {
      readonly kind: 'int';
      readonly name: string;
      readonly size: number;
      readonly signed: boolean;
      readonly bool: boolean;
      readonly char: boolean;
    }
  | { readonly kind: 'pointer' | 'volatile' | 'const' | 'restrict'; readonly type: TypeId }
  | { readonly kind: 'array'; readonly element: TypeId; readonly length: number }
  | { readonly kind: 'struct' | 'union'; readonly name: string; readonly size: number; readonly members: readonly BtfMember[] }
  | { readonly kind: 'enum'; readonly name: string; readonly size: number; readonly members: readonly BtfEnumerator[] }
  | { readonly kind: 'forward'; readonly name: string }
  | { readonly kind: 'typedef' | 'typeTag'; readonly name: string; readonly type: TypeId }
  | { readonly kind: 'function'; readonly name: string; readonly type: TypeId }
  | { readonly kind: 'prototype'; readonly result: TypeId; readonly parameters: readonly TypeId[] }
  | { readonly kind: 'variable'; readonly name: string; readonly type: TypeId; readonly global: boolean }
  | { readonly kind: 'section'; readonly name: string; readonly variables: readonly BtfVariable[] }
  | { readonly kind: 'float'; readonly name: string; readonly size: number }
  | { readonly kind: 'tag'; readonly text: string; readonly type: TypeId; readonly member: number | undefined };

export type Btf = { readonly types: readonly BtfType[] };
export type BtfStruct = Extract<BtfType, { kind: 'struct' | 'union' }>;

/** Parses a .BTF section. Throws ObjectFormatError. */
export function readBtf(section: Uint8Array): Btf {
  const bytes = Buffer.from(section.buffer, section.byteOffset, section.byteLength);
  if (bytes.length < 24 || bytes.readUInt16LE(0) !== 0xeb9f)
    throw new ObjectFormatError('Cannot read the BTF section, wanted the little-endian magic 0xeb9f');
  const header = bytes.readUInt32LE(4);
  const [typesAt, typesSize, stringsAt, stringsSize] = [8, 12, 16, 20].map((at) => bytes.readUInt32LE(at)) as [
    number,
    number,
    number,
    number,
  ]; // four in, four out
  const reader = {
    bytes: bytes.subarray(header + typesAt, header + typesAt + typesSize),
    strings: bytes.subarray(header + stringsAt, header + stringsAt + stringsSize),
    at: 0,
  };
  const types: BtfType[] = [{ kind: 'void' }];
  try {
    while (reader.at < reader.bytes.length) types.push(nextType(reader));
  } catch (error) {
    if (error instanceof RangeError)
      throw new ObjectFormatError(`Cannot read BTF type ${types.length}, it points outside the section`, { cause: error });
    throw error;
  }
  return { types };
}

type Reader = { readonly bytes: Buffer; readonly strings: Buffer; at: number };

function word(reader: Reader): number {
  const value = reader.bytes.readUInt32LE(reader.at);
  reader.at += 4;
  return value;
}

function text(reader: Reader): string {
  return textAt(reader.strings, word(reader));
}

function times<T>(count: number, read: () => T): T[] {
  return Array.from({ length: count }, read);
}

/** What every type begins with: struct btf_type, its info word taken apart. */
type Head = { readonly name: string; readonly count: number; readonly flag: boolean; readonly sizeOrType: number };

/** By BTF_KIND_*: the type, its own data read from behind the head. */
const kinds: readonly ((head: Head, reader: Reader) => BtfType)[] = [
  () => ({ kind: 'void' }),
  ({ name, sizeOrType }, reader) => intOf(name, sizeOrType, word(reader)),
  ({ sizeOrType }) => ({ kind: 'pointer', type: sizeOrType }),
  (_, reader) => arrayOf(reader),
  (head, reader) => ({ kind: 'struct', name: head.name, size: head.sizeOrType, members: membersOf(head, reader) }),
  (head, reader) => ({ kind: 'union', name: head.name, size: head.sizeOrType, members: membersOf(head, reader) }),
  (head, reader) => ({
    kind: 'enum',
    name: head.name,
    size: head.sizeOrType,
    members: times(head.count, () => enumeratorOf(reader, head.flag)),
  }),
  ({ name }) => ({ kind: 'forward', name }),
  ({ name, sizeOrType }) => ({ kind: 'typedef', name, type: sizeOrType }),
  ({ sizeOrType }) => ({ kind: 'volatile', type: sizeOrType }),
  ({ sizeOrType }) => ({ kind: 'const', type: sizeOrType }),
  ({ sizeOrType }) => ({ kind: 'restrict', type: sizeOrType }),
  ({ name, sizeOrType }) => ({ kind: 'function', name, type: sizeOrType }),
  ({ count, sizeOrType }, reader) => ({ kind: 'prototype', result: sizeOrType, parameters: times(count, () => parameterOf(reader)) }),
  ({ name, sizeOrType }, reader) => ({ kind: 'variable', name, type: sizeOrType, global: word(reader) === 1 }),
  ({ name, count }, reader) => ({
    kind: 'section',
    name,
    variables: times(count, () => ({ type: word(reader), offset: word(reader), size: word(reader) })),
  }),
  ({ name, sizeOrType }) => ({ kind: 'float', name, size: sizeOrType }),
  ({ name, sizeOrType }, reader) => tagOf(name, sizeOrType, word(reader)),
  ({ name, sizeOrType }) => ({ kind: 'typeTag', name, type: sizeOrType }),
  (head, reader) => ({
    kind: 'enum',
    name: head.name,
    size: head.sizeOrType,
    members: times(head.count, () => wideEnumeratorOf(reader, head.flag)),
  }),
];

function nextType(reader: Reader): BtfType {
  const name = text(reader);
  const info = word(reader);
  const head = { name, count: info & 0xffff, flag: info >>> 31 === 1, sizeOrType: word(reader) };
  const kind = (info >>> 24) & 0x1f;
  const read = kinds[kind];
  if (!read || kind === 0) throw new ObjectFormatError(`Cannot read BTF kind ${kind} of '${name}', wanted 1 to ${kinds.length - 1}`);
  return read(head, reader);
}

/** Encoding word: bits 0..7 width, 16..23 offset, 24..27 signed 1, char 2, bool 4. */
function intOf(name: string, size: number, encoding: number): BtfType {
  const bits = (encoding >>> 24) & 0xf;
  const char = (bits & 2) !== 0 || name === 'char';
  return { kind: 'int', name, size, signed: (bits & 1) !== 0, char, bool: (bits & 4) !== 0 };
}

/** struct btf_array: element type, index type, length. */
function arrayOf(reader: Reader): BtfType {
  const element = word(reader);
  word(reader);
  return { kind: 'array', element, length: word(reader) };
}

function membersOf({ count, flag }: Head, reader: Reader): BtfMember[] {
  return times(count, () => memberOf(reader, flag));
}

/** struct btf_member; with kind_flag the offset word is bit size << 24 | bit offset. */
function memberOf(reader: Reader, flag: boolean): BtfMember {
  const name = text(reader);
  const type = word(reader);
  const offset = word(reader);
  return { name, type, offsetBits: flag ? offset & 0xffffff : offset, bitSize: flag ? offset >>> 24 : 0 };
}

function parameterOf(reader: Reader): TypeId {
  word(reader);
  return word(reader);
}

/** component_idx -1 tags the type or variable itself. */
function tagOf(name: string, type: TypeId, component: number): BtfType {
  return { kind: 'tag', text: name, type, member: component === 0xffffffff ? undefined : component };
}

function enumeratorOf(reader: Reader, signed: boolean): BtfEnumerator {
  return { name: text(reader), value: signed ? word(reader) | 0 : word(reader) };
}

function wideEnumeratorOf(reader: Reader, signed: boolean): BtfEnumerator {
  const name = text(reader);
  const low = BigInt(word(reader));
  const wide = (BigInt(word(reader)) << 32n) | low;
  return { name, value: Number(signed ? BigInt.asIntN(64, wide) : wide) };
}

/** The type with that id. Throws ObjectFormatError for an id outside the list. */
export function typeAt(btf: Btf, id: TypeId): BtfType {
  const type = btf.types[id];
  if (!type) throw new ObjectFormatError(`Cannot find BTF type ${id} of ${btf.types.length}`);
  return type;
}

/** The id behind const, volatile, restrict and type tags, and behind typedefs too unless `keepTypedefs`. */
export function plainTypeId(btf: Btf, id: TypeId, keepTypedefs = false): TypeId {
  let at = id;
  for (let step = 0; step < btf.types.length; step++) {
    const type = typeAt(btf, at);
    const wraps = type.kind === 'const' || type.kind === 'volatile' || type.kind === 'restrict' || type.kind === 'typeTag';
    if (!wraps && (keepTypedefs || type.kind !== 'typedef')) return at;
    at = type.type;
  }
  throw new ObjectFormatError(`Cannot resolve BTF type ${id}, it refers to itself`);
}

export function plainType(btf: Btf, id: TypeId): BtfType {
  return typeAt(btf, plainTypeId(btf, id));
}

/** Names of the typedefs that the type goes through, outermost first: `__be16 → __u16` gives ['__be16', '__u16']. */
export function typedefNames(btf: Btf, id: TypeId): readonly string[] {
  const at = plainTypeId(btf, id, true);
  const type = typeAt(btf, at);
  return type.kind === 'typedef' ? [type.name, ...typedefNames(btf, type.type)] : [];
}

/** Bytes that a value of the type takes. Throws ObjectFormatError for functions, sections and forward declarations. */
export function sizeOf(btf: Btf, id: TypeId): number {
  const type = plainType(btf, id);
  // oxlint-disable-next-line typescript/switch-exhaustiveness-check -- all other kinds of types have no size
  switch (type.kind) {
    case 'int':
    case 'struct':
    case 'union':
    case 'enum':
    case 'float':
      return type.size;
    case 'pointer':
      return 8;
    case 'array':
      return type.length * sizeOf(btf, type.element);
    default:
      throw new ObjectFormatError(`Cannot take the size of BTF type ${id}, a ${type.kind}`);
  }
}

/** Declaration tags on a type or variable, or on its member number `member`. */
export function tagsOf(btf: Btf, id: TypeId, member?: number): readonly string[] {
  return btf.types.flatMap((type) => (type.kind === 'tag' && type.type === id && type.member === member ? [type.text] : []));
}
