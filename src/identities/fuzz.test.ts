// SPDX-License-Identifier: Apache-2.0
// The fuzzer finds nothing in the allocation, and finds something in each that lacks one thing that it rests on.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { randomFrom, seedOfRun } from '../base/random.ts';
import { Fault, findingsOf } from './fuzz.ts';

const ROUNDS = 12;

describe('identities on several nodes, with an API that is late', () => {
  const seed = seedOfRun();
  it(`every pod has a number, no two label sets share one, all nodes agree in the end (SEED=${seed})`, () => {
    assert.deepEqual(findingsOf(randomFrom(seed), ROUNDS), { nameless: 0, shared: 0, diverged: 0 });
  });
  for (const fault of Object.values(Fault))
    it(`the fuzzer sees what goes wrong when the allocation is ${fault}`, () =>
      assert.ok(findingsOf(randomFrom(4), 2 * ROUNDS, fault).shared > 0));
});
