// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ip, parseMac } from '../base/ip.ts';
import { table } from '../base/table.ts';
import { selectorOf } from '../services/label-selector.ts';
import type { Selector } from '../services/label-selector.ts';
import { announcerRows } from './announcers.ts';
import type { AnnouncerRow } from './announcers.ts';
import type { Level, MemberInterface, MemberRow } from './members.ts';
import { ownersFor } from './testdata/owners-for.ts';
import type { OwnerRow, ProbeRow } from './owners.ts';
import { policyRows } from './policy.ts';
import type { PolicyRow } from './policy.ts';
import type { VipRow } from './vips.ts';

type NodeSpec = Parameters<typeof announcerRows>[0]['spec'] & object;

const names = ['node1', 'node2', 'node3'];
const vip = (address: string, more: Partial<VipRow> = {}): VipRow => ({
  ip: ip(address),
  services: ['shop/web'],
  balanced: true,
  policies: ['policy'],
  local: [],
  ...more,
});

function policyTable(spec: object = { loadBalancerIPs: true }) {
  const policies = table<string, PolicyRow>('policies');
  const writer = policies.writer('test');
  for (const row of policyRows({ metadata: { name: 'policy' }, spec })) if (!('kind' in row)) writer.put(...row);
  return policies;
}

function announcerTable(specs: Readonly<Record<string, NodeSpec & { readonly labels?: Readonly<Record<string, string>> }>> = {}) {
  const announcers = table<string, AnnouncerRow>('announcers');
  const writer = announcers.writer('test');
  for (const name of names) {
    const { labels = {}, ...spec } = specs[name] ?? {};
    for (const row of announcerRows({ metadata: { name, uid: name, labels }, spec })) writer.put(...row);
  }
  return announcers;
}

const eth0 = { name: 'eth0', mac: undefined, prefixes: ['192.168.0.0/24'], fault: undefined };
const member = (
  node: string,
  claims: readonly (readonly [string, number, Level?])[] = [],
  interfaces: readonly MemberInterface[] = [eth0],
): MemberRow => ({
  node,
  interfaces,
  sights: [],
  cedes: [],
  claims: claims.map(([address, epoch, level = 2]) => ({ ip: ip(address), epoch, level })),
});

type Given = {
  readonly self?: string;
  readonly vips?: readonly VipRow[];
  readonly members?: readonly MemberRow[];
  readonly policies?: ReturnType<typeof policyTable>;
  readonly announcers?: ReturnType<typeof announcerTable>;
  readonly before?: ReadonlyMap<string, OwnerRow>;
  readonly probe?: (address: string) => ProbeRow | undefined;
};

function owners({
  self = 'node1',
  before = new Map(),
  probe = () => ({ taken: undefined }),
  ...given
}: Given): ReadonlyMap<string, OwnerRow> {
  const usual = {
    vips: [vip('192.168.0.220')],
    members: names.map((name) => member(name)),
    policies: policyTable(),
    announcers: announcerTable(),
  };
  return new Map(ownersFor({ ...usual, ...given, self, before: (address) => before.get(address), probe: (address) => probe(address) }));
}

function owner(given: Given): OwnerRow {
  return [...owners(given).values()][0] ?? assert.fail('no row');
}

const A = '192.168.0.220';
const many = Array.from({ length: 30 }, (_, i) => vip(`192.168.0.${100 + i}`));

