// SPDX-License-Identifier: Apache-2.0
// Clusters whose nodes hear of each other and of the API late, in any order, or not at all. When it is quiet again every address has
// one node that answers, the same in everybody's eyes, and it was never nobody's while a node could have it and knew of nobody else.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ip } from '../base/ip.ts';
import { randomFrom, seedOfRun } from '../base/random.ts';
import type { Random } from '../base/random.ts';
import { table } from '../base/table.ts';
import { announcerRows } from './announcers.ts';
import type { AnnouncerRow } from './announcers.ts';
import type { MemberRow } from './members.ts';
import { ownersFor } from './testdata/owners-for.ts';
import type { OwnerRow } from './owners.ts';
import { policyRows } from './policy.ts';
import type { PolicyRow } from './policy.ts';
import type { VipRow } from './vips.ts';

const names = ['node1', 'node2', 'node3', 'node4'];
const addresses = Array.from({ length: 6 }, (_, i) => ip(`192.168.0.${220 + i}`));
const policies = table<string, PolicyRow>('policies');
const writer = policies.writer('test');
for (const row of policyRows({ metadata: { name: 'policy' }, spec: { loadBalancerIPs: true } })) if (!('kind' in row)) writer.put(...row);

/** What the API says: who is cordoned, who can serve. */
type Facts = { readonly cordoned: readonly string[]; readonly serving: readonly string[] };

type SimulatedNode = {
  facts: Facts;
  fault: string | undefined;
  readonly heard: Map<string, MemberRow>;
  rows: ReadonlyMap<string, OwnerRow>;
};

function announcersOf({ cordoned }: Facts) {
  const out = table<string, AnnouncerRow>('announcers');
  const put = out.writer('test');
  for (const name of names)
    for (const row of announcerRows({ metadata: { name, uid: name }, spec: { unschedulable: cordoned.includes(name) } })) put.put(...row);
  return out;
}

function said(name: string, { fault, rows }: SimulatedNode): MemberRow {
  const claims = [...rows.values()].flatMap(({ ip: address, held }) =>
    held ? [{ ip: address, epoch: held.epoch, level: held.level }] : [],
  );
  return { node: name, interfaces: [{ name: 'eth0', mac: undefined, prefixes: ['192.168.0.0/24'], fault }], claims, sights: [], cedes: [] };
}

function compute(name: string, node: SimulatedNode): void {
  const local = node.facts.serving.length > 0 && node.facts.serving.length < names.length ? [node.facts.serving] : [];
  const vips = addresses.map((address, i): VipRow => ({
    ip: address,
    services: ['shop/web'],
    balanced: true,
    policies: ['policy'],
    local: i % 2 === 0 ? local : [],
  }));
  const members = [said(name, node), ...node.heard.values()];
  const before = (address: string) => node.rows.get(address);
  node.rows = new Map(
    ownersFor({ self: name, policies, announcers: announcersOf(node.facts), vips, members, before, probe: () => ({ taken: undefined }) }),
  );
}

function run(random: Random): void {
  const nodes = new Map<string, SimulatedNode>(
    names.map((name) => [name, { facts: { cordoned: [], serving: [] }, fault: undefined, heard: new Map(), rows: new Map() }]),
  );
  const at = (name: string) => nodes.get(name) ?? assert.fail(name);
  const some = () => names.filter(() => random.chance(0.4));
  const pickName = () => random.pick(names as [string, ...string[]]);
  let facts: Facts = { cordoned: [], serving: [] };
  const step = (name: string) => compute(name, at(name));
  const deliver = (from: string, to: string) => {
    if (from !== to) at(to).heard.set(from, said(from, at(from)));
  };
  for (let turn = 0; turn < 150; turn++) {
    const [one, other] = [pickName(), pickName()];
    const act = random.below(10);
    if (act < 4) deliver(one, other);
    else if (act === 4) at(other).heard.delete(one); // not heard any more
    else if (act === 5) facts = { cordoned: some(), serving: some() };
    else if (act === 6) at(one).facts = facts;
    else if (act === 7) at(one).fault = random.chance(0.5) ? 'no carrier' : undefined;
    else if (act === 8) Object.assign(at(one), { rows: new Map(), heard: new Map() }); // begins anew and knows nothing
    step(one);
    step(other);
    for (const name of [one, other])
      if (at(name).heard.size === 0 && at(name).fault === undefined)
        for (const [address, { held, candidates }] of at(name).rows)
          assert.ok(
            held || candidates.find(({ node }) => node === name)?.level === 0,
            `${name} knows nobody else and leaves ${address} alone`,
          );
  }
  const everybodyHears = (from: string) => {
    for (const to of names) {
      deliver(from, to);
      step(to);
    }
  };
  const talk = (rounds: number) => {
    for (let round = 0; round < rounds; round++) for (const from of names) everybodyHears(from);
    return addresses.map((address) => names.map((name) => at(name).rows.get(address)?.held?.epoch ?? '-').join());
  };
  assert.deepEqual(
    [talk(8), talk(1), talk(1)],
    Array.from({ length: 3 }, () => talk(0)),
    'who knows other facts takes it back for ever',
  );
  for (const node of nodes.values()) Object.assign(node, { facts, fault: undefined });
  talk(6);
  for (const address of addresses) {
    const owners = new Set(names.map((name) => at(name).rows.get(address)?.owner));
    const holders = names.filter((name) => at(name).rows.get(address)?.held !== undefined);
    assert.equal(owners.size, 1, `${address}: ${[...owners].join()}`);
    assert.deepEqual(holders, [...owners]);
  }
}

test('whatever nodes hear and miss, in the end one answers for each address', (t) => {
  const seed = seedOfRun();
  t.diagnostic(`SEED=${seed}`);
  for (let i = 0; i < 60; i++) run(randomFrom(seed + i));
});
