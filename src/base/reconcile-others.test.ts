// SPDX-License-Identifier: Apache-2.0
// What a reconciler does where single entries fail, and where others change its target.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { forEachEntry } from './ledger.ts';
import { reconciler, walk, walkUntil } from './reconcile.ts';
import type { Target } from './reconcile.ts';
import { table } from './table.ts';

/** A table with rows, and a map in memory that is to be equal to it. */
function setup(rows: Readonly<Record<string, number>>) {
  const desired = table<string, number>('desired');
  const writer = desired.writer('test');
  for (const [key, row] of Object.entries(rows)) writer.put(key, row);
  const held = new Map<string, number>();
  const target: Target<string, number> = {
    name: 'place',
    list: () => [...held],
    put: (entries) => entries.forEach(([key, value]) => held.set(key, value)),
    remove: (entries) => entries.forEach(([key]) => held.delete(key)),
  };
  return { writer, held, one: reconciler(desired, target) };
}

test('invariant 5: where one entry fails, what points at it waits and the rest of the walk goes on', () => {
  const held: string[] = [];
  const broken = new Set(['b']);
  const pointers = table<string, number>('pointers');
  const links = table<string, number>('links');
  const linkTarget: Target<string, number> = {
    name: 'links',
    list: () => [],
    put: (entries) =>
      forEachEntry(entries, (key) => {
        if (broken.has(key)) throw new Error(`Cannot make ${key}`);
      }),
    remove: () => {},
  };
  const pointerTarget: Target<string, number> = {
    name: 'pointers',
    list: () => [],
    put: (entries) => void held.push(...entries.map(([key]) => key)),
    remove: () => {},
  };
  const linkWriter = links.writer('test');
  const pointerWriter = pointers.writer('test');
  for (const key of ['a', 'b', 'c']) {
    linkWriter.put(key, 1);
    pointerWriter.put(key, 1);
  }
  const first = reconciler(links, linkTarget);
  const second = reconciler(pointers, pointerTarget, { waitsFor: (key) => first.trouble(key) });
  assert.equal(
    walkUntil([first, second], () => false),
    'partly',
  );
  assert.deepEqual([held, first.status.error], [['a', 'c'], undefined]);
  assert.deepEqual([...first.status.refused], [['b', 'Cannot make b']]);
  assert.deepEqual([first.trouble('a'), first.trouble('b'), second.trouble('b')], [undefined, 'Cannot make b', 'Cannot make b']);
  assert.equal(
    walkUntil([first, second], () => false),
    'partly',
    'and again, without end',
  );
  broken.clear();
  assert.equal(
    walkUntil([first, second], () => false),
    'done',
  );
  assert.deepEqual([held, first.status.refused.size], [['a', 'c', 'b'], 0]);
});

test('invariant 5: many entries that fail do not keep those behind them waiting', () => {
  const rows = Object.fromEntries(Array.from({ length: 3000 }, (_, i) => [`k${i}`, i]));
  const desired = table<string, number>('desired');
  const writer = desired.writer('test');
  for (const [key, row] of Object.entries(rows)) writer.put(key, row);
  let written = 0;
  const target: Target<string, number> = {
    name: 'place',
    list: () => [],
    put: (entries) =>
      forEachEntry(entries, (_, value) => {
        if (value < 2000) throw new Error('Cannot put');
        written++;
      }),
    remove: () => {},
  };
  const one = reconciler(desired, target);
  for (let walks = 0; walks < 6; walks++)
    assert.equal(
      walkUntil([one], () => false),
      'partly',
    );
  assert.deepEqual([written, one.pending, one.status.refused.size], [1000, 2000, 2000]);
});

test('a look in parts finds what others changed, and not what was written meanwhile', () => {
  const { writer, held, one } = setup({ a: 1, b: 2, c: 3 });
  writer.complete();
  walk([one]);
  held.set('a', 9).set('stray', 1).delete('c');
  assert.equal(
    one.look(() => true),
    false,
  );
  writer.put('b', 4);
  walk([one]);
  writer.put('b', 2);
  walk([one]);
  while (!one.look(() => true));
  walk([one]);
  assert.deepEqual(Object.fromEntries(held), { a: 1, b: 2, c: 3 });
  assert.equal(
    one.look(() => false),
    true,
  );
  assert.equal(one.pending, 0);
});

test('a key in doubt is written again, whatever is remembered of it', () => {
  const { writer, held, one } = setup({ a: 1 });
  writer.complete();
  walk([one]);
  held.clear();
  one.doubt('a');
  one.doubt('nobody');
  walk([one]);
  assert.deepEqual([Object.fromEntries(held), one.pending], [{ a: 1 }, 0]);
});

test('a key that no walk has come to yet is in trouble, also where the walk ended before it', () => {
  const { one: second } = setup({ a: 1 });
  const desired = table<string, number>('first');
  desired.writer('test').put('a', 1);
  const fail = () => {
    throw new Error('Cannot list');
  };
  const first = reconciler(desired, { name: 'first', list: fail, put: () => {}, remove: () => {} });
  assert.equal(
    walkUntil([first, second], () => false),
    'failed',
  );
  assert.deepEqual(
    [first.trouble('a'), second.trouble('a'), second.trouble('nobody')],
    ['Cannot list', 'place has not been reached yet', undefined],
  );
});

test('of a row that the target has already, one is kept: the one of the table', () => {
  const row = { value: 1 };
  const removed: unknown[] = [];
  const desired = table<string, { value: number }>('desired');
  const writer = desired.writer('test');
  writer.put('a', row);
  writer.complete();
  const one = reconciler(desired, {
    name: 'place',
    list: () => [['a', { ...row }] as const],
    put: () => assert.fail('It is there already'),
    remove: (entries) => void removed.push(...entries.map(([, value]) => value)),
  });
  walk([one]);
  writer.delete('a');
  walk([one]);
  assert.equal(removed[0], row);
});
