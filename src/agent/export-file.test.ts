// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { exportFile } from './export-file.ts';
import type { ExportFileOptions } from './export-file.ts';

const root = mkdtempSync(join(tmpdir(), 'stentor-export-'));
after(() => rmSync(root, { recursive: true }));

const START = Date.parse('2026-01-31T15:04:05.000Z');
let folders = 0;
function options(more: Partial<ExportFileOptions> = {}) {
  const folder = join(root, String(folders++));
  let time = START;
  const told: (string | undefined)[] = [];
  const all: ExportFileOptions = {
    path: join(folder, 'deep/events.log'),
    maxBytes: 20,
    backups: 2,
    compress: false,
    now: () => (time += 1000),
    trouble: (message) => told.push(message),
    ...more,
  };
  return { all, told, folder: join(folder, 'deep'), wait: (ms: number) => (time += ms) };
}

test('lines are appended to what is there, and the file is put aside before it is too large', async () => {
  const { all, folder, told } = options();
  await using file = exportFile(all);
  for (const text of ['one\ntwo\n', 'three\n', 'four\n']) {
    file.append(text, 1);
    await file.flushed();
  }
  assert.equal(readFileSync(all.path, 'utf8'), 'one\ntwo\nthree\nfour\n');
  file.append('five\n', 1);
  await file.flushed();
  assert.equal(readFileSync(all.path, 'utf8'), 'five\n');
  assert.equal(readdirSync(folder).length, 2);
  {
    await using again = exportFile(all);
    again.append('six\n', 1);
  }
  assert.equal(readFileSync(all.path, 'utf8'), 'five\nsix\n');
  assert.deepEqual(told, []);
});

test('of those put aside the newest are kept, and files of others are left alone', async () => {
  const { all, folder } = options();
  mkdirSync(folder, { recursive: true });
  for (const name of ['events-old.log', 'events.log.1', 'other-2020-01-01T00-00-00.000.log']) writeFileSync(join(folder, name), '');
  await using file = exportFile(all);
  for (let i = 0; i < 6; i++) {
    file.append(`${String(i).repeat(18)}\n`, 1);
    await file.flushed();
  }
  const aside = readdirSync(folder).filter((name) => /^events-2026.*\.log$/.test(name));
  assert.deepEqual(
    aside.map((name) => readFileSync(join(folder, name), 'utf8')[0]),
    ['3', '4'],
  );
  assert.deepEqual(
    readdirSync(folder).filter((name) => !name.startsWith('events-2026')),
    ['events-old.log', 'events.log', 'events.log.1', 'other-2020-01-01T00-00-00.000.log'],
  );
});

test('those put aside are compressed where that is wanted', async () => {
  const { all, folder } = options({ compress: true, backups: 1 });
  await using file = exportFile(all);
  for (let i = 0; i < 4; i++) {
    file.append(`${String(i).repeat(18)}\n`, 1);
    await file.flushed();
  }
  const aside = readdirSync(folder).filter((name) => name.startsWith('events-'));
  assert.equal(aside.length, 1);
  assert.match(aside[0] ?? '', /^events-2026-01-31T15-04-\d\d\.000\.log\.gz$/);
  assert.equal(gunzipSync(readFileSync(join(folder, aside[0] ?? ''))).toString(), `${'2'.repeat(18)}\n`);
});

test('a disk that takes nothing is told once, costs lines and nothing else, and is tried again', async () => {
  const { all, told, folder, wait } = options({ backups: 0 });
  mkdirSync(join(folder, '..'), { recursive: true });
  writeFileSync(folder, 'a file where a folder should be');
  await using file = exportFile(all);
  file.append('one\n', 1);
  await file.flushed();
  file.append('two\nthree\n', 2);
  await file.flushed();
  assert.equal(file.lost, 3);
  assert.equal(told.length, 1);
  assert.match(told[0] ?? '', /ENOTDIR|EEXIST/);
  rmSync(folder);
  wait(10_000);
  file.append('four\n', 1);
  await file.flushed();
  assert.equal(readFileSync(all.path, 'utf8'), 'four\n');
  assert.deepEqual([told.length, told[1]], [2, undefined]);
});

test('what comes faster than the disk takes it is left out and counted', async () => {
  const { all } = options({ maxBytes: 1 << 30 });
  await using file = exportFile(all);
  const megabyte = `${'x'.repeat((1 << 20) - 1)}\n`;
  for (let i = 0; i < 20; i++) file.append(megabyte, 1);
  await file.flushed();
  assert.ok(file.lost > 0 && file.lost < 20, `${file.lost} lost`);
  assert.equal(readFileSync(all.path).length, (20 - file.lost) * megabyte.length);
});
