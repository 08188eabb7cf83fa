// SPDX-License-Identifier: Apache-2.0
// Which rows are the same.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { sameRow } from './same.ts';

const date = new Date(0);
const cases: readonly (readonly [string, unknown, unknown, boolean])[] = [
  ['equal primitives', 'a', 'a', true],
  ['NaN and itself', NaN, NaN, true],
  ['a number and its text', 1, '1', false],
  ['big numbers', 2n ** 70n, 2n ** 70n, true],
  ['nested rows', { a: [1, { b: 2 }] }, { a: [1, { b: 2 }] }, true],
  ['rows with their fields in another order', { a: 1, b: 2 }, { b: 2, a: 1 }, true],
  ['a row with one more field', { a: 1 }, { a: 1, b: 2 }, false],
  ['a field that is undefined and one that is missing', { a: undefined }, {}, false],
  ['a missing field and an inherited one', { toString: 1 }, { a: 1 }, false],
  ['lists in another order', [1, 2], [2, 1], false],
  ['a list and its beginning', [1, 2], [1], false],
  ['a list and an object', [], {}, false],
  ['equal bytes', Buffer.from('ab'), new Uint8Array([97, 98]), true],
  ['other bytes', Buffer.from('ab'), Buffer.from('ac'), false],
  ['bytes and a list', Buffer.from([1]), [1], false],
  ['undefined and a row', undefined, {}, false],
  ['two Maps with different contents', new Map([[1, 2]]), new Map(), false],
  ['two Dates', date, new Date(1), false],
  ['a Date and itself', date, date, true],
];
for (const [what, a, b, same] of cases) {
  test(`${what} are ${same ? '' : 'not '}the same`, () => {
    assert.equal(sameRow(a, b), same);
    assert.equal(sameRow(b, a), same);
  });
}
