// SPDX-License-Identifier: Apache-2.0
// Messages of google.protobuf that are something simpler in a program: a time is a number of nanoseconds, a wrapper a value that
// may be absent; and messages that are a set of flags, which are bits of a number.

import { bool, bytes, int32, int64, named, nested, alternatives, string, strings, uint32 } from './fields.ts';
import { message } from './message.ts';
import type { Codec, Field } from './message.ts';

const SECOND = 1_000_000_000n;

/** What is `Wire` in the message and `T` in the program. */
const mapped = <T, Wire>(codec: Codec<Wire>, to: (value: T) => Wire, from: (wire: Wire) => T): Codec<T> => ({
  name: codec.name,
  fields: codec.fields,
  write: (writer, value) => codec.write(writer, to(value)),
  readFrom: (reader) => from(codec.readFrom(reader)),
  only: (mask) => mapped(codec.only?.(mask) ?? codec, to, from),
});

type Parts = { seconds?: bigint; nanos?: number };

const time = mapped<bigint, Parts>(
  message<Parts>('google.protobuf.Timestamp', { seconds: int64(1), nanos: int32(2) }),
  (value) => {
    const nanos = ((value % SECOND) + SECOND) % SECOND;
    return { seconds: (value - nanos) / SECOND, nanos: Number(nanos) };
  },
  ({ seconds = 0n, nanos = 0 }) => seconds * SECOND + BigInt(nanos),
);

/** Nanoseconds since the Unix epoch, as google.protobuf.Timestamp. */
export const timestamp = (number: number): Field<bigint> => nested(number, time);

type Value<T> = { value?: T };

/** A field whose zero is another than its absence. */
const wrapped = <T>(number: number, codec: Codec<Value<T>>, zero: T): Field<T> =>
  nested(
    number,
    mapped<T, Value<T>>(
      codec,
      (value) => ({ value }),
      ({ value = zero }) => value,
    ),
  );

const boolMessage = message<Value<boolean>>('google.protobuf.BoolValue', { value: bool(1) });
const uint32Message = message<Value<number>>('google.protobuf.UInt32Value', { value: uint32(1) });
const int32Message = message<Value<number>>('google.protobuf.Int32Value', { value: int32(1) });

export const boolValue = (number: number): Field<boolean> => wrapped(number, boolMessage, false);
export const uint32Value = (number: number): Field<number> => wrapped(number, uint32Message, 0);
export const int32Value = (number: number): Field<number> => wrapped(number, int32Message, 0);

export const anyMessage = message<{ typeUrl?: string | undefined; value?: Uint8Array | undefined }>('google.protobuf.Any', {
  typeUrl: string(1),
  value: bytes(2),
});

/** Paths of the fields that are wanted. */
export const fieldMask = (number: number): Field<readonly string[]> =>
  nested(
    number,
    mapped<readonly string[], { paths?: readonly string[] }>(
      message('google.protobuf.FieldMask', { paths: strings(1) }),
      (paths) => ({ paths }),
      ({ paths = [] }) => paths,
    ),
  );

/** A message of bools only, as a number: its first field is bit 0. */
export function bits(name: string, flags: readonly string[]): Codec<number> {
  const codec = message<Record<string, boolean>>(name, Object.fromEntries(flags.map((flag, bit) => [flag, named(flag, bool(bit + 1))])));
  return {
    name,
    fields: codec.fields,
    write(writer, value) {
      for (let bit = 0; bit < flags.length; bit++)
        if (value & (1 << bit)) {
          writer.varint((bit + 1) * 8);
          writer.byte(1);
        }
    },
    readFrom(reader) {
      const set = codec.readFrom(reader);
      return flags.reduce((value, flag, bit) => (set[flag] ? value | (1 << bit) : value), 0);
    },
    isZero: (value) => value === 0,
  };
}

type Tagged = { readonly kind: string };

/** A message that is nothing but a alternatives, as the union itself. What is none of its kinds reads as undefined. */
export function union<T extends Tagged>(name: string, property: string, kinds: Parameters<typeof alternatives<T>>[0]): Codec<T> {
  const field = alternatives<T>(kinds);
  return mapped<T, { one?: T }>(
    message<{ one?: T }>(name, { one: { ...field, facts: () => field.facts(property) } }),
    (one) => ({ one }),
    ({ one }) => one as T, // as: undefined is what an unknown alternative is, and its field is optional
  );
}
