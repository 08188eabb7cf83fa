// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { uuidCounter, uuidsOf } from './uuid.ts';

const uuids = uuidsOf('default/node1');

it('a uuid says its position, and is one of version 8', () => {
  for (const position of [0, 1, 255, 65_535, 65_536, 2 ** 32, 2 ** 48 - 1, 2 ** 48, 1_764_000_000_000_000, Number.MAX_SAFE_INTEGER]) {
    const uuid = uuids.of(position);
    assert.match(uuid, /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.equal(uuids.position(uuid), position);
    assert.equal(uuidsOf('default/node2').position(uuid), undefined, 'to its own node only');
  }
});

it('what is none of ours has no position', () => {
  const good = uuids.of(7);
  for (const bad of [
    '',
    good.slice(1),
    `${good}0`,
    good.replace(/.$/, 'G'),
    good.toUpperCase(),
    good.replace(/-(?=[^-]*$)/, '0'),
    good.replace(/-8([^-]*-[^-]*)$/, '-0$1'),
  ])
    assert.equal(uuids.position(bad), undefined, bad);
});

it('a counter grows, from the time on and behind what it is told', () => {
  const counter = uuidCounter(uuids, 1000);
  const positions = [counter.next(), counter.next()].map(uuids.position);
  assert.deepEqual(positions, [1_000_001, 1_000_002]);
  counter.skip(5);
  assert.equal(uuids.position(counter.next()), 1_000_003);
  counter.skip(2_000_000);
  assert.equal(uuids.position(counter.next()), 2_000_001);
});