describe('who answers for an address', () => {
  it('is the same whoever computes it, in whatever order the others are known', () => {
    const asked = names.map((self) => [...owners({ self, vips: many }).values()].map((row) => row.owner));
    const turned = [...owners({ vips: many.toReversed(), members: names.toReversed().map((name) => member(name)) }).values()];
    assert.deepEqual(asked[1], asked[0]);
    assert.deepEqual(asked[2], asked[0]);
    assert.deepEqual(
      turned.map((row) => row.owner),
      asked[0],
    );
  });

  it('is spread: no node has more than a quarter above its share', () => {
    const counts = names.map((name) => [...owners({ vips: many }).values()].filter((row) => row.owner === name).length);
    assert.ok(Math.max(...counts) <= 13, counts.join());
    assert.ok(Math.min(...counts) > 0, counts.join());
  });

  it('stays when another comes back', () => {
    for (const name of names) {
      const members = names.map((node) => member(node, node === name ? [[A, 7]] : []));
      assert.equal(owner({ members }).owner, name);
    }
  });

  it('moves away from one that is not heard any more, and says so; everything else stays', () => {
    const before = owners({ vips: many });
    const lost = 'node2';
    const claimed = names
      .filter((name) => name !== lost)
      .map((name) =>
        member(
          name,
          [...before.values()].filter((row) => row.owner === name).map((row) => [row.ip, 1] as const),
        ),
      );
    const after = owners({ vips: many, members: claimed, before });
    for (const [address, row] of before)
      if (row.owner === lost) {
        assert.notEqual(after.get(address)?.owner, lost);
        assert.equal(after.get(address)?.why, 'node2 is not heard on the segment');
      } else assert.equal(after.get(address)?.owner, row.owner);
  });

  it('is nobody where nobody can, and each says why', () => {
    const down = { ...eth0, fault: 'no carrier' };
    const members = [member('node1', [], [down]), member('node2', [], [{ ...eth0, name: 'wg0', prefixes: [] }])];
    const row = owner({ members });
    assert.equal(row.owner, undefined);
    assert.equal(row.why, 'node1 eth0: no carrier; node2 has no interface for 192.168.0.220; node3 is not heard on the segment');
    assert.equal(owner({ vips: [vip(A, { policies: [] })] }).why, 'no CiliumL2AnnouncementPolicy selects it');
  });

  it('answers on the interface whose subnet has the address, on those that patterns name, and on any where no subnet has it', () => {
    const wide = [eth0, { name: 'eth1', mac: undefined, prefixes: ['10.0.0.0/8'], fault: undefined }];
    const members = [member('node1', [], wide)];
    const on = (address: string, policies = policyTable()) => owner({ vips: [vip(address)], members, policies }).interfaces;
    assert.deepEqual(on(A), ['eth0']);
    assert.deepEqual(on('10.1.1.1'), ['eth1']);
    assert.deepEqual(on(A, policyTable({ interfaces: ['^eth1$'] })), ['eth1']);
    assert.deepEqual(on(A, policyTable({ interfaces: ['eth'] })), ['eth0', 'eth1']);
    assert.deepEqual(on('203.0.113.5'), ['eth0', 'eth1']);
  });

  it('is one with ready endpoints where externalTrafficPolicy is Local', () => {
    for (const name of names) assert.equal(owner({ vips: [vip(A, { local: [[name]] })] }).owner, name);
  });

  it('is one that the annotations of every Service with the address name', () => {
    const announcers = announcerTable({ node1: { labels: { edge: 'yes' } }, node2: { labels: { edge: 'yes', zone: 'a' } } });
    const selector = (matchLabels: Readonly<Record<string, string>>): Selector => {
      const read = selectorOf({ matchLabels });
      if (typeof read === 'string') throw new RangeError(read);
      return read;
    };
    const ownerOf = (...exposed: readonly Selector[]) => owner({ announcers, vips: [vip(A, { exposed })] }).owner;
    assert.match(ownerOf(selector({ edge: 'yes' })) ?? 'nobody', /node[12]/);
    assert.equal(ownerOf(selector({ edge: 'yes' }), selector({ zone: 'a' })), 'node2');
    assert.equal(ownerOf(selector({ edge: 'no' })), undefined);
  });

  const reluctant = [
    ['cordoned', { node1: { unschedulable: true }, node2: { unschedulable: true } }],
    [
      'excluded by its label',
      {
        node1: { labels: { 'node.kubernetes.io/exclude-from-external-load-balancers': '' } },
        node2: { labels: { 'node.kubernetes.io/exclude-from-external-load-balancers': '' } },
      },
    ],
  ] as const;
  for (const [what, specs] of reluctant)
    it(`is one that is ${what} only where there is no other`, () => {
      const announcers = announcerTable(specs);
      assert.equal(owner({ announcers, members: names.map((name) => member(name, name === 'node1' ? [[A, 3]] : [])) }).owner, 'node3');
      assert.match(owner({ announcers, members: [member('node1'), member('node2')] }).owner ?? 'nobody', /node[12]/);
    });

  it('may be excluded by its label when a policy names it', () => {
    const labels = { role: 'edge', 'node.kubernetes.io/exclude-from-external-load-balancers': '' };
    const policies = policyTable({ loadBalancerIPs: true, nodeSelector: { matchLabels: { role: 'edge' } } });
    const row = owner({ policies, announcers: announcerTable({ node2: { labels } }) });
    assert.deepEqual([row.owner, row.candidates[1]?.level, row.candidates[0]?.why], ['node2', 2, 'is selected by no policy']);
  });
});

