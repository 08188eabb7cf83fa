// SPDX-License-Identifier: Apache-2.0
// A disk that is full, broken or frozen.

import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import type { Problem } from '../base/problem.ts';
import { until } from '../base/until.ts';
import { diskWatch } from './disk.ts';

function setup(probe: () => Promise<void>) {
  let now = 0;
  let said: readonly Problem[] = [];
  let asked = 0;
  const disk = diskWatch({
    directory: '/state',
    report: (problems) => (said = problems),
    clock: { now: () => 0, monotonic: () => now },
    patienceMs: 20,
    probe: () => (asked++, probe()),
  });
  return { disk, later: () => (now += 2000), reasons: () => said.map(({ reason }) => reason), asked: () => asked };
}

for (const [code, kind, reason] of [
  ['ENOSPC', 'full', 'DiskFull'],
  ['EDQUOT', 'full', 'DiskFull'],
  ['EROFS', 'fails', 'DiskFails'],
] as const)
  test(`${code} is a Problem ${reason} until a write succeeds`, async () => {
    let broken = true;
    const { disk, reasons } = setup(() => (broken ? Promise.reject(Object.assign(new Error(code), { code })) : Promise.resolve()));
    assert.equal((await disk.ask())?.kind, kind);
    assert.deepEqual(reasons(), [reason]);
    broken = false; // room is seen at once
    assert.equal(await disk.ask(), undefined);
    assert.deepEqual(reasons(), []);
  });

test('a write that hangs holds up nobody for longer than the patience, and is over when it comes back', async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const { disk, later, reasons, asked } = setup(() => promise);
  assert.equal((await disk.ask())?.kind, 'hangs');
  assert.deepEqual(reasons(), ['DiskHangs']);
  later();
  assert.equal((await disk.ask())?.kind, 'hangs');
  assert.equal(asked(), 1, 'no second write behind one that hangs');
  resolve();
  await until(() => reasons().length === 0);
  assert.equal(await disk.ask(), undefined);
});

test('within a second nobody asks again', async () => {
  const { disk, later, asked } = setup(() => Promise.resolve());
  await disk.ask();
  await disk.ask();
  assert.equal(asked(), 1);
  later();
  await disk.ask();
  assert.equal(asked(), 2);
});

test('a directory that can be written is left as it was, one that is not there fails', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'stentor-disk-'));
  try {
    const disk = diskWatch({ directory, report: () => undefined });
    assert.equal(await disk.ask(), undefined);
    assert.deepEqual(readdirSync(directory), []);
    const other = diskWatch({ directory: join(directory, 'missing'), report: () => undefined });
    assert.equal((await other.ask())?.kind, 'fails');
  } finally {
    rmSync(directory, { recursive: true });
  }
});
