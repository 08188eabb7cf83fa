// SPDX-License-Identifier: Apache-2.0
// Handing out numbers.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { assign, assignSlots, number } from './assign.ts';
import type { Numbered } from './assign.ts';
import { problemBook } from './problem.ts';
import { randomFrom, seedOfRun } from './random.ts';
import { table } from './table.ts';

const cases: readonly { what: string; previous: Record<string, number>; wanted: string[]; free: number[]; out: Record<string, number> }[] =
  [
    { what: 'new keys take free numbers in order', previous: {}, wanted: ['a', 'b'], free: [3, 4, 5], out: { a: 3, b: 4 } },
    {
      what: 'a number that is still valid stays, also when an earlier key is new',
      previous: { b: 3 },
      wanted: ['a', 'b'],
      free: [3, 4],
      out: { a: 4, b: 3 },
    },
    {
      what: 'of two keys with one number the earlier keeps it',
      previous: { a: 3, b: 3 },
      wanted: ['a', 'b'],
      free: [3, 4],
      out: { a: 3, b: 4 },
    },
    { what: 'keys for which none is left have none', previous: {}, wanted: ['a', 'b'], free: [3], out: { a: 3 } },
    { what: 'a number offered twice is given once', previous: {}, wanted: ['a', 'b'], free: [3, 3, 4], out: { a: 3, b: 4 } },
    { what: 'a key wanted twice does not move', previous: { a: 3 }, wanted: ['a', 'a'], free: [4], out: { a: 3 } },
  ];
for (const { what, previous, wanted, free, out } of cases) {
  test(`invariant 6: ${what}`, () => {
    assert.deepEqual(Object.fromEntries(assign((key) => previous[key], wanted, free)), out);
  });
}

test('invariant 6: whatever comes and goes, a number still valid never moves and no number is given twice', (context) => {
  const seed = seedOfRun();
  context.diagnostic(`SEED=${seed}`);
  const random = randomFrom(seed);
  let before = new Map<string, number>();
  for (let step = 0; step < 500; step++) {
    const wanted = Array.from({ length: random.below(30) }, () => `k${random.below(40)}`);
    const after = assign(
      (key) => before.get(key),
      wanted,
      Array.from({ length: 25 }, (_, i) => i),
    );
    assert.equal(new Set(after.values()).size, after.size);
    for (const [key, id] of after) if (before.has(key)) assert.equal(id, before.get(key));
    assert.equal(after.size, Math.min(25, new Set(wanted).size));
    before = after;
  }
});

test('invariant 6: slots are 0 to n - 1 and a key moves only when its slot is beyond the end', (context) => {
  const seed = seedOfRun();
  context.diagnostic(`SEED=${seed}`);
  const random = randomFrom(seed);
  let before: string[] = [];
  for (let step = 0; step < 500; step++) {
    const wanted = [...new Set(Array.from({ length: random.below(12) }, () => `k${random.below(15)}`))];
    const after = assignSlots(before, wanted);
    assert.deepEqual(after.toSorted(), wanted.toSorted());
    for (const [slot, key] of before.entries()) if (slot < after.length && wanted.includes(key)) assert.equal(after[slot], key);
    before = after;
  }
});

test('one backend of a hundred goes: one other moves', () => {
  const before = Array.from({ length: 100 }, (_, i) => i);
  const after = assignSlots(
    before,
    before.filter((key) => key !== 10),
  );
  assert.deepEqual(
    after.filter((key, slot) => before[slot] !== key),
    [99],
  );
});

function numbering(range: readonly [number, number], durable: Record<string, number> = {}) {
  const services = table<string, string>('services');
  const ids = table<string, Numbered>('service ids');
  const book = problemBook();
  const derivation = number({
    name: 'service ids',
    from: services,
    out: ids.writer('service ids'),
    previous: (key) => durable[key],
    reserved: Object.values(durable),
    range,
    problems: book,
  });
  const now = () => {
    derivation.run();
    return Object.fromEntries([...ids.entries()].map(([key, { id }]) => [key, id]));
  };
  return { services: services.writer('test'), ids, book, now };
}

test('invariant 6: after a restart every row has the number that is durable, in whatever order rows come', () => {
  const { services, ids, now } = numbering([1, 100], { a: 7, b: 3 });
  services.put('new', '');
  services.put('b', '');
  assert.deepEqual(now(), { new: 8, b: 3 });
  services.put('a', '');
  assert.deepEqual(now(), { new: 8, b: 3, a: 7 });
  assert.equal(ids.complete, false);
  services.complete();
  now();
  assert.equal(ids.complete, true);
});

test('a number of a row that is gone is free once all rows have been heard of, and is taken as late as possible', () => {
  const { services, now } = numbering([1, 3], { gone: 2 });
  for (const key of ['a', 'b']) services.put(key, '');
  assert.deepEqual(now(), { a: 3, b: 1 });
  services.put('c', '');
  assert.deepEqual(now(), { a: 3, b: 1 });
  services.complete();
  now();
  assert.deepEqual(now(), { a: 3, b: 1, c: 2 });
  services.delete('a');
  services.put('d', '');
  assert.deepEqual(now(), { b: 1, c: 2, d: 3 });
});

test('a row that goes and comes back between two runs keeps its number', () => {
  const { services, now } = numbering([1, 9]);
  services.put('a', '');
  now();
  services.delete('a');
  services.put('a', 'again');
  assert.deepEqual(now(), { a: 1 });
});

test('invariant 2: when no number is left that is a Problem, and the row gets the next one that is free', () => {
  const { services, book, now } = numbering([1, 2]);
  services.complete();
  for (const key of ['a', 'b', 'c']) services.put(key, '');
  assert.deepEqual(now(), { a: 1, b: 2 });
  assert.deepEqual(
    [...book.table.entries()].map(([, row]) => row.message),
    ['1 rows of services have no number: all of 1 to 2 are in use'],
  );
  services.delete('a');
  assert.deepEqual(now(), { b: 2, c: 1 });
  assert.equal(book.table.size, 0);
});
