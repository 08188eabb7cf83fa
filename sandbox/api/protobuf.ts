// SPDX-License-Identifier: Apache-2.0
// Reads application/vnd.kubernetes.protobuf, in which kubectl (1.32 and later) sends what its typed commands create:
// `create deployment`, `auth can-i`, `drain`, … Answers are always JSON. Field numbers come from the shapes (shapes.ts).
//
//   "k8s\0"  Unknown { 1: TypeMeta { 1: apiVersion, 2: kind }  2: the object  3: encoding  4: content type }
//   object   tag = number << 3 | wire type (0 varint, 1 64 bits, 2 length and bytes, 5 32 bits)
import { badRequest, unsupportedMediaType } from './api-error.ts';
import type { Json } from './json.ts';
import { rootShape } from './shapes.ts';
import type { FieldType, Shape } from './shapes.ts';

export const PROTOBUF = 'application/vnd.kubernetes.protobuf';

const MAGIC = Buffer.from('k8s\0');

type Field = { readonly number: number; readonly value: bigint; readonly bytes: Buffer };

const EMPTY = Buffer.alloc(0);

const varintAt = (buffer: Buffer, start: number): { readonly value: bigint; readonly next: number } => {
  let value = 0n;
  for (let next = start, shift = 0n; next < buffer.length && shift < 70n; next += 1, shift += 7n) {
    const byte = buffer[next] ?? 0;
    value |= BigInt(byte & 0x7f) << shift;
    if (byte < 0x80) return { value, next: next + 1 };
  }
  throw badRequest('the protobuf body ends inside a number');
};

const fieldsIn = (buffer: Buffer): readonly Field[] => {
  const fields: Field[] = [];
  let at = 0;
  while (at < buffer.length) {
    const tag = varintAt(buffer, at);
    const number = Number(tag.value >> 3n);
    const wire = Number(tag.value & 7n);
    if (wire === 0) {
      const { value, next } = varintAt(buffer, tag.next);
      fields.push({ number, value, bytes: EMPTY });
      at = next;
      continue;
    }
    const length = wire === 2 ? varintAt(buffer, tag.next) : { value: wire === 1 ? 8n : 4n, next: tag.next };
    const end = length.next + Number(length.value);
    if ((wire !== 1 && wire !== 2 && wire !== 5) || end > buffer.length) throw badRequest('the protobuf body is cut or no protobuf');
    fields.push({ number, value: 0n, bytes: buffer.subarray(length.next, end) });
    at = end;
  }
  return fields;
};

const signed = (value: bigint): number => Number(BigInt.asIntN(64, value));
const numberIn = (fields: readonly Field[], number: number): number => signed(fields.find((field) => field.number === number)?.value ?? 0n);
const textIn = (fields: readonly Field[], number: number): string =>
  fields.find((field) => field.number === number)?.bytes.toString() ?? '';

/** Time and MicroTime: { 1: seconds, 2: nanoseconds }; an empty one is the zero time, which JSON leaves out. */
const timeOf = (bytes: Buffer): string | undefined => {
  const fields = fieldsIn(bytes);
  if (fields.length === 0) return undefined;
  const [seconds, nanos] = [numberIn(fields, 1), numberIn(fields, 2)];
  if (seconds <= 0) return undefined;
  const whole = new Date(seconds * 1000).toISOString().slice(0, 19);
  return nanos === 0 ? `${whole}Z` : `${whole}.${String(Math.floor(nanos / 1000)).padStart(6, '0')}Z`;
};

const scalarOf = (name: string, { value, bytes }: Field): Json => {
  switch (name) {
    case 'string':
      return bytes.toString();
    case 'int':
      return signed(value);
    case 'bool':
      return value !== 0n;
    case 'bytes':
      return bytes.toString('base64');
    case 'time':
      return timeOf(bytes);
    case 'quantity':
      return textIn(fieldsIn(bytes), 1);
    case 'intstr': {
      const fields = fieldsIn(bytes);
      return numberIn(fields, 1) === 1 ? textIn(fields, 3) : numberIn(fields, 2);
    }
    default:
      throw undecodable('a field whose type the server does not know');
  }
};

const undecodable = (what: string): Error => {
  const error = unsupportedMediaType(['application/json', 'application/yaml']);
  error.message = `${error.message} (this protobuf body has ${what})`;
  return error;
};

const zeroOf = (type: FieldType): Field | undefined => (type.kind === 'scalar' ? { number: 0, value: 0n, bytes: EMPTY } : undefined);

/** Fields without presence: their zero is on the wire, and JSON leaves it out (as it does with every empty string). */
const WRITTEN_WHEN_UNSET = new Set([
  'nodePort',
  'healthCheckNodePort',
  'hostPort',
  'targetPort',
  'minReadySeconds',
  'generation',
  'publishNotReadyAddresses',
  'paused',
  'globalDefault',
  'hostNetwork',
  'hostPID',
  'hostIPC',
  'stdin',
  'stdinOnce',
  'tty',
  'readOnly',
  'unschedulable',
  'number',
]);
const isZero = (value: Json): boolean => value === 0 || value === false;

const valueOf = (type: FieldType, field: Field): Json => {
  if (type.kind === 'scalar') return scalarOf(type.name, field);
  if (type.kind === 'shape') return messageOf(type, field.bytes);
  throw undecodable('a list inside a list');
};

const messageOf = (shape: Shape, bytes: Buffer): Json => {
  const result: Record<string, Json> = {};
  for (const field of fieldsIn(bytes)) {
    const name = shape.numbers.get(field.number);
    if (typeof name === 'object') {
      Object.assign(result, messageOf(name, field.bytes));
      continue;
    }
    const type = name === undefined ? undefined : shape.fields.get(name);
    if (name === undefined || !type) throw undecodable(`field ${field.number} of ${shape.name}, which the server does not know`);
    if (name === 'status') continue; // typed clients always send one; no request can set it here
    if (type.kind === 'list') (result[name] ??= []).push(valueOf(type.of, field));
    else if (type.kind === 'mapOf') {
      const entry = fieldsIn(field.bytes);
      const value = entry.find(({ number }) => number === 2) ?? zeroOf(type.value);
      (result[name] ??= {})[textIn(entry, 1)] = value && valueOf(type.value, value);
    } else {
      const value = valueOf(type, field);
      if (value !== undefined && value !== '' && !(isZero(value) && WRITTEN_WHEN_UNSET.has(name))) result[name] = value;
    }
  }
  return result;
};

/** The object as JSON. ApiError 400 for a broken body, 415 for a kind or field that the table does not know. */
export const decodedProtobuf = (body: Buffer): Json => {
  if (!body.subarray(0, 4).equals(MAGIC)) throw badRequest('the body does not begin as application/vnd.kubernetes.protobuf');
  const envelope = fieldsIn(body.subarray(4));
  const meta = fieldsIn(envelope.find(({ number }) => number === 1)?.bytes ?? EMPTY);
  const [apiVersion, kind] = [textIn(meta, 1), textIn(meta, 2)];
  const shape = rootShape(kind);
  if (!shape) throw undecodable(`the kind ${kind}`);
  return { apiVersion, kind, ...messageOf(shape, envelope.find(({ number }) => number === 2)?.bytes ?? EMPTY) };
};
