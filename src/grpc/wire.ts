// SPDX-License-Identifier: Apache-2.0
// Protocol Buffers as bytes: varints, lengths and strings. What they mean, message.ts says.

/** Bytes that are no message of the kind that was wanted; `path` is where, from the outside in. */
export class WireError extends Error {
  override readonly name = 'WireError';
  readonly path: readonly string[];
  readonly what: string;
  constructor(what: string, path: readonly string[] = []) {
    super(path.length > 0 ? `${path.join('.')}: ${what}` : what);
    this.what = what;
    this.path = path;
  }
  within(name: string): WireError {
    return new WireError(this.what, [name, ...this.path]);
  }
}

export const WireType = { VARINT: 0, FIXED64: 1, BYTES: 2, FIXED32: 5 } as const;
export type WireType = (typeof WireType)[keyof typeof WireType];

const TWO_32 = 4_294_967_296;
const SHORT = 48;

/** Grows as it is written to, and is used again and again: what `taken` returns is a copy. */
export class Writer {
  #bytes: Buffer;
  #at = 0;
  constructor(size = 4096) {
    this.#bytes = Buffer.allocUnsafeSlow(size);
  }
  get length(): number {
    return this.#at;
  }
  /** Everything that was written since the last time. */
  taken(): Buffer {
    const copy = Buffer.from(this.#bytes.subarray(0, this.#at));
    this.#at = 0;
    return copy;
  }
  #room(bytes: number): void {
    if (this.#at + bytes <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(this.#bytes.length * 2, this.#at + bytes));
    this.#bytes.copy(larger, 0, 0, this.#at);
    this.#bytes = larger;
  }
  byte(value: number): void {
    this.#room(1);
    this.#bytes[this.#at++] = value;
  }
  /** Of a whole number that is not negative and below 2^53. */
  varint(value: number): void {
    this.#room(10);
    let rest = value;
    while (rest >= TWO_32 / 2) {
      this.#bytes[this.#at++] = (rest % 128) | 128;
      rest = Math.floor(rest / 128);
    }
    while (rest > 127) {
      this.#bytes[this.#at++] = (rest & 127) | 128;
      rest >>>= 7;
    }
    this.#bytes[this.#at++] = rest;
  }
  /** Of a number that may be negative: two's complement of 64 bits, as int32, int64 and enums have it. */
  signed(value: number): void {
    if (value >= 0) this.varint(value);
    else this.big(BigInt(value));
  }
  big(value: bigint): void {
    let rest = BigInt.asUintN(64, value);
    if (rest <= 0x1fffffffffffffn) return this.varint(Number(rest));
    this.#room(10);
    for (; rest > 127n; rest >>= 7n) this.#bytes[this.#at++] = Number(rest & 127n) | 128;
    this.#bytes[this.#at++] = Number(rest);
  }
  double(value: number): void {
    this.#room(8);
    this.#at = this.#bytes.writeDoubleLE(value, this.#at);
  }
  fixed32(value: number): void {
    this.#room(4);
    this.#at = this.#bytes.writeUInt32BE(value, this.#at);
  }
  bytes(value: Uint8Array): void {
    this.varint(value.length);
    this.raw(value);
  }
  raw(value: Uint8Array): void {
    this.#room(value.length);
    this.#bytes.set(value, this.#at);
    this.#at += value.length;
  }
  string(value: string): void {
    if (value.length <= SHORT && this.#ascii(value)) return;
    const start = this.open();
    this.#room(value.length * 3);
    this.#at += this.#bytes.write(value, this.#at, 'utf8');
    this.close(start);
  }
  /** A call into native code costs more than a loop over a short name. */
  #ascii(value: string): boolean {
    this.#room(value.length + 1);
    const bytes = this.#bytes;
    let at = this.#at;
    bytes[at++] = value.length;
    for (let index = 0; index < value.length; index++) {
      const code = value.charCodeAt(index);
      if (code > 127) return false;
      bytes[at++] = code;
    }
    this.#at = at;
    return true;
  }
  /** Begins what has its length in front: one byte is left for it, as most are short. */
  open(): number {
    this.byte(0);
    return this.#at;
  }
  close(start: number): void {
    const length = this.#at - start;
    if (length < 128) {
      this.#bytes[start - 1] = length;
      return;
    }
    let more = 0;
    for (let rest = length; rest > 127; rest = Math.floor(rest / 128)) more++;
    this.#room(more);
    this.#bytes.copyWithin(start + more, start, this.#at);
    this.#at = start - 1;
    this.varint(length);
    this.#at += length;
  }
  /** Begins a message as gRPC frames it: not compressed, four bytes of length. */
  openFrame(): number {
    this.byte(0);
    this.fixed32(0);
    return this.#at;
  }
  closeFrame(start: number): void {
    this.#bytes.writeUInt32BE(this.#at - start, start - 4);
  }
}

/** Throws WireError where the bytes end too early or say what cannot be. */
export class Reader {
  readonly #bytes: Buffer;
  at: number;
  readonly end: number;
  constructor(bytes: Buffer, at = 0, end = bytes.length) {
    this.#bytes = bytes;
    this.at = at;
    this.end = end;
  }
  #byte(): number {
    if (this.at >= this.end) throw new WireError('ends in the middle of a field');
    return this.#bytes[this.at++] ?? 0;
  }
  /** Of at most 32 bits; more are cut off, as int32 and uint32 have it. */
  varint(): number {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.#byte();
      if (shift < 32) value |= (byte & 127) << shift;
      if (byte < 128) return value >>> 0;
    }
    throw new WireError('has a number of more than ten bytes');
  }
  big(): bigint {
    const start = this.at;
    let [value, factor] = [0, 1];
    for (let bytes = 0; bytes < 7; bytes++, factor *= 128) {
      const byte = this.#byte();
      value += (byte & 127) * factor;
      if (byte < 128) return BigInt(value);
    }
    this.at = start; // more than 49 bits
    return this.#bigger();
  }
  #bigger(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#byte();
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return BigInt.asUintN(64, value);
    }
    throw new WireError('has a number of more than ten bytes');
  }
  double(): number {
    if (this.at + 8 > this.end) throw new WireError('ends in the middle of a field');
    this.at += 8;
    return this.#bytes.readDoubleLE(this.at - 8);
  }
  /** The length of what follows. */
  length(): number {
    const length = this.varint();
    if (length > this.end - this.at) throw new WireError(`has a length of ${length} where ${this.end - this.at} bytes are left`);
    return length;
  }
  bytes(): Buffer {
    const length = this.length();
    this.at += length;
    return this.#bytes.subarray(this.at - length, this.at);
  }
  string(): string {
    const length = this.length();
    const start = this.at;
    this.at += length;
    return this.#bytes.toString('utf8', start, this.at);
  }
  /** A reader of the next `length` bytes, which are passed over. */
  inner(): Reader {
    const length = this.length();
    this.at += length;
    return new Reader(this.#bytes, this.at - length, this.at);
  }
  skip(wire: number): void {
    if (wire === WireType.VARINT) this.varint();
    else if (wire === WireType.FIXED64) this.#pass(8);
    else if (wire === WireType.BYTES) this.#pass(this.length());
    else if (wire === WireType.FIXED32) this.#pass(4);
    else throw new WireError(`has a field of wire type ${wire}`);
  }
  #pass(bytes: number): void {
    if (bytes > this.end - this.at) throw new WireError('ends in the middle of a field');
    this.at += bytes;
  }
}
