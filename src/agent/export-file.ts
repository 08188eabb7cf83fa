// SPDX-License-Identifier: Apache-2.0
// A file that lines are appended to, a batch at a time and off the main thread, and that is put aside when it has grown large:
//
//   events.log ─ larger than it may be ─▶ events-2026-01-31T15-04-05.000.log[.gz], of which the newest are kept
//
// What comes faster than the disk takes it is left out and counted: nobody waits for the disk.

import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { messageOf } from '../base/errors.ts';

export type ExportFileOptions = {
  /** 'stdout' is that. */
  readonly path: string;
  readonly maxBytes: number;
  /** Of those put aside; 0: all. */
  readonly backups: number;
  readonly compress: boolean;
  readonly now: () => number;
  /** Told of what does not go; undefined: it goes again. */
  readonly trouble: (message: string | undefined) => void;
};

export type ExportFile = AsyncDisposable & {
  /** `text`: whole lines. */
  append(text: string, lines: number): void;
  /** Lines that were left out. */
  readonly lost: number;
  /** Comes back when all is written that was appended before. */
  flushed(): Promise<void>;
};

/** Text that may wait for the disk. */
const MOST_WAITING = 8 << 20;
const RETRY_MS = 5000;

export function exportFile(options: ExportFileOptions): ExportFile {
  const { now } = options;
  const write = writerTo(options);
  let [waiting, waitingBytes, waitingLines]: [string[], number, number] = [[], 0, 0];
  let lost = 0;
  let retryAt = 0;
  let work: Promise<void> | undefined;
  const writeAll = async () => {
    while (waiting.length > 0) {
      const [text, lines] = [waiting.join(''), waitingLines];
      [waiting, waitingBytes, waitingLines] = [[], 0, 0];
      if (await write.all(text)) continue;
      lost += lines;
      retryAt = now() + RETRY_MS;
    }
    work = undefined;
  };
  const flushed = async () => {
    while (work) await work;
  };
  return {
    append(text, lines) {
      if (waitingBytes + text.length > MOST_WAITING || now() < retryAt) {
        lost += lines;
        return;
      }
      waiting.push(text);
      waitingBytes += text.length;
      waitingLines += lines;
      work ??= writeAll();
    },
    get lost() {
      return lost;
    },
    flushed,
    async [Symbol.asyncDispose]() {
      await flushed();
      await write.close();
    },
  };
}

/** Says whether the text was written, and tells of what does not go. */
function writerTo(options: ExportFileOptions): { all(text: string): Promise<boolean>; close(): Promise<void> } {
  const { path, trouble } = options;
  let file: Opened | undefined;
  let ok = true;
  const close = async () => {
    await file?.handle.close().catch(() => undefined);
    file = undefined;
  };
  return {
    close,
    async all(text) {
      try {
        if (path === 'stdout') process.stdout.write(text);
        else file = await written(file, text, options);
        if (!ok) trouble(undefined);
        ok = true;
      } catch (error) {
        ok = false;
        trouble(messageOf(error));
        await close();
      }
      return ok;
    },
  };
}

type Opened = { readonly handle: FileHandle; bytes: number };

async function opened(path: string): Promise<Opened> {
  await mkdir(dirname(path), { recursive: true });
  const handle = await open(path, 'a', 0o600);
  return { handle, bytes: (await handle.stat()).size };
}

/** A file is put aside before it would be larger than it may be; one batch alone may be. */
async function written(before: Opened | undefined, text: string, options: ExportFileOptions): Promise<Opened> {
  let file = before ?? (await opened(options.path));
  const bytes = Buffer.from(text);
  if (file.bytes > 0 && file.bytes + bytes.length > options.maxBytes) {
    await file.handle.close();
    await putAside(options);
    file = await opened(options.path);
  }
  for (let at = 0; at < bytes.length;) at += (await file.handle.write(bytes, at)).bytesWritten;
  file.bytes += bytes.length;
  return file;
}

async function putAside({ path, backups, compress, now }: ExportFileOptions): Promise<void> {
  const [folder, extension] = [dirname(path), extname(path)];
  const stem = basename(path, extension);
  const aside = join(folder, `${stem}-${new Date(now()).toISOString().slice(0, -1).replaceAll(':', '-')}${extension}`);
  await rename(path, aside);
  if (compress) {
    await pipeline(createReadStream(aside), createGzip(), createWriteStream(`${aside}.gz`, { mode: 0o600 }));
    await rm(aside);
  }
  if (backups === 0) return;
  const isOurs = (name: string) =>
    name.startsWith(`${stem}-`) &&
    /^-\d{4}-\d\d-\d\dT[\d.-]+$/.test(name.slice(stem.length).replace(`${extension}.gz`, '').replace(extension, ''));
  const old = (await readdir(folder)).filter(isOurs).toSorted().slice(0, -backups);
  for (const name of old) await rm(join(folder, name), { force: true });
}
