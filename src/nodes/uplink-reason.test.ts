// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ip, parseMac } from '../base/ip.ts';
import type { InterfaceRow } from '../datapath/network.ts';
import type { NodeRow } from './node.ts';
import { uplinkReason } from './uplink-reason.ts';

const self: NodeRow = { name: 'node1', addresses: [ip('192.168.0.11')], podCidrs: [] };
const plain: InterfaceRow = {
  index: 2,
  name: 'eth0',
  kind: undefined,
  mac: parseMac('02:00:00:00:00:01'),
  mtu: 1500,
  up: true,
  carrier: true,
  loopback: false,
  master: undefined,
  addresses: [],
  defaultRoute: false,
  gateways: [],
  segments: [],
};
const addresses = [{ ip: ip('192.168.0.11'), bits: 24 }];

const cases: readonly [
  what: string,
  row: Partial<InterfaceRow>,
  known: { readonly self?: NodeRow; readonly devices?: readonly string[] },
  uplink: boolean,
  reason: string,
][] = [
  ['an address of the Node', { addresses }, { self }, true, 'it has 192.168.0.11, an address of Node node1'],
  ['a default route', { defaultRoute: true }, { self }, true, 'it has a default route'],
  ['neither', {}, { self }, false, 'it has no default route and no address of Node node1'],
  [
    'an address, but the Node is not known',
    { addresses },
    {},
    false,
    'it has no default route and no address of the Node, which is not known',
  ],
  ['down', { addresses, up: false }, { self }, false, 'it is down'],
  ['no Ethernet address', { mac: undefined, kind: 'tun' }, { self }, false, 'it has no MAC address: it is a tunnel'],
  [
    'no Ethernet address and a name in the values',
    { mac: undefined, kind: 'wireguard', addresses, defaultRoute: true },
    { self, devices: ['eth0'] },
    false,
    "it has no MAC address: it is WireGuard; it has 192.168.0.11, an address of Node node1 and a default route, so the host's stack alone carries what pods send through it, without masquerade",
  ],
  ['a bond above it', { addresses, master: { name: 'bond0', kind: 'bond' } }, { self }, false, 'it is a member of the bond bond0'],
  [
    'a bond above it and a name in the values',
    { master: { name: 'bond0', kind: 'bond' } },
    { self, devices: ['eth0'] },
    true,
    'devices in the values names it',
  ],
  ['a VRF above it', { addresses, master: { name: 'mgmt', kind: 'vrf' } }, { self }, true, 'it has 192.168.0.11, an address of Node node1'],
  ['the name of a pod', { kind: 'veth', name: 'lxc0123456789ab', defaultRoute: true }, { self }, false, 'a CNI plugin made it'],
  ["the name of LXC's bridge", { kind: 'bridge', name: 'lxcbr0', defaultRoute: true }, { self }, true, 'it has a default route'],
  ['named', {}, { self, devices: ['eth+'] }, true, 'devices in the values names it'],
  ['not named', { addresses }, { self, devices: ['eno1', 'wlan+'] }, false, 'devices in the values has eno1, wlan+'],
  ['excluded first', { addresses }, { self, devices: ['!eth0', 'eth+'] }, false, 'devices in the values has !eth0'],
  ['named before it is excluded', {}, { self, devices: ['eth0', '!eth+'] }, true, 'devices in the values names it'],
  [
    'a node address where others are excluded and none is named',
    { addresses },
    { self, devices: ['!wlan+'] },
    true,
    'it has 192.168.0.11, an address of Node node1',
  ],
  ['loopback', { loopback: true, addresses }, { self, devices: ['+'] }, false, 'it is the loopback'],
];
for (const [what, row, known, uplink, reason] of cases)
  test(`an interface with ${what}: ${reason}`, () => {
    assert.deepEqual(uplinkReason({ ...plain, ...row }, known.self, known.devices ?? []), { uplink, reason });
  });
