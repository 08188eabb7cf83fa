// SPDX-License-Identifier: Apache-2.0
// The engine's beat.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { Clock } from './clock.ts';
import { engine } from './commit.ts';
import { derive, from } from './derive.ts';
import { reconciler } from './reconcile.ts';
import type { Target } from './reconcile.ts';
import { table } from './table.ts';
import { until } from './until.ts';

/** Numbers that exist, and pairs that point at numbers; a clock that a test may run fast. */
function setup(stepMs = 0) {
  let now = 0;
  const clock: Clock = { now: () => now, monotonic: () => (now += stepMs) };
  const source = table<string, number>('source');
  const [points, lines] = [table<string, number>('points'), table<string, string>('lines')];
  const held = { points: new Map<string, number>(), lines: new Map<string, string>() };
  const seen = { dangling: 0, failing: false, afterwards: 0 };
  const target = <V>(name: string, map: Map<string, V>): Target<string, V> => ({
    name,
    list: () => [...map],
    put(entries) {
      if (seen.failing) throw new Error('Cannot write: ENOMEM');
      for (const [key, value] of entries) map.set(key, value);
      check();
    },
    remove(entries) {
      for (const [key] of entries) map.delete(key);
      check();
    },
  });
  const check = () => {
    for (const point of held.lines.values()) if (!held.points.has(point)) seen.dangling++;
  };
  const machine = engine({
    clock,
    derivations: [
      derive<string, string, number>({
        name: 'points',
        inputs: [from(source)],
        out: points.writer('points'),
        compute: (key) => (source.has(key) ? [[`p${source.get(key)}`, 1]] : []),
      }),
      derive<string, string, string>({
        name: 'lines',
        inputs: [from(source)],
        out: lines.writer('lines'),
        compute: (key) => (source.has(key) ? [[key, `p${source.get(key)}`]] : []),
      }),
    ],
    walks: [[reconciler(points, target('points', held.points)), reconciler(lines, target('lines', held.lines))]],
    afterwards: () => seen.afterwards++,
  });
  return { source: source.writer('test'), held, seen, machine };
}

test('commit runs at most once per turn, however often it is asked for', async () => {
  const { source, machine } = setup();
  source.put('a', 1);
  for (let i = 0; i < 100; i++) machine.schedule();
  assert.equal(machine.status.commits, 0);
  await machine.settled();
  assert.equal(machine.status.commits, 1);
  machine.close();
});

test('nobody sees half a change: what is written in one turn arrives in one commit', async () => {
  const { source, held, machine } = setup();
  source.put('a', 1);
  machine.schedule();
  source.put('b', 2);
  await machine.settled();
  assert.deepEqual([[...held.points.keys()], [...held.lines.keys()], machine.status.commits], [['p1', 'p2'], ['a', 'b'], 1]);
  machine.close();
});

test('invariant 5: a large commit is cut into slices, between which nothing points at something missing', async () => {
  const { source, held, seen, machine } = setup(1);
  for (let i = 0; i < 3000; i++) source.put(`k${i}`, i);
  source.complete();
  await machine.settled();
  assert.ok(machine.status.commits > 20, `${machine.status.commits} commits`);
  assert.ok(machine.status.longestMs < 20);
  for (let i = 0; i < 3000; i++) source.put(`k${i}`, i % 2 === 0 ? 3000 + i : (i * 7) % 3000);
  await machine.settled();
  assert.deepEqual(new Set(held.lines.values()), new Set(held.points.keys()));
  assert.equal(held.lines.get('k10'), 'p3010');
  assert.equal(seen.dangling, 0);
  machine.close();
});

test('a change that comes in the middle of a large commit is not lost', async () => {
  const { source, held, seen, machine } = setup(1);
  for (let i = 0; i < 500; i++) source.put(`k${i}`, i);
  source.complete();
  const settled = machine.settled();
  await until(() => machine.status.commits > 2);
  source.put('k0', 9999);
  source.delete('k499');
  await settled;
  await machine.settled();
  assert.deepEqual([held.lines.get('k0'), held.lines.size, held.points.size, seen.dangling], ['p9999', 499, 499, 0]);
  machine.close();
});

test('those who look from outside are called when everything is derived, not after each slice', async () => {
  const { source, seen, machine } = setup(1);
  for (let i = 0; i < 500; i++) source.put(`k${i}`, i);
  machine.schedule();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(machine.status.commits, 1);
  assert.equal(seen.afterwards, 0);
  await machine.settled();
  assert.ok(seen.afterwards > 0);
  machine.close();
});

test('invariant 8: a target that fails is tried again by itself, and its error is in the status until then', async () => {
  const { source, held, seen, machine } = setup();
  seen.failing = true;
  source.put('a', 1);
  await machine.settled();
  assert.equal(machine.status.error, 'Cannot write: ENOMEM');
  seen.failing = false;
  await until(() => held.lines.has('a'));
  assert.equal(machine.status.error, undefined);
  machine.close();
});

test('an engine that was closed commits nothing, and nobody waits for it', async () => {
  const { source, held, machine } = setup();
  source.put('a', 1);
  const settled = machine.settled();
  machine.close();
  await settled;
  await machine.settled();
  assert.equal(held.points.size, 0);
});
