// SPDX-License-Identifier: Apache-2.0

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rangesOf, rangeSize, rangeText } from './range.ts';
import type { Block } from './range.ts';

const good: readonly (readonly [block: Block, wanted: string])[] = [
  [{ cidr: '192.168.0.192/28' }, '192.168.0.192-192.168.0.207'],
  [{ cidr: '192.168.0.1/32' }, '192.168.0.1'],
  [{ start: '192.168.0.220', stop: '192.168.0.239' }, '192.168.0.220-192.168.0.239'],
  [{ start: '192.168.0.220' }, '192.168.0.220'],
  [{ start: 'fd00::1', stop: 'fd00::ff' }, 'fd00::1-fd00::ff'],
  [{ cidr: 'fd00::/64' }, 'fd00::-fd00::ffff:ffff:ffff:ffff'],
];

for (const [block, wanted] of good)
  test(`block ${JSON.stringify(block)} is ${wanted}`, () => {
    const { ranges, wrong } = rangesOf([block], false);
    assert.deepEqual([ranges.map((range) => rangeText(range)), wrong], [[wanted], []]);
  });

const bad: readonly (readonly [block: Block, why: RegExp])[] = [
  [{ start: '192.168.0.239', stop: '192.168.0.220' }, /from 192\.168\.0\.239 down to 192\.168\.0\.220, wanted start before stop/],
  [{ start: '192.168.0.220', stop: 'fd00::1' }, /wanted both of one family/],
  [{ start: '192.168.0.256' }, /has start 192\.168\.0\.256, wanted an IP address/],
  [{ start: '192.168.0.1', stop: 'x' }, /has stop x/],
  [{ stop: '192.168.0.1' }, /neither cidr nor start/],
  [{ cidr: '192.168.0.0/33' }, /has cidr 192\.168\.0\.0\/33/],
  [{ cidr: '192.168.0.0' }, /wanted a prefix/],
  [{}, /neither cidr nor start/],
];

for (const [block, why] of bad)
  test(`block ${JSON.stringify(block)} is a Problem, and the block beside it in effect`, () => {
    const { ranges, wrong } = rangesOf([block, { start: '10.0.0.1' }], false);
    assert.equal(ranges.map((range) => rangeText(range)).join(), '10.0.0.1');
    assert.match(wrong.map(({ message }) => message).join(), why);
  });

test('what a block is although it may be meant otherwise', () => {
  const { ranges, wrong } = rangesOf([{ cidr: '192.168.1.200/28' }, { cidr: '10.0.0.0/30', start: '10.0.0.9' }], false);
  assert.deepEqual(
    ranges.map((range) => rangeText(range)),
    ['192.168.1.192-192.168.1.207', '10.0.0.0-10.0.0.3'],
  );
  assert.match(wrong[0]?.message ?? '', /has cidr 192\.168\.1\.200\/28, which is 192\.168\.1\.192-192\.168\.1\.207/);
  assert.match(wrong[1]?.message ?? '', /of which cidr is in effect/);
});

test('a /64 has more addresses than a number can say', () => {
  const [range] = rangesOf([{ cidr: 'fd00::/64' }], true).ranges;
  assert.equal(range && rangeSize(range), 18_446_744_073_709_551_616n);
});
