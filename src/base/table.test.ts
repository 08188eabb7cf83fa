// SPDX-License-Identifier: Apache-2.0
// What a table promises its one writer and its many readers.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { table } from './table.ts';

test('invariant 1: a table has one writer', () => {
  const pods = table<string, number>('pods');
  pods.writer('the CNI socket');
  assert.throws(() => pods.writer('a watch'), /Cannot make a watch a writer of table pods: the CNI socket is its one writer/);
});

test('a reader that comes late starts with every row as changed', () => {
  const pods = table<string, number>('pods');
  const writer = pods.writer('test');
  writer.put('a', 1);
  const changes = pods.changes();
  assert.equal(changes.pending, 1);
  assert.deepEqual([...changes.take()], [['a', undefined]]);
  assert.equal(changes.pending, 0);
});

test('each reader sees a key once, with the row that it saw last, however often it changed', () => {
  const pods = table<string, number>('pods');
  const writer = pods.writer('test');
  const early = pods.changes();
  writer.put('a', 1);
  early.take();
  const late = pods.changes();
  writer.put('a', 2);
  writer.put('a', 3);
  writer.delete('a');
  assert.deepEqual([...early.take()], [['a', 1]]);
  assert.deepEqual([...late.take()], [['a', undefined]]);
});

test('a reader that takes a few changes gets the oldest, and the rest later', () => {
  const pods = table<string, number>('pods');
  const writer = pods.writer('test');
  const changes = pods.changes();
  for (const key of ['a', 'b', 'c']) writer.put(key, 1);
  assert.deepEqual([...changes.take(2).keys()], ['a', 'b']);
  writer.put('a', 2);
  assert.deepEqual(
    [...changes.take(2)],
    [
      ['c', undefined],
      ['a', 1],
    ],
  );
  assert.equal(changes.take(0).size, 0);
});

test('what a reader took does not change in its hands', () => {
  const pods = table<string, number>('pods');
  const writer = pods.writer('test');
  const changes = pods.changes();
  const nothing = changes.take();
  writer.put('a', 1);
  const taken = changes.take();
  writer.put('b', 1);
  assert.deepEqual([nothing.size, taken.size], [0, 1]);
});

test('a row that is the same changes nothing', () => {
  const pods = table<string, { readonly n: number }>('pods', { same: (a, b) => a.n === b.n });
  const writer = pods.writer('test');
  const first = { n: 1 };
  writer.put('a', first);
  const changes = pods.changes();
  changes.take();
  writer.put('a', { n: 1 });
  writer.delete('b');
  assert.equal(changes.pending, 0);
  assert.equal(pods.get('a'), first);
});

test('an index follows its rows', () => {
  const slices = table<string, readonly string[]>('slices', { indexes: { service: (names) => names } });
  const writer = slices.writer('test');
  writer.put('1', ['x', 'y', 'x']);
  writer.put('2', ['x']);
  assert.equal([...slices.by('service', 'x')].length, 2);
  writer.put('1', ['z']);
  assert.deepEqual([...slices.by('service', 'x')], [['x']]);
  writer.delete('2');
  assert.deepEqual([...slices.by('service', 'x')], []);
  assert.deepEqual([...slices.by('service', 'z')], [['z']]);
});

test('a lookup in an index that is not there names those that are', () => {
  const slices = table<string, string>('slices', { indexes: { service: (row) => [row] } });
  assert.throws(() => [...slices.by('node', 'n1')], /Cannot look up index 'node' of table slices, wanted one of: service/);
});

test('a table is complete from the moment its writer says so', () => {
  const pods = table<string, number>('pods');
  const writer = pods.writer('test');
  assert.equal(pods.complete, false);
  writer.complete();
  assert.equal(pods.complete, true);
});
