// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { cidr, ip, parseMac } from '../base/ip.ts';
import type { InterfaceRow } from '../datapath/network.ts';
import { IpcacheFlag } from '../datapath/schema.gen.ts';
import { ipcacheFor, nativeEntry } from './ipcache.ts';
import { nodeRows } from './node.ts';
import type { NodeRow } from './node.ts';
import { nodeRoutes } from './routes.ts';
import { deviceEntries, uplinksFor } from './uplinks.ts';

const node2: NodeRow = {
  name: 'node2',
  addresses: [ip('192.168.0.12'), ip('fd00:192:168::12')],
  podCidrs: [cidr('10.244.2.0/24'), cidr('fd00:10:244:2::/64')],
};

describe('facts of a Node', () => {
  it('InternalIPs come before ExternalIPs, names are left out', () => {
    const addresses = [
      { type: 'ExternalIP', address: '198.51.100.7' },
      { type: 'Hostname', address: 'node2' },
      { type: 'InternalIP', address: '192.168.0.12' },
    ];
    const rows = [...nodeRows({ metadata: { name: 'node2' }, spec: { podCIDRs: ['10.244.2.0/24'] }, status: { addresses } })];
    assert.deepEqual(rows, [['node2', { name: 'node2', addresses: ['192.168.0.12', '198.51.100.7'], podCidrs: [cidr('10.244.2.0/24')] }]]);
  });

  const wrong: readonly { name: string; spec: { podCIDR?: string; podCIDRs?: readonly string[] }; reason: string }[] = [
    { name: 'a Node without podCIDR', spec: {}, reason: 'NoPodCidr' },
    { name: 'a podCIDR that is none', spec: { podCIDRs: ['10.244.2.0/33'] }, reason: 'InvalidPodCidr' },
  ];
  for (const { name, spec, reason } of wrong) {
    it(`${name} is a Problem of that Node, which is known all the same`, () => {
      const rows = [...nodeRows({ metadata: { name: 'node2' }, spec })];
      assert.deepEqual(
        rows.flatMap((row) => ('kind' in row ? [[row.object, row.reason]] : [])),
        [['Node node2', reason]],
      );
      assert.equal(rows.filter((row) => !('kind' in row)).length, 1);
    });
  }
});

const here = { self: 'node1', segments: [cidr('192.168.0.0/24'), cidr('fd00:192:168::/64')], skip: false };

/** '10.244.2.0/24 via 192.168.0.12', and the messages of Problems. */
function routeTexts(node: NodeRow, known: Partial<typeof here> = {}): readonly string[] {
  return Array.from(nodeRoutes(node, { ...here, ...known }), (one) => {
    if ('kind' in one) return `${one.object}: ${one.reason}: ${one.message}`;
    const [key, row] = one;
    return row.kind === 'via' ? `${key} via ${row.gateway}` : key;
  });
}

const apart = 'node1 has no segment in common with it, so pods of node1 do not reach its pods';

describe('routes and ipcache of nodes', () => {
  const cases: readonly [what: string, node: Partial<NodeRow>, known: Partial<typeof here>, wants: readonly string[]][] = [
    ['another node: its address of the same family', {}, {}, ['10.244.2.0/24 via 192.168.0.12', 'fd00:10:244:2::/64 via fd00:192:168::12']],
    ['this node: none', {}, { self: 'node2' }, []],
    ['a family that the node has no address of: none', { addresses: [ip('192.168.0.12')] }, {}, ['10.244.2.0/24 via 192.168.0.12']],
    [
      'two addresses: the one on a segment of this node',
      { addresses: [ip('10.9.0.12'), ip('192.168.0.12')], podCidrs: [cidr('10.244.2.0/24')] },
      {},
      ['10.244.2.0/24 via 192.168.0.12'],
    ],
    [
      'no address on a segment: a Problem for both families',
      {},
      { segments: [cidr('192.168.1.0/24')] },
      [`Node node2: NotOnSegment: ${apart}: 10.244.2.0/24 behind 192.168.0.12, fd00:10:244:2::/64 behind fd00:192:168::12`],
    ],
    [
      'one family apart: a route for the other',
      { addresses: [ip('192.168.0.12'), ip('fd00:9::12')] },
      {},
      ['10.244.2.0/24 via 192.168.0.12', `Node node2: NotOnSegment: ${apart}: fd00:10:244:2::/64 behind fd00:9::12`],
    ],
    ['no address on a segment, and directRoutingSkipUnreachable: silence', {}, { segments: [], skip: true }, []],
  ];
  for (const [what, node, known, wants] of cases) it(what, () => assert.deepEqual(routeTexts({ ...node2, ...node }, known), wants));

  it('pods keep their address towards nodes, pods and the native routing prefixes', () => {
    const rows = [...ipcacheFor(node2, 'node1'), nativeEntry(cidr('10.0.0.0/8'))];
    assert.deepEqual(
      rows.map(([key]) => key),
      ['192.168.0.12/128', 'fd00:192:168::12/128', '10.244.2.0/120', 'fd00:10:244:2::/64', '10.0.0.0/104'],
    );
    assert.ok(rows.every(([, { value }]) => (value.flags & IpcacheFlag.noMasquerade) !== 0));
    assert.deepEqual(
      rows.map(([, { value }]) => value.node),
      ['192.168.0.12', 'fd00:192:168::12', '192.168.0.12', 'fd00:192:168::12', '::'],
    );
  });
});

describe('uplinks', () => {
  const local = [ip('192.168.0.12')];
  const eth0: InterfaceRow = {
    index: 2,
    name: 'eth0',
    kind: undefined,
    mac: parseMac('02:00:00:00:00:01'),
    mtu: 1500,
    up: true,
    carrier: true,
    loopback: false,
    master: undefined,
    addresses: [
      { ip: ip('10.0.0.5'), bits: 8 },
      { ip: ip('192.168.0.12'), bits: 24 },
    ],
    defaultRoute: true,
    gateways: [],
    segments: [],
  };
  const cases: readonly { name: string; row: Partial<InterfaceRow>; devices?: readonly string[]; chosen: boolean }[] = [
    { name: 'an interface with an address of the node', row: { defaultRoute: false }, chosen: true },
    { name: 'an interface with a default route', row: { addresses: [] }, chosen: true },
    { name: 'one with neither', row: { addresses: [], defaultRoute: false }, chosen: false },
    { name: 'one that is down', row: { up: false }, chosen: false },
    { name: 'a tunnel without MAC', row: { mac: undefined }, chosen: false },
    { name: 'one that the values do not name', row: {}, devices: ['enp+'], chosen: false },
    { name: 'one that a pattern of the values names', row: { addresses: [], defaultRoute: false }, devices: ['eth+'], chosen: true },
  ];
  for (const { name, row, devices = [], chosen } of cases) {
    it(`${name} is ${chosen ? 'an' : 'no'} uplink`, () =>
      assert.equal([...uplinksFor({ ...eth0, ...row }, node2, { devices, local })].length, chosen ? 1 : 0));
  }

  it('pods are masqueraded to the address that the Node object has, not to the first one', () => {
    const [found] = uplinksFor(eth0, node2, { devices: [], local });
    assert.equal(found?.[1].ipv4, '192.168.0.12');
    assert.deepEqual(
      [...deviceEntries(found?.[1], 3)].map(([, entry]) => entry),
      [{ key: 2, value: { ipv4: '192.168.0.12', ipv6: '::', mac: '02:00:00:00:00:01', others: 2 } }],
    );
  });
});
