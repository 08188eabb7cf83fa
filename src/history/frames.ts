// SPDX-License-Identifier: Apache-2.0
// The blocks of a file, found one behind the other. Where none begins, the next one that does is looked for: what is between is damage,
// and what is behind the last one was cut off while it was written.

import type { FileHandle } from 'node:fs/promises';
import { FormatError } from './bytes.ts';
import { headerFrom, PREFIX, prefixOf } from './packed.ts';
import type { Header } from './packed.ts';

export type Frame = {
  readonly offset: number;
  readonly header: Header;
  readonly headerLength: number;
  /** Bytes of all of it. */
  readonly length: number;
};

export type Frames = {
  readonly frames: readonly Frame[];
  /** Where the last one ends. */
  readonly end: number;
  readonly size: number;
  /** Offsets before which bytes are missing or make no sense, though there are blocks behind them. */
  readonly holes: readonly number[];
};

const GUESS = 4096; // a prefix and most headers
const CHUNK = 1024 * 1024;

export async function framesIn(file: FileHandle): Promise<Frames> {
  const { size } = await file.stat();
  const frames: Frame[] = [];
  const holes: number[] = [];
  let end = 0;
  for (let offset: number | undefined = 0; offset !== undefined && offset < size;) {
    const frame = await frameAt(file, offset, size);
    if (!frame) {
      offset = await nextOffset(file, offset + 1, size);
      if (offset !== undefined) holes.push(offset);
      continue;
    }
    frames.push(frame);
    end = offset = frame.offset + frame.length;
  }
  return { frames, end, size, holes };
}

/** Undefined when there is no whole block: its bytes end too early, or its header is not what was written. The body is not looked at. */
async function frameAt(file: FileHandle, offset: number, size: number): Promise<Frame | undefined> {
  const first = await bytesAt(file, offset, Math.min(GUESS, size - offset));
  const prefix = prefixOf(first);
  if (!prefix) return undefined;
  const { headerLength, bodyLength } = prefix;
  const length = PREFIX + headerLength + bodyLength;
  if (offset + length > size) return undefined;
  const whole = PREFIX + headerLength <= first.length ? first : await bytesAt(file, offset, PREFIX + headerLength);
  try {
    return { offset, header: headerFrom(whole.subarray(0, PREFIX + headerLength)), headerLength, length };
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}

/** Of the first whole block at or after `from`. */
async function nextOffset(file: FileHandle, from: number, size: number): Promise<number | undefined> {
  for (let start = from; start < size; start += CHUNK) {
    const chunk = await bytesAt(file, start, Math.min(CHUNK + PREFIX, size - start));
    for (let at = chunk.indexOf('STB1'); at >= 0 && at < CHUNK; at = chunk.indexOf('STB1', at + 1))
      if (await frameAt(file, start + at, size)) return start + at;
  }
  return undefined;
}

/** As many as there are, at most `length`. */
export async function bytesAt(file: FileHandle, offset: number, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(Math.max(0, length));
  let got = 0;
  while (got < buffer.length) {
    const { bytesRead } = await file.read(buffer, got, buffer.length - got, offset + got);
    if (bytesRead === 0) break;
    got += bytesRead;
  }
  return buffer.subarray(0, got);
}

/** All of `bytes` at `offset`. Throws what the disk says; then what is there is not to be relied on, and may be written again. */
export async function writeAt(file: FileHandle, bytes: Buffer, offset: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, offset + done);
    done += bytesWritten;
  }
}
