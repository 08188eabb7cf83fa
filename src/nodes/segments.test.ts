// SPDX-License-Identifier: Apache-2.0

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cidr, parseMac } from '../base/ip.ts';
import { table } from '../base/table.ts';
import type { InterfaceRow } from '../datapath/network.ts';
import type { CiliumNode } from '../kube/types.ts';
import { publishedNodes, SUBNETS, subnetsText } from './segments.ts';

const eth: InterfaceRow = {
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
  defaultRoute: true,
  gateways: [],
  segments: [cidr('192.168.0.0/24'), cidr('fd00::/64')],
};

test('a node is on the segments of its Ethernet interfaces that are up, each said once', () => {
  const others = [
    { ...eth, segments: [cidr('10.9.0.0/24')], mac: undefined },
    { ...eth, segments: [cidr('10.8.0.0/24')], up: false },
    { ...eth, segments: [cidr('127.0.0.0/8')], loopback: true },
    { ...eth, segments: [cidr('192.168.0.0/24'), cidr('10.1.0.0/16')] },
  ];
  assert.equal(subnetsText([eth, ...others]), '10.1.0.0/16,192.168.0.0/24,fd00::/64');
});

test('nothing is said before the interfaces are known, and it follows them', () => {
  const objects = table<string, CiliumNode>('objects');
  const interfaces = table<string, InterfaceRow>('interfaces');
  const { published, derivations } = publishedNodes(objects, interfaces);
  const run = () => derivations.forEach((one) => one.run());
  const [toObjects, toInterfaces] = [objects.writer('test'), interfaces.writer('test')];
  toObjects.put('node1', { metadata: { name: 'node1' }, spec: {} });
  toObjects.complete();
  run();
  assert.deepEqual([published.size, published.complete], [0, false]);
  toInterfaces.put('2', eth);
  toInterfaces.complete();
  run();
  const said = () => published.get('node1')?.metadata.annotations?.[SUBNETS];
  assert.equal(said(), '192.168.0.0/24,fd00::/64');
  toInterfaces.put('2', { ...eth, up: false });
  run();
  assert.equal(said(), '');
});
