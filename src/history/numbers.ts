// SPDX-License-Identifier: Apache-2.0
// A column of numbers as bytes: what all have in common is written once, the rest in as few bytes as the largest needs, all lowest
// bytes first and then all second ones. Such planes compress well: the high ones hardly change.
//
//   [ how ][ base ][ width ][ byte 0 of every row ][ byte 1 of every row ] …      how: values, or steps from one to the next
//
// Numbers are safe integers, 0 to 2^53 - 1. The first step is from zero to the first value: it stands in front.

import { FormatError, varint } from './bytes.ts';
import type { ByteReader } from './bytes.ts';

export type Numbers = Float64Array | Uint32Array;

/** 'steps' is for what grows: times. */
export type How = 'values' | 'steps';

const HOWS: readonly How[] = ['values', 'steps'];
const MAX_WIDTH = 7;
const HIGH = 2 ** 32;

export function numberBytes(values: Numbers, how: How): Buffer {
  const first = how === 'steps' ? [varint(values[0] ?? 0)] : [];
  const rest = how === 'steps' ? steps(values) : values;
  const { base, largest } = rangeOf(rest);
  const width = widthOf(largest - base);
  return Buffer.concat([Buffer.from([HOWS.indexOf(how)]), ...first, signed(base), Buffer.from([width]), planes(rest, base, width)]);
}

/** `rows` of them. Throws FormatError. */
export function numbersFrom(reader: ByteReader, rows: number): Numbers {
  const how = HOWS[reader.byte()];
  if (how === undefined) throw new FormatError('A column is neither of values nor of steps');
  const first = how === 'steps' ? reader.varint() : 0;
  const base = signedFrom(reader);
  const width = reader.byte();
  if (width > MAX_WIDTH) throw new FormatError(`A number has ${width} bytes, wanted at most ${MAX_WIDTH}`);
  const count = how === 'steps' ? Math.max(0, rows - 1) : rows;
  const bytes = reader.take(count * width);
  const values = how === 'steps' ? summed(bytes, { first, base, width, rows }) : unplaned(bytes, { base, width, count });
  if (values instanceof Float64Array) assertSafe(values);
  return values;
}

function assertSafe(values: Float64Array): void {
  for (let i = 0; i < values.length; i++) {
    const value = values[i] ?? 0;
    if (!(value >= 0 && value <= Number.MAX_SAFE_INTEGER)) throw new FormatError(`A column has ${value}`);
  }
}

function steps(values: Numbers): Float64Array {
  const found = new Float64Array(Math.max(0, values.length - 1));
  for (let i = 0; i < found.length; i++) found[i] = (values[i + 1] ?? 0) - (values[i] ?? 0);
  return found;
}

function rangeOf(values: Numbers): { readonly base: number; readonly largest: number } {
  let base = values[0] ?? 0;
  let largest = base;
  for (let i = 0; i < values.length; i++) {
    const value = values[i] ?? 0;
    if (value < base) base = value;
    if (value > largest) largest = value;
  }
  return { base, largest };
}

function widthOf(largest: number): number {
  let width = 0;
  for (let rest = largest; rest >= 1; rest = Math.floor(rest / 256)) width++;
  return width;
}

/** Magnitude and sign: twice as much, and one more if it is below zero. */
function signed(value: number): Buffer {
  return Buffer.concat([Buffer.from([value < 0 ? 1 : 0]), varint(Math.abs(value))]);
}

function signedFrom(reader: ByteReader): number {
  const negative = reader.byte();
  const value = reader.varint();
  return negative === 1 ? -value : value;
}

function planes(values: Numbers, base: number, width: number): Buffer {
  const rows = values.length;
  const bytes = Buffer.alloc(rows * width);
  for (let i = 0; i < rows; i++) {
    const value = (values[i] ?? 0) - base;
    const high = Math.floor(value / HIGH);
    const low = value >>> 0;
    for (let plane = 0; plane < width; plane++) bytes[plane * rows + i] = plane < 4 ? low >>> (8 * plane) : high >>> (8 * (plane - 4));
  }
  return bytes;
}

type Planes = { readonly base: number; readonly width: number; readonly count: number };

function unplaned(bytes: Buffer, { base, width, count }: Planes): Numbers {
  const small = base >= 0 && base + 256 ** width <= HIGH;
  return small ? smallFrom(bytes, { base, width, count }) : largeFrom(bytes, { base, width, count });
}

function smallFrom(bytes: Buffer, { base, width, count }: Planes): Uint32Array {
  const values = new Uint32Array(count).fill(base);
  for (let plane = 0; plane < width; plane++)
    for (let i = 0, at = plane * count; i < count; i++, at++) values[i] = (values[i] ?? 0) + ((bytes[at] ?? 0) << (8 * plane));
  return values;
}

function largeFrom(bytes: Buffer, { base, width, count }: Planes): Float64Array {
  const values = new Float64Array(count).fill(base);
  for (let plane = 0, unit = 1; plane < width; plane++, unit *= 256)
    for (let i = 0, at = plane * count; i < count; i++, at++) values[i] = (values[i] ?? 0) + (bytes[at] ?? 0) * unit;
  return values;
}

type Summed = { readonly first: number; readonly base: number; readonly width: number; readonly rows: number };

function summed(bytes: Buffer, { first, base, width, rows }: Summed): Float64Array {
  const values = new Float64Array(rows);
  const found = unplaned(bytes, { base, width, count: Math.max(0, rows - 1) });
  let value = first;
  for (let i = 0; i < rows; i++) {
    if (i > 0) value += found[i - 1] ?? 0;
    values[i] = value;
  }
  return values;
}