describe('what a node claims', () => {
  it('a new owner claims above all that were heard, also of nodes that are gone', () => {
    const before = new Map([[A, { ...owner({}), owner: 'node3', epoch: 41 }]]);
    const members = [member('node1')];
    assert.equal(owner({ members, before }).held?.epoch, 42);
  });

  it('an address that nobody answered for is asked for first, and left alone where another host has it', () => {
    const alone = { members: [member('node1')] };
    const mac = parseMac('02:00:00:00:00:99');
    const unknown = owner({ ...alone, probe: () => undefined });
    assert.deepEqual([unknown.owner, unknown.held, unknown.probes], ['node1', undefined, ['eth0']]);
    assert.equal(owner({ ...alone, probe: () => ({ taken: undefined }) }).held?.epoch, 1);
    const taken = owner({ ...alone, probe: () => ({ taken: mac }) });
    assert.deepEqual([taken.owner, taken.held, taken.probes], [undefined, undefined, ['eth0']]);
    assert.equal(taken.why, '02:00:00:00:00:99 has it already, and is no node of this cluster');
  });

  it('one that is taken over is not asked for', () => {
    const before = new Map([[A, { ...owner({}), owner: 'node3', epoch: 41 }]]);
    const row = owner({ members: [member('node1')], before, probe: () => undefined });
    assert.deepEqual([row.held?.epoch, row.probes], [42, undefined]);
  });

  it('keeps its claim while it stands', () => {
    assert.deepEqual(owner({ members: [member('node1', [[A, 5]]), member('node2')] }).held, { epoch: 5, level: 2, interfaces: ['eth0'] });
  });

  it('one that is to hand over answers until its successor does', () => {
    const announcers = announcerTable({ node1: { unschedulable: true } });
    const pair = (claims: Parameters<typeof member>[1]) => [member('node1', [[A, 5, 1]]), member('node2', claims)];
    assert.deepEqual(owner({ members: pair([]), announcers }).held, { epoch: 5, level: 1, interfaces: ['eth0'] });
    assert.equal(owner({ self: 'node2', members: pair([]), announcers }).held?.epoch, 6);
    const handed = owner({ members: pair([[A, 6]]), announcers });
    assert.deepEqual([handed.owner, handed.held], ['node2', undefined]);
  });

  it('one that cannot serve any more does not answer, whoever comes next', () => {
    const down = [{ ...eth0, fault: 'no carrier' }];
    assert.equal(owner({ members: [member('node1', [[A, 5]], down), member('node2')] }).held, undefined);
  });

  it('of two sides of a split the higher claim stays, of equal ones the first name: exactly one', () => {
    for (const [one, other, winner] of [
      [5, 6, 'node2'],
      [6, 5, 'node1'],
      [5, 5, 'node1'],
    ] as const) {
      const members = [member('node1', [[A, one]]), member('node2', [[A, other]])];
      const holders = ['node1', 'node2'].filter((self) => owner({ self, members }).held !== undefined);
      assert.deepEqual(holders, [winner]);
    }
  });

  it('a node that knows less yields to the claim above its own: they do not take it from each other for ever', () => {
    const members = [member('node1', [[A, 5]]), member('node2', [[A, 6]])];
    const stale = owner({ self: 'node1', members, vips: [vip(A, { local: [['node1']] })] });
    assert.deepEqual([stale.owner, stale.held], ['node2', undefined]);
    const fresh = owner({ self: 'node2', members, vips: [vip(A, { local: [['node2']] })] });
    assert.equal(fresh.held?.epoch, 6);
  });
});
