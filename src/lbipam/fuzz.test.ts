// SPDX-License-Identifier: Apache-2.0

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seedOfRun } from '../base/random.ts';
import { fuzz } from './fuzz.ts';

const STEPS = 10_000;

test('no address that is wanted moves by itself in 10,000 random edits of pools and Services, and restarts', (context) => {
  const seed = seedOfRun();
  const { violations, gained, kept, restarts } = fuzz(seed, { steps: STEPS });
  context.diagnostic(`seed ${seed}: ${gained} addresses given, ${restarts} restarts, ${kept} times one kept against the pools`);
  assert.deepEqual(violations, [], `SEED=${seed}`);
  assert.ok(gained > 500 && kept > 500 && restarts > 500);
});

for (const fault of ['forgets', 'agrees to all'] as const)
  test(`negative control: an operator that ${fault} is found out`, () => {
    assert.match(fuzz(7, { steps: STEPS, fault }).violations[0] ?? 'nothing', fault === 'forgets' ? /loses|gets/ : /loses/);
  });
