// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseMac } from '../base/ip.ts';
import { netnsMissing } from '../kernel/testdata/harness.ts';
import { segmentsOf } from './segments.ts';

const mac = parseMac('02:00:00:00:00:01');
if (mac === undefined) throw new Error('Cannot read the MAC of the test');
const loopback = { name: 'lo', index: 1, mac };

test('a segment is one while it is wanted, and none is opened once all are disposed of', { skip: netnsMissing }, () => {
  const segments = segmentsOf(() => undefined);
  const names = () => Array.from(segments.all(), ({ name }) => name);
  segments.set([loopback], 0);
  assert.deepEqual(names(), ['lo']);
  segments.set([], 1);
  assert.deepEqual(names(), []);
  segments.set([loopback], 2);
  segments[Symbol.dispose]();
  segments.set([loopback], 3); // a socket that is opened now would keep the process
  assert.deepEqual(names(), []);
});
