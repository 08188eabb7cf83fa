// SPDX-License-Identifier: Apache-2.0
// Durations as Go writes them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDuration } from './duration.ts';

for (const [text, wanted] of [
  ['15m0s', 900_000],
  ['1h30m', 5_400_000],
  ['1.5s', 1500],
  ['250ms', 250],
  ['2us1ns', 0.002001],
  ['0', 0],
  ['0s', 0],
  ['15', undefined],
  ['', undefined],
  ['m', undefined],
  ['-5m', undefined],
  ['5 m', undefined],
  ['5m?', undefined],
  ['1..5s', undefined],
] as const)
  test(`'${text}' is ${wanted === undefined ? 'no duration' : `${wanted} ms`}`, () => {
    assert.equal(parseDuration(text), wanted);
  });
