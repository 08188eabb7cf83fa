// SPDX-License-Identifier: Apache-2.0
// Messages as JSON, in the mapping that Protocol Buffers define: names of fields as declared, enums by name, 64-bit numbers as text,
// nothing for zero, times as RFC 3339 and wrappers as what they wrap. It goes by way of the wire, so that what a message is in a program
// does not matter here. https://protobuf.dev/programming-guides/json

import { decode, encode, FieldType } from './message.ts';
import type { Codec, EnumType, FieldFacts, MessageType } from './message.ts';
import { Reader, WireType, Writer } from './wire.ts';

export type Json = string | number | boolean | readonly Json[] | JsonObject;
export type JsonObject = { readonly [name: string]: Json };

export function toJson<T>(codec: Codec<T>, value: T): JsonObject {
  return objectFrom(codec, new Reader(encode(codec, value)));
}

/** JSON that is no message of the kind that was wanted. */
export class JsonError extends Error {
  override readonly name = 'JsonError';
}

/** `unknown` is told of fields that the message does not have. Throws JsonError, which says where. */
export function fromJson<T>(codec: Codec<T>, json: unknown, unknown: (path: string) => void): T {
  const writer = new Writer();
  writeObject(codec, json, { writer, path: '', unknown });
  return decode(codec, writer.taken());
}

type Special = {
  readonly to: (reader: Reader, type: MessageType) => Json;
  readonly from: (json: unknown, type: MessageType, to: Target) => void;
};

const wireTypes: Readonly<Record<FieldType, WireType>> = {
  [FieldType.DOUBLE]: WireType.FIXED64,
  [FieldType.INT64]: WireType.VARINT,
  [FieldType.UINT64]: WireType.VARINT,
  [FieldType.INT32]: WireType.VARINT,
  [FieldType.BOOL]: WireType.VARINT,
  [FieldType.STRING]: WireType.BYTES,
  [FieldType.MESSAGE]: WireType.BYTES,
  [FieldType.BYTES]: WireType.BYTES,
  [FieldType.UINT32]: WireType.VARINT,
  [FieldType.ENUM]: WireType.VARINT,
};

const SECOND = 1_000_000_000n;

/** No decimals, or three, six or nine of them. */
function timeText(seconds: bigint, nanos: number): string {
  const date = new Date(Number(seconds) * 1000);
  if (Number.isNaN(date.valueOf())) return String(seconds);
  const decimals = String(nanos)
    .padStart(9, '0')
    .replace(/(000)+$/, '');
  return `${date.toISOString().slice(0, 19)}${decimals === '' ? '' : `.${decimals}`}Z`;
}

const time: Special = {
  to(reader) {
    let [seconds, nanos] = [0n, 0];
    while (reader.at < reader.end) {
      const tag = reader.varint();
      if (tag === 8) seconds = BigInt.asIntN(64, reader.big());
      else if (tag === 16) nanos = reader.varint() | 0;
      else reader.skip(tag & 7);
    }
    return timeText(seconds, nanos);
  },
  from(json, _, target) {
    const parts =
      typeof json === 'string' ? /^(\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)$/.exec(json) : undefined;
    const milliseconds = parts ? Date.parse(`${parts[1]}${parts[3]}`) : Number.NaN;
    if (Number.isNaN(milliseconds)) throw misfit(target, json, 'a time such as 2026-01-31T15:04:05.25Z');
    const seconds = (BigInt(milliseconds) * 1_000_000n) / SECOND;
    const nanos = Number((parts?.[2] ?? '').padEnd(9, '0'));
    if (seconds !== 0n) {
      target.writer.varint(8);
      target.writer.big(seconds);
    }
    if (nanos !== 0) {
      target.writer.varint(16);
      target.writer.varint(nanos);
    }
  },
};

const wrapper: Special = {
  to(reader, type) {
    const [field] = type.fields;
    const value = objectFrom(type, reader)['value'];
    return value ?? (field?.type === FieldType.BOOL ? false : 0);
  },
  from: (json, type, target) => writeFields(type, { value: json }, target),
};

const special: Readonly<Record<string, Special>> = {
  'google.protobuf.Timestamp': time,
  'google.protobuf.BoolValue': wrapper,
  'google.protobuf.UInt32Value': wrapper,
  'google.protobuf.Int32Value': wrapper,
};

function objectFrom(type: MessageType, reader: Reader): JsonObject {
  const fields = fieldsOf(type).byNumber;
  const object: Record<string, Json> = {};
  while (reader.at < reader.end) {
    const tag = reader.varint();
    const field = fields.get(tag >>> 3);
    if (!field) reader.skip(tag & 7);
    else if (!field.repeated) object[field.name] = valueFrom(field, reader);
    else {
      const list = (object[field.name] ??= []) as Json[]; // as: it is the list that was made here for the first value
      const packed = (tag & 7) === WireType.BYTES && wireTypes[field.type] !== WireType.BYTES;
      if (packed) for (const inner = reader.inner(); inner.at < inner.end;) list.push(valueFrom(field, inner));
      else list.push(valueFrom(field, reader));
    }
  }
  return object;
}

function valueFrom({ type, of }: FieldFacts, reader: Reader): Json {
  switch (type) {
    case FieldType.DOUBLE:
      return reader.double();
    case FieldType.INT64:
      return String(BigInt.asIntN(64, reader.big()));
    case FieldType.UINT64:
      return String(reader.big());
    case FieldType.INT32:
      return reader.varint() | 0;
    case FieldType.UINT32:
      return reader.varint();
    case FieldType.BOOL:
      return reader.varint() !== 0;
    case FieldType.STRING:
      return reader.string();
    case FieldType.BYTES:
      return reader.bytes().toString('base64');
    case FieldType.ENUM: {
      const number = reader.varint() | 0;
      return namesOf(of).get(number) ?? number;
    }
    case FieldType.MESSAGE: {
      const inner = reader.inner();
      const message = messageOf(of);
      return special[message.name]?.to(inner, message) ?? objectFrom(message, inner);
    }
  }
}

