// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ip } from '../base/ip.ts';
import type { MemberRow } from './members.ts';
import type { OwnerRow } from './owners.ts';
import { reachableFor } from './reachable.ts';

const A = '192.168.0.220';
const row = (address: string, owner: string | undefined, holds: boolean): OwnerRow => ({
  ip: ip(address),
  services: ['shop/web'],
  balanced: true,
  policies: ['policy'],
  owner,
  interfaces: ['eth0'],
  why: 'node2 has no interface for it',
  epoch: 1,
  held: holds ? { epoch: 1, level: 2, interfaces: ['eth0'] } : undefined,
  probes: undefined,
  rivals: [],
  candidates: [],
});
const peer = (node: string, sights: Readonly<Record<string, boolean>>): MemberRow => ({
  node,
  interfaces: [],
  claims: [],
  sights: Object.entries(sights).map(([address, found]) => ({ ip: ip(address), found })),
  cedes: [],
});
const told = (rows: readonly OwnerRow[], peers: readonly MemberRow[], isFirst = false) =>
  [...reachableFor('shop/web', rows, { peers, isFirst })].map(([, { status, reason }]) => `${status} ${reason}`).join();

describe('the condition Reachable of a Service', () => {
  const held = [row(A, 'node1', true)];
  it('is True when somebody else finds it', () =>
    assert.equal(told(held, [peer('node2', { [A]: true }), peer('node3', { [A]: false })]), 'True Found'));
  it('is False when everybody who asks does not', () => assert.equal(told(held, [peer('node2', { [A]: false })]), 'False NotFound'));
  it('is Unknown when nobody asks', () => assert.equal(told(held, []), 'Unknown NobodyAsks'));
  it('is that of the worst address', () => {
    const both = [...held, row('192.168.0.221', 'node2', false)];
    assert.equal(told(both, [peer('node3', { [A]: true, '192.168.0.221': false })]), 'False NotFound');
  });
  it('is told by whoever answers for the first address, and of what nobody answers for by the first node', () => {
    assert.equal(told([row(A, 'node2', false)], [peer('node2', {})], true), '');
    assert.equal(told([row(A, undefined, false)], [], true), 'False NobodyAnswers');
    assert.equal(told([row(A, undefined, false)], [], false), '');
  });
});
