// SPDX-License-Identifier: Apache-2.0
// Bytes that are written and read from front to back. Whatever is read was once written by us and may have been damaged since, so
// a reader that finds anything but what it wants throws FormatError: never another error, never something made up.

import { StentorError } from '../base/errors.ts';

/** Bytes that are not what they should be. */
export class FormatError extends StentorError {
  constructor(message: string, options?: ErrorOptions) {
    super('BadFormat', message, options);
  }
}

const CONTINUES = 0x80;
const SEVEN_BITS = 128;

/** Safe integers that are not negative, 7 bits to a byte, the lowest first. */
export function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= SEVEN_BITS; rest = Math.floor(rest / SEVEN_BITS)) bytes.push((rest % SEVEN_BITS) | CONTINUES);
  return Buffer.from([...bytes, rest]);
}

/** Its bytes after its length. */
export function sized(bytes: Buffer): readonly Buffer[] {
  return [varint(bytes.length), bytes];
}

export class ByteReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  varint(): number {
    let value = 0;
    for (let unit = 1; ; unit *= SEVEN_BITS) {
      const byte = this.byte();
      value += (byte % CONTINUES) * unit;
      if (!Number.isSafeInteger(value)) throw new FormatError('A number is larger than any that is written');
      if (byte < CONTINUES) return value;
    }
  }

  byte(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) throw new FormatError('Bytes end within a number');
    return byte;
  }

  /** A view, not a copy. */
  take(length: number): Buffer {
    if (length > this.left) throw new FormatError(`There are ${this.left} bytes, wanted ${length}`);
    return this.#bytes.subarray(this.#at, (this.#at += length));
  }

  sized(): Buffer {
    return this.take(this.varint());
  }
}
