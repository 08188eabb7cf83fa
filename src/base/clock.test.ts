// SPDX-License-Identifier: Apache-2.0
// Time.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { backoff, systemClock } from './clock.ts';

test('backoff doubles up to its limit, with at most a fifth of jitter either way', () => {
  const cases: readonly (readonly [number, number])[] = [
    [0, 100],
    [1, 200],
    [5, 3200],
    [9, 30_000],
    [1e6, 30_000],
  ];
  for (const [attempt, middle] of cases) {
    const values = Array.from({ length: 200 }, () => backoff(attempt, 100, 30_000));
    assert.ok(
      values.every((ms) => ms >= middle * 0.8 && ms <= middle * 1.2),
      `attempt ${attempt}`,
    );
    assert.ok(new Set(values).size > 100, 'two that fail together do not come back together');
  }
});

test('the system clock knows the date, and one clock that never steps back', () => {
  assert.ok(systemClock.now() > Date.parse('2020-01-01'));
  const before = systemClock.monotonic();
  assert.ok(systemClock.monotonic() >= before);
});
