// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileProgress, levelSummary, skipReport, totals } from './test-report.ts';
import type { FileResult } from './test-run.ts';

const good: FileResult = {
  path: 'src/a.test.ts',
  ms: 1234,
  outcomes: [
    { kind: 'passed', name: 'x' },
    { kind: 'skipped', name: 'y', reason: 'needs root' },
  ],
  output: 'noise',
};
const bad: FileResult = {
  path: 'src/b.test.ts',
  ms: 50,
  outcomes: [{ kind: 'failed', name: 'z', why: 'Error: one\ntwo' }],
  output: 'a hint\n',
};

test('a file is one line with its counts', () => {
  assert.equal(fileProgress(good), '✓ src/a.test.ts: 1 passed, 1 skipped (1.2 s)');
});

test('a failure shows why, and what the file wrote', () => {
  assert.equal(fileProgress(bad), '✗ src/b.test.ts: 0 passed, 1 failed (0.1 s)\n  ✗ z\n      Error: one\n      two\n  | a hint');
});

test('a level names its failed files, and says in short why', () => {
  const why = Array.from({ length: 40 }, (_, i) => `line ${i}`).join('\n');
  const long: FileResult = { path: 'src/d.test.ts', ms: 1, outcomes: [{ kind: 'failed', name: 'w', why }] };
  const summary = levelSummary('level 1', [good, bad, long]);
  assert.match(
    summary,
    /^level 1: 1 passed, 2 failed, 1 skipped\n  failed: src\/b.test.ts\n  ✗ z\n      Error: one\n      two\n  failed: src\/d/,
  );
  assert.match(summary, /line 11$/);
});

test('skips stand under what is missing for them', () => {
  assert.equal(skipReport([good, { ...good, path: 'src/c.test.ts' }, bad]), 'Skipped, needs root:\n  src/a.test.ts: y\n  src/c.test.ts: y');
});

test('the total is one line', () => {
  assert.deepEqual(totals([good, bad]), { failed: 1, skipped: 1, line: '1 passed, 1 failed, 1 skipped' });
});
