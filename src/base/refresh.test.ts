// SPDX-License-Identifier: Apache-2.0
// Every target has its turn, in parts.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from './clock.ts';
import { refreshInTurn } from './refresh.ts';
import { until } from './until.ts';

test('each is looked at in turn, in as many parts as it takes, and a difference is told', async () => {
  const stop = new AbortController();
  const looks: string[] = [];
  let told = 0;
  let parts = 3;
  const reconcilers = [
    { pending: 0, look: () => looks.push('short') > 0 },
    { pending: 1, look: () => looks.push('long') > 0 && --parts <= 0 },
  ];
  const running = refreshInTurn({ reconcilers, changed: () => told++, clock: systemClock, roundMs: 10 }, stop.signal);
  await until(() => looks.length >= 6);
  stop.abort();
  await running;
  assert.deepEqual(looks.slice(0, 6), ['short', 'long', 'long', 'long', 'short', 'long']);
  assert.ok(told >= 1);
});

test('a part ends when its share of the loop is used up', async () => {
  const stop = new AbortController();
  let now = 0;
  let steps = 0;
  const look = (enough: () => boolean) => {
    for (steps = 1; !enough(); steps++) now++;
    stop.abort();
    return false;
  };
  await refreshInTurn(
    { reconcilers: [{ pending: 0, look }], changed: () => {}, clock: { now: () => now, monotonic: () => now }, roundMs: 1 },
    stop.signal,
  );
  assert.ok(steps > 2 && steps <= 10, `${steps} ms`);
});
