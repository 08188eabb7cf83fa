// SPDX-License-Identifier: Apache-2.0
// Nodes that hear all of each other at once, on a clock of their own.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ip } from '../base/ip.ts';
import type { Ip } from '../base/ip.ts';
import { table } from '../base/table.ts';
import { sameRow } from '../base/same.ts';
import { announcerRows } from '../l2/announcers.ts';
import type { AnnouncerRow } from '../l2/announcers.ts';
import type { Cession, MemberRow } from '../l2/members.ts';
import { ownersFor } from '../l2/testdata/owners-for.ts';
import type { OwnerRow } from '../l2/owners.ts';
import { policyRows } from '../l2/policy.ts';
import type { PolicyRow } from '../l2/policy.ts';
import { cessionsOf, STEADY_MS } from './cessions.ts';

const SECOND = 1000;
const STEP = 5;

function clusterOf(names: readonly string[], addresses: readonly Ip[]) {
  let now = 0;
  const clock = { now: () => now, monotonic: () => now };
  const policies = table<string, PolicyRow>('policies');
  const put = policies.writer('test');
  for (const row of policyRows({ metadata: { name: 'policy' }, spec: { loadBalancerIPs: true } })) if (!('kind' in row)) put.put(...row);
  const announcers = table<string, AnnouncerRow>('announcers');
  const known = announcers.writer('test');
  for (const name of names) for (const row of announcerRows({ metadata: { name, uid: name } })) known.put(...row);
  const alive = new Set(names);
  const nodes = new Map(
    names.map((name) => {
      const tables = {
        owners: table<string, OwnerRow>('owners', { same: sameRow }),
        peers: table<string, MemberRow>('peers', { same: sameRow }),
        cedes: table<string, Cession>('cedes', { same: sameRow }),
      };
      const cessions = cessionsOf({ self: name, l2: tables, clock, changed: () => undefined });
      return [name, { ...tables, cessions, rows: tables.owners.writer('test'), others: tables.peers.writer('test') }] as const;
    }),
  );
  const said = (name: string): MemberRow => ({
    node: name,
    interfaces: [{ name: 'eth0', mac: undefined, prefixes: ['10.0.0.0/8'], fault: undefined }],
    claims: Array.from(nodes.get(name)?.owners.entries() ?? []).flatMap(([, { ip: address, held }]) =>
      held ? [{ ip: address, epoch: held.epoch, level: held.level }] : [],
    ),
    sights: [],
    cedes: Array.from(nodes.get(name)?.cedes.entries() ?? [], ([, row]) => row),
  });
  /** A few rounds of hellos. */
  const talk = () => {
    for (let round = 0; round < 3; round++)
      for (const self of alive) {
        const { owners, rows, others } = nodes.get(self) ?? assert.fail();
        const members = [...alive].map(said);
        for (const name of names)
          if (name !== self)
            if (alive.has(name)) others.put(name, said(name));
            else others.delete(name);
        const vips = addresses.map((address) => ({ ip: address, services: [], balanced: true, policies: ['policy'], local: [] }));
        const input = { self, policies, announcers, vips, members };
        for (const row of ownersFor({ ...input, before: (one) => owners.get(one), probe: () => ({ taken: undefined }) })) rows.put(...row);
      }
  };
  return {
    nodes,
    alive,
    talk,
    /** Five seconds pass. */
    step() {
      now += STEP * SECOND;
      for (const name of alive) nodes.get(name)?.cessions.seldom();
      talk();
    },
    owners: () => addresses.map((address) => nodes.get([...alive][0] ?? '')?.owners.get(address)?.owner ?? 'nobody'),
    holders: () => addresses.map((address) => [...alive].filter((name) => nodes.get(name)?.owners.get(address)?.held).length),
  };
}

const NAMES = ['node1', 'node2', 'node3'];
const addresses = (count: number) => Array.from({ length: count }, (_, i) => ip(`10.0.${i >> 8}.${i & 255}`));

describe('when a node comes back', () => {
  for (const [count, most] of [
    [3, 1],
    [30, 8],
  ] as const)
    it(`it gets some of ${count} addresses: late, few, and not all at once`, () => {
      const cluster = clusterOf(NAMES, addresses(count));
      cluster.alive.delete('node3');
      cluster.talk();
      cluster.alive.add('node3');
      const moved = new Map<number, number>();
      let before = cluster.owners();
      assert.ok(!before.includes('node3'));
      for (let second = STEP; second <= 900; second += STEP) {
        cluster.step();
        const after = cluster.owners();
        const moves = after.filter((owner, i) => owner !== before[i]).length;
        if (moves > 0) moved.set(second, moves);
        before = after;
        assert.ok(cluster.holders().every((holders) => holders === 1));
      }
      const all = [...moved.values()].reduce((sum, one) => sum + one, 0);
      const loads = NAMES.map((name) => before.filter((owner) => owner === name).length);
      assert.ok(Math.max(...loads) <= Math.ceil((1.25 * count) / 3), loads.join());
      assert.ok(all <= most, `${all} moves`);
      assert.ok(Math.min(...moved.keys()) >= STEADY_MS / SECOND);
      assert.ok(Math.max(...moved.values()) <= Math.ceil(count / 20) * 2, [...moved.values()].join());
      assert.ok(Math.max(...moved.keys()) < 800, 'it comes to rest');
    });

  it('nothing moves where nobody has more than a quarter above his share', () => {
    const cluster = clusterOf(NAMES, addresses(30));
    cluster.talk();
    const before = cluster.owners();
    for (let second = 0; second < 300; second += STEP) cluster.step();
    assert.deepEqual(cluster.owners(), before);
  });
});

it('an address that others do not find here is handed over, and does not come back while that is remembered', () => {
  const [address = ip('::')] = addresses(1);
  const cluster = clusterOf(NAMES, [address]);
  cluster.talk();
  const [first = ''] = cluster.owners();
  cluster.nodes.get(first)?.cessions.cede(address, 'is not found there', 600 * SECOND);
  cluster.talk();
  const [second = ''] = cluster.owners();
  assert.notEqual(second, first);
  cluster.nodes.get(second)?.cessions.cede(address, 'is not found there', 600 * SECOND);
  cluster.talk();
  const [third = ''] = cluster.owners();
  assert.deepEqual(new Set([first, second, third]).size, 3);
  cluster.nodes.get(third)?.cessions.cede(address, 'is not found there', 600 * SECOND);
  for (let i = 0; i < 10; i++) cluster.step();
  assert.deepEqual(cluster.owners(), [third], 'where all are alike it stays');
});
