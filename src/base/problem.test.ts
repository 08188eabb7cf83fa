// SPDX-License-Identifier: Apache-2.0
// How Problems come and go.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { problem, problemBook } from './problem.ts';

const of = (object: string, message = 'is bad') => problem({ object, reason: 'Bad', message, advice: 'Repair it' });

test('invariant 2: an owner replaces all that it said before, and others keep what they said', () => {
  const book = problemBook();
  book.report('one', [of('A'), of('B')]);
  book.report('two', [of('A')]);
  book.report('one', [of('B')]);
  assert.deepEqual([...book.table.entries()].map(([key]) => key).toSorted(), ['one B Bad', 'two A Bad']);
  book.report('one', []);
  book.report('two', []);
  assert.equal(book.table.size, 0);
});

test('a Problem said again in the same words changes nothing', () => {
  const book = problemBook();
  book.report('one', [of('A')]);
  const changes = book.table.changes();
  changes.take();
  book.report('one', [of('A')]);
  assert.equal(changes.pending, 0);
  book.report('one', [of('A', 'is worse')]);
  assert.equal(changes.pending, 1);
});

test('the table of Problems is complete and has its one writer', () => {
  const book = problemBook();
  assert.equal(book.table.complete, true);
  assert.throws(() => book.table.writer('test'), /problem book is its one writer/);
});
