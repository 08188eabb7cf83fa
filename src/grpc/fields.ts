// SPDX-License-Identifier: Apache-2.0
// The kinds of field that messages have, each made with its number: `string(1)`, `uint32s(20)`, `nested(6, layer4)`.

import { FieldType } from './message.ts';
import type { Codec, EnumType, Field, MessageType } from './message.ts';
import { WireError, WireType } from './wire.ts';
import type { Reader, Writer } from './wire.ts';

/** How a value is written and read, without its tag. */
type Kind<T> = {
  readonly type: FieldType;
  readonly wire: WireType;
  write(writer: Writer, value: T): void;
  read(reader: Reader): T;
  isZero(value: T): boolean;
  readonly of?: MessageType | EnumType;
};

const snake = (property: string): string => property.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
const tagOf = (number: number, wire: WireType): number => number * 8 + wire;

function single<T>(number: number, kind: Kind<T>): Field<T> {
  const tag = tagOf(number, kind.wire);
  return {
    facts: (property) => [{ number, type: kind.type, of: kind.of, repeated: false, name: snake(property) }],
    write(writer, value) {
      if (kind.isZero(value)) return;
      writer.varint(tag);
      kind.write(writer, value);
    },
    read: (reader, { wire }) => kind.read(wanted(reader, wire, kind.wire)),
  };
}

function many<T>(number: number, kind: Kind<T>): Field<readonly T[]> {
  const packs = kind.wire !== WireType.BYTES;
  const tag = tagOf(number, WireType.BYTES);
  return {
    facts: (property) => [{ number, type: kind.type, of: kind.of, repeated: true, name: snake(property) }],
    write(writer, values) {
      if (packs && values.length > 0) {
        writer.varint(tag);
        const start = writer.open();
        for (const value of values) kind.write(writer, value);
        writer.close(start);
      } else
        for (const value of values) {
          writer.varint(tag);
          kind.write(writer, value);
        }
    },
    read(reader, { wire, before }) {
      const values = (before as T[] | undefined) ?? []; // as: it is the array that was made here for the first value
      if (packs && wire === WireType.BYTES) for (const packed = reader.inner(); packed.at < packed.end;) values.push(kind.read(packed));
      else values.push(kind.read(wanted(reader, wire, kind.wire)));
      return values;
    },
  };
}

function wanted(reader: Reader, wire: number, kind: WireType): Reader {
  if (wire !== kind) throw new WireError(`has wire type ${wire}, wanted ${kind}`);
  return reader;
}

const isZero = (value: number): boolean => value === 0;
const isEmpty = (value: { readonly length: number }): boolean => value.length === 0;
const { VARINT, FIXED64, BYTES } = WireType;

const stringKind: Kind<string> = {
  type: FieldType.STRING,
  wire: BYTES,
  write: (writer, value) => writer.string(value),
  read: (reader) => reader.string(),
  isZero: isEmpty,
};
const bytesKind: Kind<Uint8Array> = {
  type: FieldType.BYTES,
  wire: BYTES,
  write: (writer, value) => writer.bytes(value),
  read: (reader) => Uint8Array.from(reader.bytes()),
  isZero: isEmpty,
};
const boolKind: Kind<boolean> = {
  type: FieldType.BOOL,
  wire: VARINT,
  write: (writer, value) => writer.varint(value ? 1 : 0),
  read: (reader) => reader.varint() !== 0,
  isZero: (value) => !value,
};
const uint32Kind: Kind<number> = {
  type: FieldType.UINT32,
  wire: VARINT,
  write: (writer, value) => writer.varint(value),
  read: (reader) => reader.varint(),
  isZero,
};
const int32Kind: Kind<number> = {
  type: FieldType.INT32,
  wire: VARINT,
  write: (writer, value) => writer.signed(value),
  read: (reader) => reader.varint() | 0,
  isZero,
};
const uint64Kind: Kind<bigint> = {
  type: FieldType.UINT64,
  wire: VARINT,
  write: (writer, value) => writer.big(value),
  read: (reader) => reader.big(),
  isZero: (value) => value === 0n,
};
const int64Kind: Kind<bigint> = { ...uint64Kind, type: FieldType.INT64, read: (reader) => BigInt.asIntN(64, reader.big()) };
/** A uint64 that counts: what is beyond the safe integers is as good as all of them. */
const countKind: Kind<number> = {
  type: FieldType.UINT64,
  wire: VARINT,
  write: (writer, value) => writer.varint(value),
  read: (reader) => Math.min(Number(reader.big()), Number.MAX_SAFE_INTEGER),
  isZero,
};
const doubleKind: Kind<number> = {
  type: FieldType.DOUBLE,
  wire: FIXED64,
  write: (writer, value) => writer.double(value),
  read: (reader) => reader.double(),
  isZero,
};
const enumKind = <E extends number>(of: EnumType): Kind<E> => ({
  type: FieldType.ENUM,
  wire: VARINT,
  write: (writer, value) => writer.signed(value),
  read: (reader) => (reader.varint() | 0) as E, // as: a number from elsewhere may be newer than the set; whoever prints it says the number
  isZero,
  of,
});
const messageKind = <T>(codec: Codec<T>): Kind<T> => ({
  type: FieldType.MESSAGE,
  wire: BYTES,
  write(writer, value) {
    const start = writer.open();
    codec.write(writer, value);
    writer.close(start);
  },
  read: (reader) => codec.readFrom(reader.inner()),
  isZero: codec.isZero ?? (() => false),
  of: codec,
});

