// SPDX-License-Identifier: Apache-2.0
// A block to read from, in memory or on disk: first what tells which of its rows may be wanted, and the rest only if one may.

import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { codeOf } from '../base/errors.ts';
import { indexedFrom, rowsFrom } from './block.ts';
import type { SectionName } from './block.ts';
import { FormatError } from './bytes.ts';
import { bytesAt } from './frames.ts';
import { headerFrom, placeOfSection, unpacked } from './packed.ts';
import type { Header } from './packed.ts';
import type { Rows } from './rows.ts';
import type { Place } from './segments.ts';
import { mayBeIn, wantedRows } from './wanted.ts';
import type { Wanted } from './wanted.ts';

type Query = { readonly wanted: Wanted; readonly since?: bigint | undefined; readonly until?: bigint | undefined };

/** As much of a block as says which rows may be wanted, and a way to the rest. */
export type Source = {
  readonly count: number;
  /** Of each row whether it may be wanted. */ readonly rows: Uint8Array;
  readonly complete: () => Promise<Rows>;
};

export const inMemory = (rows: Rows, wanted: Wanted): Source => ({
  count: rows.count,
  rows: wantedRows(wanted, rows),
  complete: async () => rows,
});

/** 'none': no row of it can be wanted. 'gone': the oldest file made room, or was mended. */
export async function onDisk(place: Place, query: Query, files: FileCache): Promise<Source | 'none' | 'gone' | 'damaged'> {
  const [first, last] = place.times;
  if ((query.since !== undefined && last < query.since) || (query.until !== undefined && first > query.until)) return 'none';
  try {
    return await sourceAt(place, query, files).catch((error: unknown) => {
      if (!(error instanceof FormatError)) throw error;
      return files.close().then(() => sourceAt(place, query, files)); // it may have been mended: then its name is that of another file
    });
  } catch (error) {
    if (error instanceof FormatError) return 'damaged';
    if (codeOf(error) === 'ENOENT') return 'gone';
    throw error;
  }
}

async function sourceAt(place: Place, { wanted }: Query, files: FileCache): Promise<Source | 'none'> {
  const file = await files.open(place.path);
  const header = headerFrom(await bytesAt(file, place.offset, place.headerLength));
  if (!header.summary.others && !mayBeIn(wanted, header.summary.bloom)) return 'none';
  const indexed = indexedFrom(await sectionsAt(file, place, header, ['dictionary', 'index']), place.count);
  const complete = async () => rowsFrom(indexed, await sectionsAt(file, place, header, ['time', 'payloads', 'rest']), header.summary.node);
  return { count: place.count, rows: wantedRows(wanted, indexed), complete: once(complete) };
}

/** Sections that stand one behind the other. Throws FormatError. */
async function sectionsAt<Name extends SectionName>(
  file: FileHandle,
  { offset, headerLength }: Place,
  header: Header,
  names: readonly Name[],
): Promise<Record<Name, Buffer>> {
  const places = names.map((name) => placeOfSection(header, name));
  const [start, end] = [places[0]?.[0] ?? 0, places.at(-1)?.[1] ?? 0];
  const bytes = await bytesAt(file, offset + headerLength + start, end - start);
  const read = async (name: Name, i: number) => {
    const [first, last] = places[i] ?? [0, 0];
    return [name, await unpacked(header, name, bytes.subarray(first - start, last - start))] as const;
  };
  return Object.fromEntries(await Promise.all(names.map(read))) as Record<Name, Buffer>; // as: each of them
}

function once<T>(act: () => Promise<T>): () => Promise<T> {
  let done: Promise<T> | undefined;
  return () => (done ??= act());
}

export type FileCache = AsyncDisposable & { open(path: string): Promise<FileHandle>; close(): Promise<void> };

/** Keeps the file open that was last asked for: blocks are read file by file. */
export function fileCache(): FileCache {
  let held: { readonly path: string; readonly file: FileHandle } | undefined;
  const close = async () => {
    const { file } = held ?? {};
    held = undefined;
    await file?.close();
  };
  return {
    async open(path) {
      if (held?.path === path) return held.file;
      await close();
      const file = await open(path, 'r');
      held = { path, file };
      return file;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