const messageOf = (of: FieldFacts['of']): MessageType => (of && 'fields' in of ? of : { name: '', fields: [] });
const enumOf = (of: FieldFacts['of']): EnumType => (of && 'values' in of ? of : { name: '', values: {} });

type Lookup = { readonly byNumber: ReadonlyMap<number, FieldFacts>; readonly byName: ReadonlyMap<string, FieldFacts> };
const lookups = new WeakMap<MessageType, Lookup>();
const enumNames = new WeakMap<EnumType, ReadonlyMap<number, string>>();

/** A field is read under its name and under that name in camel case. */
function fieldsOf(type: MessageType): Lookup {
  return lookups.getOrInsertComputed(type, () => ({
    byNumber: new Map(type.fields.map((field) => [field.number, field])),
    byName: new Map(
      type.fields.flatMap((field) => [
        [field.name.replaceAll(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase()), field],
        [field.name, field],
      ]),
    ),
  }));
}

function namesOf(of: FieldFacts['of']): ReadonlyMap<number, string> {
  const type = enumOf(of);
  return enumNames.getOrInsertComputed(type, () => new Map(Object.entries(type.values).map(([name, number]) => [number, name])));
}

type Target = { readonly writer: Writer; readonly path: string; readonly unknown: (path: string) => void };

function misfit({ path }: Target, json: unknown, wanted: string): JsonError {
  const said = JSON.stringify(json) ?? String(json);
  return new JsonError(`${path === '' ? 'message' : path} is ${said.length > 60 ? `${said.slice(0, 60)}…` : said}, wanted ${wanted}`);
}

function writeObject(type: MessageType, json: unknown, target: Target): void {
  const known = special[type.name];
  if (known) return known.from(json, type, target);
  if (typeof json !== 'object' || json === null || Array.isArray(json)) throw misfit(target, json, 'an object');
  writeFields(type, json, target);
}

function writeFields(type: MessageType, object: object, target: Target): void {
  const { byName } = fieldsOf(type);
  for (const [name, value] of Object.entries(object)) {
    const path = target.path === '' ? name : `${target.path}.${name}`;
    const field = byName.get(name);
    if (!field) target.unknown(path);
    else if (value === null) continue;
    else if (!field.repeated) writeValue(field, value, { ...target, path });
    else if (!Array.isArray(value)) throw misfit({ ...target, path }, value, 'a list');
    else for (const [i, one] of value.entries()) writeValue(field, one, { ...target, path: `${path}[${i}]` });
  }
}

function writeValue(field: FieldFacts, json: unknown, target: Target): void {
  const { writer } = target;
  writer.varint(field.number * 8 + wireTypes[field.type]);
  switch (field.type) {
    case FieldType.DOUBLE:
      return writer.double(numberIn(json, target, 'a number'));
    case FieldType.INT64:
    case FieldType.UINT64:
      return writer.big(bigIn(json, target));
    case FieldType.INT32:
      return writer.signed(wholeIn(json, target, [-0x8000_0000, 0x7fff_ffff]));
    case FieldType.UINT32:
      return writer.varint(wholeIn(json, target, [0, 0xffff_ffff]));
    case FieldType.BOOL:
      if (typeof json !== 'boolean') throw misfit(target, json, 'true or false');
      return writer.varint(json ? 1 : 0);
    case FieldType.STRING:
      return writer.string(textIn(json, target, 'a text'));
    case FieldType.BYTES:
      return writer.bytes(Buffer.from(textIn(json, target, 'bytes in base 64'), 'base64'));
    case FieldType.ENUM:
      return writer.signed(choiceIn(json, enumOf(field.of), target));
    case FieldType.MESSAGE: {
      const start = writer.open();
      writeObject(messageOf(field.of), json, target);
      return writer.close(start);
    }
  }
}

function textIn(json: unknown, target: Target, wanted: string): string {
  if (typeof json !== 'string') throw misfit(target, json, wanted);
  return json;
}

function numberIn(json: unknown, target: Target, wanted: string): number {
  const number = typeof json === 'string' && json.trim() !== '' ? Number(json) : json;
  if (typeof number !== 'number' || Number.isNaN(number)) throw misfit(target, json, wanted);
  return number;
}

function wholeIn(json: unknown, target: Target, [least, most]: readonly [number, number]): number {
  const wanted = `a whole number from ${least} to ${most}`;
  const number = numberIn(json, target, wanted);
  if (!Number.isInteger(number) || number < least || number > most) throw misfit(target, json, wanted);
  return number;
}

function bigIn(json: unknown, target: Target): bigint {
  if (typeof json === 'string' && /^-?\d{1,20}$/.test(json)) return BigInt(json);
  return BigInt(wholeIn(json, target, [-Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER]));
}

function choiceIn(json: unknown, { values }: EnumType, target: Target): number {
  if (typeof json === 'number') return wholeIn(json, target, [-0x8000_0000, 0x7fff_ffff]);
  const name = textIn(json, target, 'the name of one of a set');
  const found = Object.hasOwn(values, name) ? values[name] : undefined;
  if (found === undefined) throw misfit(target, json, `one of ${Object.keys(values).slice(0, 12).join(', ')}`);
  return found;
}
