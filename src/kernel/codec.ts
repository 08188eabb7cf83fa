// SPDX-License-Identifier: Apache-2.0
// What the generated schema is made of: the shape of a codec, codecs of single values, and the few reads and writes Buffer lacks.
// What is marked public is there for the generator to pick from, whether or not the schema of the day needs it.
// Numbers are in host order on this side, whatever order the kernel keeps them in.

import { ipFromBytes, macFromBytes, macToBytes, writeIp } from '../base/ip.ts';
import type { Ip, Mac } from '../base/ip.ts';

/** Turns rows into the kernel's bytes and back. Both directions throw RangeError for values or buffers that do not fit. */
export type Codec<Row> = {
  /** Bytes. */
  readonly size: number;
  readonly encode: (row: Row) => Buffer;
  readonly encodeInto: (row: Row, buffer: Buffer, offset: number) => void;
  /** Copies what it keeps: the row stays valid when the buffer is used again. */
  readonly decode: (buffer: Buffer, offset?: number) => Row;
};

/** Any codec, where rows are not looked at. */
type AnyCodec = {
  readonly size: number;
  readonly encode: (row: never) => Buffer;
  readonly encodeInto: (row: never, buffer: Buffer, offset: number) => void;
  readonly decode: (buffer: Buffer, offset?: number) => unknown;
};

/** A map as its C definition has it. */
export type MapSchema = {
  readonly name: string;
  /** As bpftool prints it, for example 'lru_hash'. */
  readonly type: string;
  /** Bytes; of one CPU's value in a per-CPU map. */
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  /** BPF_F_*. */
  readonly flags: number;
  /** Changes when a pinned map of the other definition can no longer be used. Its size does not count. */
  readonly hash: string;
  readonly key: AnyCodec | undefined;
  readonly value: AnyCodec | undefined;
};

/** One knob. `places` says where it lies in each object that has it. */
export type ConfigSchema<ObjectName extends string> = {
  readonly name: string;
  readonly description: string;
  readonly codec: AnyCodec;
  readonly places: { readonly [name in ObjectName]?: { readonly section: string; readonly offset: number } };
};

/** Bytes to write over an object's section before it is loaded. */
export type ConfigPatch = { readonly section: string; readonly offset: number; readonly bytes: Buffer };

/** The patches that give `object` these values. A knob that the object does not have is left out. Throws TypeError for an unknown knob. */
export function configPatches<ObjectName extends string>(
  variables: { readonly [name: string]: ConfigSchema<ObjectName> },
  values: { readonly [name: string]: unknown },
  object: ObjectName,
): ConfigPatch[] {
  return Object.entries(values).flatMap(([name, value]) => {
    const variable = variables[name];
    if (!variable) throw new TypeError(`Cannot set the knob '${name}', wanted one of ${Object.keys(variables).join(', ')}`);
    const place = variable.places[object];
    if (!place || value === undefined) return [];
    return [{ section: place.section, offset: place.offset, bytes: variable.codec.encode(value as never) }]; // typed by Config at the generated entry point
  });
}

function codec<Row>(
  size: number,
  decode: (buffer: Buffer, offset: number) => Row,
  encodeInto: (row: Row, buffer: Buffer, offset: number) => void,
): Codec<Row> {
  const encode = (row: Row): Buffer => {
    const buffer = Buffer.alloc(size);
    encodeInto(row, buffer, 0);
    return buffer;
  };
  return { size, encode, encodeInto, decode: (buffer, offset = 0) => decode(buffer, offset) };
}