export const string = (number: number): Field<string> => single(number, stringKind);
export const strings = (number: number): Field<readonly string[]> => many(number, stringKind);
export const bytes = (number: number): Field<Uint8Array> => single(number, bytesKind);
export const manyBytes = (number: number): Field<readonly Uint8Array[]> => many(number, bytesKind);
export const bool = (number: number): Field<boolean> => single(number, boolKind);
export const bools = (number: number): Field<readonly boolean[]> => many(number, boolKind);
export const uint32 = (number: number): Field<number> => single(number, uint32Kind);
export const uint32s = (number: number): Field<readonly number[]> => many(number, uint32Kind);
export const int32 = (number: number): Field<number> => single(number, int32Kind);
/** An int32 whose zero is another than its absence, as in messages of proto2. */
export const present = (number: number): Field<number> => single(number, { ...int32Kind, isZero: () => false });
export const uint64 = (number: number): Field<bigint> => single(number, uint64Kind);
export const uint64s = (number: number): Field<readonly bigint[]> => many(number, uint64Kind);
export const int64 = (number: number): Field<bigint> => single(number, int64Kind);
export const count = (number: number): Field<number> => single(number, countKind);
export const double = (number: number): Field<number> => single(number, doubleKind);
export const choice = <E extends number>(number: number, of: EnumType): Field<E> => single(number, enumKind<E>(of));
export const choices = <E extends number>(number: number, of: EnumType): Field<readonly E[]> => many(number, enumKind<E>(of));
export const nested = <T>(number: number, codec: Codec<T>): Field<T> => ({
  ...single(number, messageKind(codec)),
  only: (mask) => nested(number, codec.only?.(mask) ?? codec),
});
export const manyNested = <T>(number: number, codec: Codec<T>): Field<readonly T[]> => ({
  ...many(number, messageKind(codec)),
  only: (mask) => manyNested(number, codec.only?.(mask) ?? codec),
});

/** `field` under another name than its property's. */
export const named = <T>(name: string, field: Field<T>): Field<T> => ({
  ...field,
  facts: () => field.facts(name).map((facts) => ({ ...facts, name })),
  only: (mask) => named(name, field.only?.(mask) ?? field),
});

/** `field` as one of several of which a message has one: `group` is what a descriptor calls them. */
export const oneOf = <T>(group: string, field: Field<T>): Field<T> => ({
  ...field,
  facts: (property) => field.facts(property).map((facts) => ({ ...facts, oneof: group })),
  only: (mask) => oneOf(group, field.only?.(mask) ?? field),
});

type Tagged = { readonly kind: string };
type Alternatives<T extends Tagged> = {
  readonly [K in T['kind']]: readonly [number: number, codec: Codec<Omit<Extract<T, { kind: K }>, 'kind'>>];
};

/** One of several fields, as a union with a `kind`: the name of the field that is there. */
export const alternatives = <T extends Tagged>(of: Alternatives<T>): Field<T> =>
  alternativesOf(
    Object.entries<readonly [number, Codec<unknown>]>(of).map(([kind, [number, codec]]) => ({
      kind,
      number,
      codec,
      name: /^[a-z]/.test(kind) ? snake(kind) : kind,
    })),
  );

type Alternative = { readonly kind: string; readonly name: string; readonly number: number; readonly codec: Codec<unknown> };

function alternativesOf<T extends Tagged>(list: readonly Alternative[]): Field<T> {
  const byKind = new Map(list.map((one) => [one.kind, { ...messageKind(one.codec), tag: tagOf(one.number, BYTES) }]));
  const byNumber = new Map(list.map((one) => [one.number, one]));
  return {
    facts: (property) =>
      list.map(({ name, number, codec }) => ({ number, type: FieldType.MESSAGE, of: codec, repeated: false, name, oneof: property })),
    write(writer, value) {
      const kind = byKind.get(value.kind);
      if (!kind) return;
      writer.varint(kind.tag);
      kind.write(writer, value);
    },
    read(reader, { number, wire }) {
      const { kind, codec } = byNumber.get(number) ?? { kind: '', codec: undefined };
      const value = codec?.readFrom(wanted(reader, wire, BYTES).inner());
      return { kind, ...(value as object) } as unknown as T; // as: `Alternatives` has the codec of each kind
    },
    only: (mask) =>
      alternativesOf(
        list.flatMap((one) => {
          const inner = mask.get(one.name);
          if (inner === undefined) return [];
          return [inner === true ? one : { ...one, codec: one.codec.only?.(inner) ?? one.codec }];
        }),
      ),
  };
}
