// SPDX-License-Identifier: Apache-2.0

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SATISFIED } from './service.ts';
import { sharingObstacle } from './sharing.ts';
import { serviceOf } from './testbed.ts';
import type { Asked } from './testbed.ts';

const ours = { type: SATISFIED, status: 'True', reason: 'satisfied' };
const lb = { type: 'LoadBalancer' };

const whose: readonly (readonly [name: string, asked: Asked, wanted: string])[] = [
  ['no class', {}, 'ours'],
  ['the class of L2 announcements', { spec: { ...lb, loadBalancerClass: 'io.cilium/l2-announcer' } }, 'ours'],
  ['the class of nodes', { spec: { ...lb, loadBalancerClass: 'io.cilium/node' } }, 'foreign'],
  ['a class of BGP', { spec: { ...lb, loadBalancerClass: 'io.cilium/bgp-control-plane' } }, 'foreign'],
  ['no load balancer, and was ours', { spec: { type: 'ClusterIP' }, status: { conditions: [ours] } }, 'left'],
  ['a name in DNS', { status: { loadBalancer: { ingress: [{ hostname: 'a.example' }] } } }, 'foreign'],
  [
    'a name in DNS that was put over ours',
    { status: { loadBalancer: { ingress: [{ hostname: 'a.example' }] }, conditions: [ours] } },
    'ours',
  ],
];
for (const [name, asked, wanted] of whose) test(`${name}: ${wanted}`, () => assert.equal(serviceOf('x/a', asked).whose, wanted));

test('older annotations are read, and the newer go before them', () => {
  const older = {
    'io.cilium/lb-ipam-ips': '10.0.0.1,10.0.0.2',
    'io.cilium/lb-ipam-sharing-key': 'k',
    'io.cilium/lb-ipam-sharing-cross-namespace': 'y',
  };
  const row = serviceOf('x/a', { annotations: older });
  assert.deepEqual([row.requested, row.sharing], [['10.0.0.1', '10.0.0.2'], { key: 'k', namespaces: ['y'] }]);
  assert.deepEqual(serviceOf('x/a', { ips: '10.0.0.3', annotations: older }).requested, ['10.0.0.3']);
});

test('families: as the Service says, else as its ClusterIP', () => {
  const families = (spec: Asked['spec']) => serviceOf('x/a', { spec: { ...lb, ...spec } }).families;
  assert.deepEqual(families({ ipFamilies: ['IPv6', 'IPv4'] }), [6, 4]);
  assert.deepEqual(families({ ipFamilies: [], clusterIPs: ['fd00::1'] }), [6]);
  assert.deepEqual(families({ ipFamilies: [] }), [4]);
});

const apart: readonly (readonly [one: Asked, other: Asked, why: RegExp | undefined])[] = [
  [{ key: 'k' }, { key: 'k', port: 81 }, undefined],
  [{}, { key: 'k' }, /x\/a has no sharing key/],
  [{ key: 'k' }, {}, /x\/b has no sharing key/],
  [{ key: 'k' }, { key: 'l' }, /keys differ: x\/a has 'k', x\/b has 'l'/],
  [{ key: 'k' }, { key: 'k' }, /both have port 80\/TCP/],
  [{ key: 'k' }, { key: 'k', spec: { ...lb, ports: [{ port: 80, protocol: 'UDP' }] } }, undefined],
  [{ key: 'k', spec: { ...lb, externalTrafficPolicy: 'Local' } }, { key: 'k', port: 81 }, /externalTrafficPolicy differs/],
  [{ key: 'k', spec: { ...lb, loadBalancerClass: 'other' } }, { key: 'k', port: 81 }, /x\/a is not served by this load balancer/],
];
for (const [one, other, why] of apart)
  test(`sharing: ${JSON.stringify(one)} and ${JSON.stringify(other)}: ${why?.source ?? 'yes'}`, () => {
    const obstacle = sharingObstacle(serviceOf('x/a', one), serviceOf('x/b', other));
    if (why === undefined) assert.equal(obstacle, undefined);
    else assert.match(obstacle ?? '', why);
  });
