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
  addresses: [],
  defaultRoute: false,
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
  ['a tunnel', { mac: undefined, defaultRoute: true }, { self }, false, 'it has no MAC address: it is a tunnel'],
  ['named', {}, { self, devices: ['eth+'] }, true, 'devices in the values names it'],
  ['not named', { addresses }, { self, devices: ['eno1', 'wlan+'] }, false, 'devices in the values has eno1, wlan+'],
];
for (const [what, row, known, uplink, reason] of cases)
  test(`an interface with ${what}: ${reason}`, () => {
    assert.deepEqual(uplinkReason({ ...plain, ...row }, known.self, known.devices ?? []), { uplink, reason });
  });
