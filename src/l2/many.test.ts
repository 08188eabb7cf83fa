// SPDX-License-Identifier: Apache-2.0
// Thousands of addresses: what happens to all of them at once is done in many short steps.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ip } from '../base/ip.ts';
import type { Ip } from '../base/ip.ts';
import { problemBook } from '../base/problem.ts';
import { sameRow } from '../base/same.ts';
import { table } from '../base/table.ts';
import { announcerRows } from './announcers.ts';
import type { AnnouncerRow } from './announcers.ts';
import type { MemberInterface, MemberRow } from './members.ts';
import type { OwnerRow } from './owners.ts';
import { ownership } from './ownership.ts';
import { policyRows } from './policy.ts';
import type { PolicyRow } from './policy.ts';
import type { VipRow } from './vips.ts';

const COUNT = 3000;
const NAMES = ['node1', 'node2', 'node3'];
/** Of this process, which shares the machine. */
const cpuMs = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};
const same = { same: sameRow };
const eth0: MemberInterface = { name: 'eth0', mac: undefined, prefixes: ['10.0.0.0/8'], fault: undefined };

test(`of ${COUNT} addresses a third moves when a node is silent: in steps of a few milliseconds, and the rest stays`, (t) => {
  const l2 = {
    policies: table<string, PolicyRow>('policies', same),
    announcers: table<string, AnnouncerRow>('announcers', same),
    peers: table<string, MemberRow>('peers', same),
    segments: table<string, never>('segments', same),
    probes: table<string, { readonly taken: undefined }>('probes', same),
    cedes: table<string, never>('cedes', same),
    vips: table<string, VipRow>('vips', same),
  };
  const nodes = { uplinks: table<string, never>('uplinks'), interfaces: table<string, never>('interfaces') };
  const owners = table<string, OwnerRow>('owners', same);
  const [policies, announcers, peers, vips] = [
    l2.policies.writer('test'),
    l2.announcers.writer('test'),
    l2.peers.writer('test'),
    l2.vips.writer('test'),
  ];
  for (const row of policyRows({ metadata: { name: 'policy' }, spec: { loadBalancerIPs: true } }))
    if (!('kind' in row)) policies.put(...row);
  for (const name of NAMES) for (const row of announcerRows({ metadata: { name, uid: name } })) announcers.put(...row);
  const addresses = Array.from({ length: COUNT }, (_, i) => ip(`10.0.${i >> 8}.${i & 255}`));
  for (const address of addresses) vips.put(address, { ip: address, services: [address], balanced: true, policies: ['policy'], local: [] });
  const peer = (node: string, claims: readonly Ip[]): MemberRow => ({
    node,
    interfaces: [eth0],
    claims: claims.map((address) => ({ ip: address, epoch: 1, level: 2 })),
    sights: [],
    cedes: [],
  });
  const third = (n: number) => addresses.filter((_, i) => i % 3 === n);
  peers.put('node2', peer('node2', third(1)));
  peers.put('node3', peer('node3', third(2)));
  const me = () => peer('node1', []);
  const mine = new Set(third(0));
  const derivations = ownership({
    self: 'node1',
    l2,
    nodes,
    owners: owners.writer('test'),
    me,
    own: (address) => {
      const held = owners.get(address)?.held;
      if (held) return { ip: address, ...held };
      return mine.has(address) && !owners.has(address) ? { ip: address, epoch: 1, level: 2 } : undefined;
    },
    isFirst: () => true,
    problems: problemBook(),
  });
  for (const one of [policies, announcers, peers, vips]) one.complete();
  for (const one of [l2.segments, l2.probes, l2.cedes, nodes.uplinks, nodes.interfaces]) one.writer('test').complete();
  /** As the engine does it; the longest step in milliseconds. */
  const derived = () => {
    let longest = 0;
    for (const one of derivations)
      do {
        const started = cpuMs();
        one.run(32);
        longest = Math.max(longest, cpuMs() - started);
      } while (one.pending > 0);
    return longest;
  };
  derived();
  const before = new Map(owners.entries());
  assert.equal([...before.values()].filter(({ owner }) => owner === 'node1').length, COUNT / 3);

  peers.delete('node3');
  const started = cpuMs();
  const longest = derived();
  t.diagnostic(`${(cpuMs() - started).toFixed(0)} ms of CPU, the longest step ${longest.toFixed(1)} ms`);
  for (const [address, row] of owners.entries()) {
    const last = before.get(address)?.owner;
    if (last === 'node3') assert.ok(row.owner === 'node1' || row.owner === 'node2');
    else assert.equal(row.owner, last);
  }
  const loads = NAMES.map((name) => [...owners.entries()].filter(([, { owner }]) => owner === name).length);
  assert.ok(Math.max(...loads) <= Math.ceil((1.25 * COUNT) / 2), loads.join());

  const quiet = cpuMs();
  peers.put('node2', { ...peer('node2', third(1)), sights: [{ ip: addresses[0] ?? ip('::'), found: true }] });
  derived();
  t.diagnostic(`${(cpuMs() - quiet).toFixed(1)} ms of CPU for a hello that says what it saw`);
});
