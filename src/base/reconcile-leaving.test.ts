// SPDX-License-Identifier: Apache-2.0
// Targets that remove in their own time: nobody waits for them but what is to be done about the same keys.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from './clock.ts';
import { engine } from './commit.ts';
import { reconciler, walk } from './reconcile.ts';
import type { Reconciler, Target } from './reconcile.ts';
import { table } from './table.ts';

/** A place in memory from which keys go when `ends` are called, or at once. */
function place(name: string, slow: boolean) {
  const held = new Map([
    ['a', 1],
    ['b', 1],
  ]);
  const ends: PromiseWithResolvers<void>[] = [];
  const calls: string[] = [];
  const target: Target<string, number> = {
    name,
    list: () => [...held],
    put(entries) {
      for (const [key, value] of entries) {
        calls.push(`put ${key}`);
        held.set(key, value);
      }
    },
    remove(entries) {
      calls.push(`remove ${entries.map(([key]) => key).join(' ')}`);
      const leave = () => entries.forEach(([key]) => held.delete(key));
      if (!slow) return leave();
      const end = Promise.withResolvers<void>();
      ends.push(end);
      return end.promise.then(leave);
    },
  };
  return { held, ends, calls, target };
}

/** `below` is pointed at by `above`, whose keys take their time to leave. */
function setup() {
  const desired = table<string, number>('desired');
  const writer = desired.writer('test');
  for (const key of ['a', 'b']) writer.put(key, 1);
  writer.complete();
  const [slow, quick] = [place('above', true), place('below', false)];
  const above = reconciler(desired, slow.target);
  const below = reconciler(desired, quick.target, { staysFor: (key) => above.leaving(key) !== undefined });
  const list: readonly Reconciler[] = [below, above];
  walk(list);
  return { writer, slow, quick, above, below, list };
}

test('what is on its way out is asked for once, and a walk does not wait for it', async () => {
  const { writer, slow, quick, above, list } = setup();
  writer.delete('a');
  assert.equal(walk(list), true);
  walk(list);
  assert.deepEqual(slow.calls, ['remove a']);
  assert.deepEqual(
    [[...slow.held.keys()], [...quick.held.keys()]],
    [
      ['a', 'b'],
      ['a', 'b'],
    ],
    'what it rests on stays too',
  );
  writer.delete('b');
  walk(list);
  assert.deepEqual(slow.calls, ['remove a', 'remove b'], 'others are not held up');
  slow.ends[0]?.resolve();
  await above.leaving('a');
  walk(list);
  assert.deepEqual([[...slow.held.keys()], [...quick.held.keys()]], [['b'], ['b']]);
  assert.equal(above.trouble('a'), undefined);
});

test('what is wanted again is written when the old one is gone', async () => {
  const { writer, slow, above, list } = setup();
  writer.delete('a');
  walk(list);
  writer.put('a', 2);
  walk(list);
  assert.match(above.trouble('a') ?? '', /above is still removing it/);
  assert.deepEqual(slow.calls, ['remove a']);
  slow.ends[0]?.resolve();
  await above.leaving('a');
  walk(list);
  assert.deepEqual(slow.calls, ['remove a', 'put a']);
  assert.equal(slow.held.get('a'), 2);
});

test('a removal that fails ends the next walk once, and is tried again in the one after', async () => {
  const { writer, slow, quick, above, list } = setup();
  writer.delete('a');
  walk(list);
  slow.ends[0]?.reject(new Error('Cannot remove a: EBUSY'));
  await above.leaving('a');
  assert.equal(walk(list), false);
  assert.equal(above.status.error, 'Cannot remove a: EBUSY');
  assert.deepEqual(slow.calls, ['remove a']);
  walk(list);
  assert.deepEqual(slow.calls, ['remove a', 'remove a']);
  assert.equal(quick.held.has('a'), true);
});

test('the engine goes on by itself when something is gone', async () => {
  const { writer, slow, quick, above, list } = setup();
  const machine = engine({ derivations: [], walks: [list], clock: systemClock });
  writer.delete('a');
  await machine.settled();
  assert.equal(quick.held.has('a'), true);
  slow.ends[0]?.resolve();
  await above.leaving('a');
  await machine.settled();
  assert.deepEqual([slow.held.has('a'), quick.held.has('a'), machine.status.commits], [false, false, 2]);
  machine.close();
});
