// SPDX-License-Identifier: Apache-2.0
// Messages of Protocol Buffers 3 as plain objects. A message is declared once, field for field; from that come its codec, and what
// reflection tells of it (descriptors.ts). The compiler checks that no property of the type was forgotten.
//
//   const point = message<Point>('geo.Point', { x: int32(1), label: string(2), tags: strings(3) })
//
// A property `podName` is the field `pod_name`; where Hubble spells it otherwise, `named()` says so.

import { Reader, WireError, Writer } from './wire.ts';

/** Numbers that a descriptor has for types. */
export const FieldType = {
  DOUBLE: 1,
  INT64: 3,
  UINT64: 4,
  INT32: 5,
  BOOL: 8,
  STRING: 9,
  MESSAGE: 11,
  BYTES: 12,
  UINT32: 13,
  ENUM: 14,
} as const;
export type FieldType = (typeof FieldType)[keyof typeof FieldType];

export type EnumType = { readonly name: string; readonly values: Readonly<Record<string, number>> };

/** A field as a descriptor has it. */
export type FieldFacts = {
  readonly number: number;
  readonly type: FieldType;
  readonly of?: MessageType | EnumType | undefined;
  readonly repeated: boolean;
  readonly name: string;
  readonly oneof?: string | undefined;
};

export type MessageType = { readonly name: string; readonly fields: readonly FieldFacts[] };

/** Fields that are wanted, by name: all of it, or some of what is in it. */
export type Mask = ReadonlyMap<string, Mask | true>;

export type Field<T> = {
  facts(property: string): readonly FieldFacts[];
  write(writer: Writer, value: T): void;
  /** What is there after `reader` was read, when `before` was there. */
  read(reader: Reader, facts: { readonly number: number; readonly wire: number; readonly before: T | undefined }): T;
  /** The same of which only that much is written. Absent: there is nothing in it that could be left out. */
  only?(mask: Mask): Field<T>;
};

export type Codec<T> = MessageType & {
  write(writer: Writer, value: T): void;
  /** Throws WireError. */
  readFrom(reader: Reader): T;
  /** What need not be written where it is a field. Default: nothing. */
  isZero?(value: T): boolean;
  /** The same of which only that much is written. */
  only?(mask: Mask): Codec<T>;
};

/** Every property of the type has its field. */
type Fields<T> = { readonly [P in keyof T]-?: Field<NonNullable<T[P]>> };

type Slot = { readonly property: string; readonly field: Field<unknown> };

/** `defaults`: what is there for fields that are not on the wire. */
export function message<T extends object>(name: string, fields: Fields<T>, defaults: Partial<T> = {}): Codec<T> {
  const slots: readonly Slot[] = Object.entries<Field<unknown>>(fields)
    .map(([property, field]) => ({ property, field, first: field.facts(property)[0]?.number ?? 0 }))
    .toSorted((a, b) => a.first - b.first);
  return messageOf(name, slots, defaults);
}

function messageOf<T extends object>(name: string, slots: readonly Slot[], defaults: Partial<T>): Codec<T> {
  const facts = slots.flatMap(({ property, field }) => field.facts(property));
  const byNumber = new Map(slots.flatMap((slot) => slot.field.facts(slot.property).map((fact) => [fact.number, { ...slot, fact }])));
  return {
    name,
    fields: facts,
    write(writer, value) {
      const values = value as Readonly<Record<string, unknown>>; // as: each property has its field
      for (const { property, field } of slots) {
        const one = values[property];
        if (one !== undefined) field.write(writer, one);
      }
    },
    readFrom(reader) {
      const values: Record<string, unknown> = { ...defaults };
      while (reader.at < reader.end) {
        const tag = reader.varint();
        const [number, wire] = [tag >>> 3, tag & 7];
        const slot = byNumber.get(number);
        if (!slot) reader.skip(wire);
        else
          try {
            values[slot.property] = slot.field.read(reader, { number, wire, before: values[slot.property] });
          } catch (error) {
            throw error instanceof WireError ? error.within(slot.fact.name) : error;
          }
      }
      return values as T; // as: `Fields<T>` has a field of the right type for each property
    },
    only: (mask) =>
      messageOf(
        name,
        slots.flatMap((slot) => masked(slot, mask)),
        defaults,
      ),
  };
}

function masked({ property, field }: Slot, mask: Mask): readonly Slot[] {
  const names = field.facts(property).map(({ name }) => name);
  const wanted = new Map([...mask].filter(([name]) => names.includes(name)));
  if (wanted.size === 0) return [];
  const [inner] = wanted.values();
  if (names.length > 1) return [{ property, field: field.only?.(wanted) ?? field }]; // alternatives
  return [{ property, field: inner === true || inner === undefined ? field : (field.only?.(inner) ?? field) }];
}

/** Of paths like 'source.pod_name'. A path that is part of another has all of it. */
export function maskOf(paths: readonly string[]): Mask {
  const mask = new Map<string, Mask | true>();
  for (const path of paths) {
    const dot = path.indexOf('.');
    if (dot < 0) mask.set(path, true);
  }
  for (const first of new Set(paths.map((path) => path.split('.', 1)[0] ?? '')))
    if (!mask.has(first))
      mask.set(first, maskOf(paths.filter((path) => path.startsWith(`${first}.`)).map((path) => path.slice(first.length + 1))));
  return mask;
}

const writer = new Writer();

export function encode<T>(codec: Codec<T>, value: T): Buffer {
  codec.write(writer, value);
  return writer.taken();
}

/** Throws WireError, which says where. */
export const decode = <T>(codec: Codec<T>, bytes: Buffer): T => codec.readFrom(new Reader(bytes));

/** Messages one after another, as gRPC frames them. */
export function framed<T>(codec: Codec<T>, values: readonly T[]): Buffer {
  for (const value of values) {
    const start = writer.openFrame();
    codec.write(writer, value);
    writer.closeFrame(start);
  }
  return writer.taken();
}
