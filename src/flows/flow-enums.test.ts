// SPDX-License-Identifier: Apache-2.0

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DropReason, dropReasonTexts } from './drop-reasons.ts';
import * as enums from './flow-enums.ts';
import { TcpFlag } from './flow.ts';

test('a number that a set does not have is shown as it is', () => {
  assert.equal(enums.enumName(enums.Verdict, 2), 'DROPPED');
  assert.equal(enums.enumName(enums.Verdict, 99), '99');
  assert.equal(enums.enumName(enums.TraceObservationPoint, 101), 'TO_ENDPOINT');
});

test('numbers within a set differ', () => {
  for (const [name, set] of Object.entries({ ...enums, DropReason, TcpFlag })) {
    if (typeof set === 'function') continue;
    assert.equal(new Set(Object.values(set)).size, Object.keys(set).length, name);
  }
});

test('each drop reason has words', () => {
  assert.deepEqual(Object.keys(dropReasonTexts), Object.values(DropReason).map(String));
});

test('flags of TCP are the bits of its header', () => {
  assert.deepEqual(Object.values(TcpFlag), [1, 2, 4, 8, 16, 32, 64, 128, 256]);
});
