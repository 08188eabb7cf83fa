// SPDX-License-Identifier: Apache-2.0
// Who has an address that several want.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { Aged } from '../base/age.ts';
import { addressConflict, firstClaim } from './claims.ts';

const ages = new Map<string, Aged>([
  ['shop/old', { created: '2026-01-01T00:00:00Z' }],
  ['shop/young', { created: '2026-01-02T00:00:00Z' }],
  ['node1', { created: '2026-01-03T00:00:00Z' }],
]);
const prefer = firstClaim(({ name }) => ages.get(name));

test('the values come first, then Nodes, then pods by age and name', () => {
  const wanted = ['native 10.0.0.0/8', 'node node1', 'pod shop/old', 'pod shop/young', 'pod shop/a', 'pod shop/b'];
  assert.deepEqual(wanted.toReversed().toSorted(prefer), wanted);
  assert.deepEqual([...wanted.slice(3), ...wanted.slice(0, 3)].toSorted(prefer), wanted);
});

test('two with one address are a Problem of the one that does not get it; prefixes are not', () => {
  const said = (row: string, winner: string, loser: string) => {
    const found = addressConflict(row, winner, loser);
    return found && `${found.object} ${found.reason}: ${found.message}`;
  };
  assert.equal(
    said('10.244.1.5/128', 'pod shop/old', 'pod shop/young'),
    'Pod shop/young SameAddress: 10.244.1.5 belongs to Pod shop/old, and is taken for it',
  );
  assert.match(said('192.168.0.11/128', 'node node1', 'node node2') ?? '', /^Node node2 SameAddress: .* belongs to Node node1/);
  assert.equal(said('10.244.1.0/120', 'node node1', 'node node2'), undefined);
  assert.equal(said('10.244.1.5/128', 'native 10.244.1.5/32', 'pod shop/old'), undefined);
});