/** @public */
export const u8Codec = codec<number>(
  1,
  (buffer, at) => buffer.readUInt8(at),
  (row, buffer, at) => buffer.writeUInt8(row, at),
);
/** @public */
export const u16Codec = codec<number>(
  2,
  (buffer, at) => buffer.readUInt16LE(at),
  (row, buffer, at) => buffer.writeUInt16LE(row, at),
);
/** @public */
export const u32Codec = codec<number>(
  4,
  (buffer, at) => buffer.readUInt32LE(at),
  (row, buffer, at) => buffer.writeUInt32LE(row, at),
);
/** @public */
export const u64Codec = codec<number>(8, readU64, (row, buffer, at) => writeU64(row, buffer, at));
/** @public */
export const s8Codec = codec<number>(
  1,
  (buffer, at) => buffer.readInt8(at),
  (row, buffer, at) => buffer.writeInt8(row, at),
);
/** @public */
export const s16Codec = codec<number>(
  2,
  (buffer, at) => buffer.readInt16LE(at),
  (row, buffer, at) => buffer.writeInt16LE(row, at),
);
/** @public */
export const s32Codec = codec<number>(
  4,
  (buffer, at) => buffer.readInt32LE(at),
  (row, buffer, at) => buffer.writeInt32LE(row, at),
);
/** @public */
export const be16Codec = codec<number>(
  2,
  (buffer, at) => buffer.readUInt16BE(at),
  (row, buffer, at) => buffer.writeUInt16BE(row, at),
);
/** @public */
export const be32Codec = codec<number>(
  4,
  (buffer, at) => buffer.readUInt32BE(at),
  (row, buffer, at) => buffer.writeUInt32BE(row, at),
);
/** @public */
export const id64Codec = codec<bigint>(
  8,
  (buffer, at) => buffer.readBigUInt64LE(at),
  (row, buffer, at) => buffer.writeBigUInt64LE(row, at),
);
/** @public */
export const boolCodec = codec<boolean>(
  1,
  (buffer, at) => buffer.readUInt8(at) !== 0,
  (row, buffer, at) => buffer.writeUInt8(row ? 1 : 0, at),
);
/** @public */
export const ipCodec = codec<Ip>(16, ipFromBytes, writeIp);
/** @public */
export const macCodec = codec<Mac>(6, macFromBytes, writeMac);

/** Exact up to 2^53 - 1: as nanoseconds since boot, 104 days; beyond that rounded to 2 ns and more. @public */
export function readU64(buffer: Buffer, offset: number): number {
  return buffer.readUInt32LE(offset) + buffer.readUInt32LE(offset + 4) * 0x1_0000_0000;
}

/** @public */
export function writeU64(value: number, buffer: Buffer, offset: number): void {
  if (!Number.isSafeInteger(value) || value < 0)
    throw new RangeError(`Cannot encode ${value} in 64 bits, wanted an integer from 0 to 2^53 - 1`);
  buffer.writeUInt32LE(value % 0x1_0000_0000, offset);
  buffer.writeUInt32LE(Math.floor(value / 0x1_0000_0000), offset + 4);
}

/** @public */
export { writeIp };

/** @public */
export function writeMac(value: Mac, buffer: Buffer, offset: number): void {
  buffer.set(macToBytes(value), offset);
}

function checkEnd(buffer: Buffer, end: number): void {
  if (end > buffer.length) throw new RangeError(`Cannot decode ${buffer.length} bytes, wanted at least ${end}`);
}

/** A copy of `length` bytes. @public */
export function readBytes(buffer: Buffer, offset: number, length: number): Uint8Array {
  checkEnd(buffer, offset + length);
  return new Uint8Array(buffer.subarray(offset, offset + length));
}

/** Throws RangeError unless `value` has exactly `length` bytes. @public */
export function writeBytes(
  value: Uint8Array,
  buffer: Buffer,
  { offset, length }: { readonly offset: number; readonly length: number },
): void {
  if (value.length !== length) throw new RangeError(`Cannot encode ${value.length} bytes, wanted exactly ${length}`);
  buffer.set(value, offset);
}

/** The text of a `char [length]` up to its first NUL. @public */
export function readText(buffer: Buffer, offset: number, length: number): string {
  checkEnd(buffer, offset + length);
  const end = buffer.indexOf(0, offset);
  return buffer.toString('utf8', offset, end < 0 || end > offset + length ? offset + length : end);
}

/** Fills the rest with NULs, and keeps at least one. Throws RangeError for text that is too long. @public */
export function writeText(value: string, buffer: Buffer, { offset, length }: { readonly offset: number; readonly length: number }): void {
  const bytes = Buffer.from(value, 'utf8');
  if (bytes.length >= length) throw new RangeError(`Cannot encode '${value}', wanted at most ${length - 1} bytes of UTF-8`);
  buffer.fill(0, offset, offset + length).set(bytes, offset);
}

/** @public */
export function readArray<T>(length: number, read: (index: number) => T): readonly T[] {
  return Array.from({ length }, (_, index) => read(index));
}

/** Throws RangeError unless there are exactly `length` values. @public */
export function writeArray<T>(values: readonly T[], length: number, write: (value: T, index: number) => void): void {
  if (values.length !== length) throw new RangeError(`Cannot encode ${values.length} values, wanted exactly ${length}`);
  values.forEach(write);
}
