// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isTooFull, largestSize, nextSize } from './sizes.ts';
import { maps } from './schema.gen.ts';

const GIB = 2 ** 30;
const none = { size: undefined, entries: 0, predecessors: [] };

test('conntrack has its declared size on a small server and less on a small board', () => {
  assert.equal(nextSize(maps.conntrack, none, 8 * GIB), 131_072);
  assert.equal(nextSize(maps.conntrack, none, 2 * GIB), 65_536);
  assert.equal(nextSize(maps.conntrack, none, GIB), 32_768);
  assert.equal(nextSize(maps.lbSlots, none, GIB), 262_144);
});

test('a map that is too full becomes twice as large, up to what the node allows', () => {
  const at = (size: number, share: number) => ({ size, entries: Math.floor(size * share), predecessors: [] });
  assert.equal(nextSize(maps.conntrack, at(131_072, 0.7), 64 * GIB), 131_072);
  assert.equal(nextSize(maps.conntrack, at(131_072, 0.71), 64 * GIB), 262_144);
  assert.equal(nextSize(maps.conntrack, at(131_072, 1), 2 * GIB), 131_072, 'it keeps what it has');
  assert.equal(nextSize(maps.endpoints, at(4096, 0.9), GIB), 8192);
  assert.equal(nextSize(maps.endpoints, at(65_536, 1), GIB), largestSize(maps.endpoints, GIB));
  assert.equal(isTooFull(7001, 10_000), true);
});

test('what an earlier map holds has room in the new one', () => {
  assert.equal(nextSize(maps.lbServices, { ...none, predecessors: [1000, 1 << 20] }, GIB), 1 << 20);
});
