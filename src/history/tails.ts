// SPDX-License-Identifier: Apache-2.0
// Rows that are not yet enough for a block, so that they outlive the agent: a file for each block to come, to which what is new is
// appended every second. The block is written, then its tail is removed; a tail whose block is there was left by a crash in between.
//
//   0000000196.tail   [ rows 0 to 19 ][ rows 20 to 43 ] …

import { open, readdir, rm, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { indexedFrom, rowsFrom, sectionNames } from './block.ts';
import type { SectionName } from './block.ts';
import { FormatError } from './bytes.ts';
import { bytesAt, framesIn, writeAt } from './frames.ts';
import type { Frame } from './frames.ts';
import { packed, placeOfSection, PREFIX, unpacked } from './packed.ts';
import type { Header } from './packed.ts';
import type { Rows } from './rows.ts';

export type Tail = {
  readonly bytes: number;
  /** Throws what the disk says, and then nothing was appended. */
  append(rows: Rows): Promise<void>;
  remove(): Promise<void>;
  close(): Promise<void>;
};

export type FoundTail = {
  readonly block: number;
  readonly tail: Tail;
  readonly rows: readonly Rows[];
  readonly modified: number;
  readonly damaged: boolean;
};

const NAME = /^(\d{10})\.tail$/;

/** The file comes with the first rows. */
export function tailOf(directory: string, block: number, size = 0): Tail {
  const path = join(directory, `${String(block).padStart(10, '0')}.tail`);
  let file: FileHandle | undefined;
  const close = async () => {
    await file?.close();
    file = undefined;
  };
  return {
    get bytes() {
      return size;
    },
    async append(rows) {
      const { bytes } = await packed(rows, block, true);
      file ??= await open(path, size === 0 ? 'w+' : 'r+', 0o600);
      await writeAt(file, bytes, size);
      size += bytes.length;
    },
    async remove() {
      await close();
      await rm(path, { force: true });
      size = 0;
    },
    close,
  };
}

/** Those whose block is not there; the others go. What was half written is cut off. */
export async function tailsIn(directory: string, lastBlock: number): Promise<readonly FoundTail[]> {
  const found: FoundTail[] = [];
  for (const name of (await readdir(directory)).toSorted()) {
    const block = Number(NAME.exec(name)?.[1] ?? Number.NaN);
    if (Number.isNaN(block)) continue;
    const path = join(directory, name);
    if (block <= lastBlock) await rm(path, { force: true });
    else found.push(await readTail(directory, path, block));
  }
  return found;
}

async function readTail(directory: string, path: string, block: number): Promise<FoundTail> {
  const file = await open(path, 'r+');
  try {
    const { frames, end, size, holes } = await framesIn(file);
    if (end < size) await file.truncate(end);
    const rows: Rows[] = [];
    let damaged = holes.length > 0;
    for (const frame of frames) {
      const one = await rowsAt(file, frame);
      if (one) rows.push(one);
      else damaged = true;
      await setImmediate();
    }
    const { mtimeMs: modified } = await stat(path);
    return { block, tail: tailOf(directory, block, end), rows, modified, damaged };
  } finally {
    await file.close();
  }
}

async function rowsAt(file: FileHandle, frame: Frame): Promise<Rows | undefined> {
  const body = await bytesAt(file, frame.offset + PREFIX + frame.headerLength, frame.length - PREFIX - frame.headerLength);
  try {
    return await rowsIn(frame.header, body);
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}

/** Throws FormatError. */
async function rowsIn(header: Header, body: Buffer): Promise<Rows> {
  const section = (name: SectionName) => unpacked(header, name, body.subarray(...placeOfSection(header, name)));
  const sections = Object.fromEntries(await Promise.all(sectionNames.map(async (name) => [name, await section(name)] as const)));
  const { dictionary, index, time, payloads, rest } = sections as Record<SectionName, Buffer>; // as: all sections that there are
  const { count, node } = header.summary;
  return rowsFrom(indexedFrom({ dictionary, index }, count), { time, payloads, rest }, node);
}
