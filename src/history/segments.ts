// SPDX-License-Identifier: Apache-2.0
// Blocks on disk: files that are only appended to, named by the first block in them, the oldest of which goes when there is no more
// room. A file in which something is damaged is set aside, and what is whole of it goes on under its name.
//
//   0000000001.flows   0000000098.flows   0000000195.flows ◀─ append        0000000098.damaged

import { open, readdir, rm, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { framesIn, writeAt } from './frames.ts';
import type { Frame } from './frames.ts';
import { mend } from './mend.ts';
import { PREFIX } from './packed.ts';
import type { Header, Packed } from './packed.ts';

/** Where a block is, and as much of it as has to be known of all. */
export type Place = {
  readonly block: number;
  readonly path: string;
  readonly offset: number;
  readonly headerLength: number;
  readonly length: number;
  readonly count: number;
  readonly times: Header['summary']['times'];
  readonly positions: Header['summary']['positions'];
};

export type Segments = {
  /** By block, ascending. */
  readonly places: readonly Place[];
  readonly bytes: number;
  /** Files with blocks in them. */
  readonly count: number;
  /** Paths of files that are set aside. */
  readonly damaged: readonly string[];
  /** Appends and flushes. Throws what the disk says, and then nothing was appended. */
  append(block: Packed): Promise<void>;
  /** Sets aside the file with a block that turned out to be damaged, and keeps the others. */
  mend(place: Place): Promise<void>;
  close(): Promise<void>;
};

export type SegmentsOptions = {
  readonly directory: string;
  /** Of all files together, those that are set aside and tails included. */
  readonly maxBytes: () => number;
};

type File = { readonly path: string; readonly first: number; size: number };

/** A file is so much of all that the oldest one is small to lose. */
const PARTS = 32;
const NAME = /^(\d{10})\.(flows|damaged)$/;

const segmentName = (block: number): string => `${String(block).padStart(10, '0')}.flows`;

export async function openSegments({ directory, maxBytes }: SegmentsOptions): Promise<Segments> {
  const index = await indexOf(directory);
  const { files, damaged, places } = index;
  const writer = segmentWriter(directory, index, maxBytes);
  return {
    places,
    get bytes() {
      return sizeOf(index);
    },
    get count() {
      return files.length;
    },
    get damaged() {
      return damaged.map(({ path }) => path);
    },
    append: writer.append,
    async mend(place) {
      if (!places.includes(place)) return; // somebody else found it
      await writer.close();
      const file = files.find(({ path }) => path === place.path);
      const frames = await mend(place.path, new Set([place.offset]));
      const first = places.findIndex(({ path }) => path === place.path);
      const count = places.filter(({ path }) => path === place.path).length;
      places.splice(first, count, ...frames.map((frame) => placeOf(place.path, frame)));
      if (file) file.size = frames.reduce((sum, { length }) => sum + length, 0);
      const aside = await fileAt(place.path.replace(/flows$/, 'damaged'), file?.first ?? 0);
      if (!damaged.some(({ path }) => path === aside.path)) damaged.push(aside);
    },
    close: writer.close,
  };
}

type Index = { readonly files: File[]; readonly damaged: File[]; readonly places: Place[] };

const sizeOf = ({ files, damaged }: Index): number => [...files, ...damaged].reduce((sum, { size }) => sum + size, 0);

function segmentWriter(directory: string, index: Index, maxBytes: () => number): Pick<Segments, 'append' | 'close'> {
  const { files, damaged, places } = index;
  let current: FileHandle | undefined;
  const close = async () => {
    await current?.close();
    current = undefined;
  };
  /** The file to append `length` bytes to. */
  const fileFor = async (length: number, block: number): Promise<{ readonly file: File; readonly handle: FileHandle }> => {
    while (sizeOf(index) + length > maxBytes() && files.length + damaged.length > 0) {
      if (files.length <= 1) await close();
      await forgetOldest(index);
    }
    let file = files.at(-1);
    if (!file || (file.size > 0 && file.size + length > maxBytes() / PARTS)) {
      await close();
      file = { path: join(directory, segmentName(block)), first: block, size: 0 };
      current = await open(file.path, 'w+', 0o600);
      await flushDirectory(directory);
      files.push(file);
    }
    return { file, handle: (current ??= await open(file.path, 'r+')) };
  };
  return {
    async append({ bytes, header, headerLength }) {
      const { file, handle } = await fileFor(bytes.length, header.block);
      await writeAt(handle, bytes, file.size);
      await handle.datasync();
      places.push(placeOf(file.path, { header, headerLength, offset: file.size, length: bytes.length }));
      file.size += bytes.length;
    },
    close,
  };
}

/** The oldest file goes, with what is in it. */
async function forgetOldest({ files, damaged, places }: Index): Promise<void> {
  const oldest = [...damaged, ...files].reduce<File | undefined>(
    (least, one) => (least && least.first <= one.first ? least : one),
    undefined,
  );
  if (!oldest) return;
  await rm(oldest.path, { force: true });
  for (const list of [files, damaged]) if (list.includes(oldest)) list.splice(list.indexOf(oldest), 1);
  const kept = places.findIndex(({ path }) => path !== oldest.path);
  if (places[0]?.path === oldest.path) places.splice(0, kept < 0 ? places.length : kept);
}

/** What there is. A file that ends with half a block is cut, one with damage before its end is mended. */
async function indexOf(directory: string): Promise<Index> {
  const [files, damaged, places]: [File[], File[], Place[]] = [[], [], []];
  for (const name of (await readdir(directory)).toSorted()) {
    const [, number, kind] = NAME.exec(name) ?? [];
    if (number === undefined) continue;
    const path = join(directory, name);
    if (kind === 'damaged') {
      damaged.push(await fileAt(path, Number(number)));
      continue;
    }
    const { frames, mended } = await wholeFrames(path);
    if (mended) damaged.push(await fileAt(path.replace(/flows$/, 'damaged'), Number(number)));
    places.push(...frames.map((frame) => placeOf(path, frame)));
    files.push(await fileAt(path, Number(number)));
  }
  return { files, damaged: damaged.filter(({ path }, i, all) => all.findIndex((one) => one.path === path) === i), places };
}

async function wholeFrames(path: string): Promise<{ readonly frames: readonly Frame[]; readonly mended: boolean }> {
  const file = await open(path, 'r+');
  try {
    const { frames, end, size, holes } = await framesIn(file);
    if (holes.length === 0) {
      if (end < size) await file.truncate(end);
      return { frames, mended: false };
    }
  } finally {
    await file.close();
  }
  return { frames: await mend(path, new Set()), mended: true };
}

const fileAt = async (path: string, first: number): Promise<File> => ({ path, first, size: (await stat(path)).size });

function placeOf(path: string, { header: { block, summary }, headerLength, offset, length }: Frame): Place {
  return {
    block,
    path,
    offset,
    headerLength: PREFIX + headerLength,
    length,
    count: summary.count,
    times: summary.times,
    positions: summary.positions,
  };
}

/** So that a new name is still there when the machine has crashed. */
async function flushDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
