// SPDX-License-Identifier: Apache-2.0
// The fuzzer finds nothing in the engine, and finds something in each engine that lacks one of its invariants.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Break, findingsOf } from './fuzz.ts';
import type { Findings } from './fuzz.ts';
import { seedOfRun } from './random.ts';

const seed = seedOfRun();

test(`invariants 3, 4 and 5: with flaky targets and restarts everything converges, nothing dangles, nothing goes early (SEED=${seed})`, async () => {
  assert.deepEqual(await findingsOf(seed), { dangling: 0, early: 0, diverged: 0 });
});

const controls: readonly (readonly [Break, keyof Findings])[] = [
  [Break.order, 'dangling'],
  [Break.unsure, 'diverged'],
  [Break.incomplete, 'early'],
];
for (const [broken, finding] of controls) {
  test(`negative control: an engine with broken '${broken}' is found out by '${finding}' (SEED=${seed})`, async () => {
    assert.ok((await findingsOf(seed, broken))[finding] > 0);
  });
}
