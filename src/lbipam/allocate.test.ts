// SPDX-License-Identifier: Apache-2.0

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ip } from '../base/ip.ts';
import { RELEASE } from './service.ts';
import type { LbServiceRow } from './service.ts';
import type { PoolRow } from './pool.ts';
import { allocated, poolOf, serviceOf } from './testbed.ts';

const LAN = '192.168.0.220-192.168.0.223';
const pool = poolOf('a', [LAN]);

/** What each of a, b, c … has in the end; a cause in brackets where it is refused something, '=' before what is only kept. */
function outcome(pools: readonly PoolRow[], services: readonly LbServiceRow[], nodes: Record<string, string> = {}): string {
  const names = new Map(Object.entries(nodes).map(([address, node]) => [ip(address), node]));
  return Array.from(allocated(pools, services, names), ([name, { ips, refusals, kept }]) => {
    const had = ips.map((one) => `${kept.some((keep) => keep.ip === one) ? '=' : ''}${one.replace('192.168.0.', '.')}`);
    return `${name.slice(2)} ${[...had, ...refusals.map(({ cause }) => `[${cause}]`)].join(' ')}`.trim();
  }).join(', ');
}

const cases: readonly (readonly [name: string, wanted: string, pools: readonly PoolRow[], services: readonly LbServiceRow[]])[] = [
  ['the lowest free address, one after the other', 'a .220, b .221', [pool], [serviceOf('x/a'), serviceOf('x/b')]],
  ['what a Service has it keeps, and the others take what is left', 'a .220, b .223', [pool], [serviceOf('x/a'), serviceOf('x/b', { has: ['192.168.0.223'] })]],
  ['an address that is asked for is not given to one that takes any', 'a .221, b .220', [pool], [serviceOf('x/a'), serviceOf('x/b', { ips: '192.168.0.220' })]],
  ['of two that ask for one address the first gets it', 'a .222, b [AddressTaken]', [pool], [serviceOf('x/a', { ips: '192.168.0.222' }), serviceOf('x/b', { ips: '192.168.0.222' })]],
  ['spec.loadBalancerIP and the annotation together', 'a .222 .221', [pool], [serviceOf('x/a', { ips: '192.168.0.221', spec: { type: 'LoadBalancer', loadBalancerIP: '192.168.0.222' } })]],
  ['what can be had is had though another is refused', 'a .222 [NotInPool]', [pool], [serviceOf('x/a', { ips: ' 192.168.0.222 , 10.0.0.1 ' })]],
  ['another one is asked for: it replaces the old', 'a .222', [pool], [serviceOf('x/a', { ips: '192.168.0.222', has: ['192.168.0.221'] })]],
  ['another one is asked for in vain: the old one stays', 'a .221 [NotInPool]', [pool], [serviceOf('x/a', { ips: '10.0.0.1', has: ['192.168.0.221'] })]],
  ['two exchange their addresses', 'a .221, b .220', [pool], [serviceOf('x/a', { ips: '192.168.0.221', has: ['192.168.0.220'] }), serviceOf('x/b', { ips: '192.168.0.220', has: ['192.168.0.221'] })]],
  ['a typo is no address', 'a [InvalidAddress]', [pool], [serviceOf('x/a', { ips: '192.168.0.2222' })]],
  ['more than there are', 'a .220, b .221, c .222, d .223, e [OutOfAddresses]', [pool], ['a', 'b', 'c', 'd', 'e'].map((one) => serviceOf(`x/${one}`))],
  ['no pools', 'a [NoPools]', [], [serviceOf('x/a')]],
  ['no pools, and another gives addresses', '', [], [serviceOf('x/a', { has: ['10.0.0.1'] })]],
  ['a disabled pool gives nothing and takes nothing', 'a .220, b [PoolsDisabled]', [poolOf('a', [LAN], { disabled: true })], [serviceOf('x/a', { has: ['192.168.0.220'] }), serviceOf('x/b')]],
  ['a disabled pool does not give what is asked for', 'a [PoolsDisabled]', [poolOf('a', [LAN], { disabled: true })], [serviceOf('x/a', { ips: '192.168.0.220' })]],
  ['of two pools that overlap the newer gives nothing', 'a .220, b [PoolsConflict]', [pool, poolOf('b', ['192.168.0.223-192.168.0.229'])], [serviceOf('x/a'), serviceOf('x/b', { ips: '192.168.0.225' })]],
  ['a pool that overlaps itself gives nothing', 'a [PoolsConflict]', [poolOf('a', [LAN, '192.168.0.221'])], [serviceOf('x/a')]],
  ['no pool of that family', 'a [NoPoolOfFamily]', [pool], [serviceOf('x/a', { spec: { type: 'LoadBalancer', ipFamilies: ['IPv6'] } })]],
  ['both families', 'a .220 fd00::1', [poolOf('a', [LAN, 'fd00::1-fd00::9'])], [serviceOf('x/a', { spec: { type: 'LoadBalancer', ipFamilies: ['IPv4', 'IPv6'] } })]],
  ['both are preferred, one is there', 'a .220', [pool], [serviceOf('x/a', { spec: { type: 'LoadBalancer', ipFamilies: ['IPv4', 'IPv6'], ipFamilyPolicy: 'PreferDualStack' } })]],
  ['both are required, one is there', 'a .220 [NoPoolOfFamily]', [pool], [serviceOf('x/a', { spec: { type: 'LoadBalancer', ipFamilies: ['IPv4', 'IPv6'], ipFamilyPolicy: 'RequireDualStack' } })]],
  ['first and last are kept back', 'a .221, b [AddressReserved]', [poolOf('a', ['192.168.0.220/30'], { allowFirstLastIPs: 'No' })], [serviceOf('x/a'), serviceOf('x/b', { ips: '192.168.0.220' })]],
  ['first and last are given', 'a .220', [poolOf('a', ['192.168.0.220/30'])], [serviceOf('x/a')]],
  ['of two there is no first and last', 'a .220', [poolOf('a', ['192.168.0.220/31'], { allowFirstLastIPs: 'No' })], [serviceOf('x/a')]],
  ['first and last of start and stop are given', 'a .220', [poolOf('a', [LAN], { allowFirstLastIPs: 'No' })], [serviceOf('x/a')]],
  ['a first address that somebody has stays', 'a .220', [poolOf('a', ['192.168.0.220/30'], { allowFirstLastIPs: 'No' })], [serviceOf('x/a', { has: ['192.168.0.220'] })]],
  ['a pool selects by namespace', 'a .220, b [NoPoolSelects]', [poolOf('a', [LAN], { serviceSelector: { matchLabels: { 'io.kubernetes.service.name': 'a' } } })], [serviceOf('x/a'), serviceOf('x/b')]],
  ['a pool has it and selects others', 'a [PoolSelectorMismatch]', [poolOf('a', [LAN], { serviceSelector: { matchLabels: { app: 'b' } } })], [serviceOf('x/a', { ips: '192.168.0.220' })]],
  ['another class has an address of ours', 'b .221', [pool], [serviceOf('x/a', { has: ['192.168.0.220'], spec: { type: 'LoadBalancer', loadBalancerClass: 'metallb' } }), serviceOf('x/b')]],
  ['what has a name in DNS is a cloud\'s', 'b .220', [pool], [serviceOf('x/a', { status: { loadBalancer: { ingress: [{ hostname: 'lb.example.com' }] } } }), serviceOf('x/b')]],
  ['the block is gone: kept', 'a =10.0.0.1', [pool], [serviceOf('x/a', { has: ['10.0.0.1'] })]],
  ['the selector does not select any more: kept', 'a =.220', [poolOf('a', [LAN], { serviceSelector: { matchLabels: { app: 'b' } } })], [serviceOf('x/a', { has: ['192.168.0.220'] })]],
  ['agreed to on the Service: moved', 'a .220', [pool], [serviceOf('x/a', { has: ['10.0.0.1'], annotations: { [RELEASE]: '10.0.0.1' } })]],
  ['agreed to on the pool: moved', 'a .220', [poolOf('a', [LAN], { annotations: { 'lbipam.stentor.dev/move': '10.0.0.9, 10.0.0.1' } })], [serviceOf('x/a', { has: ['10.0.0.1'] })]],
  ['agreed to for another one: kept', 'a =10.0.0.1', [poolOf('a', [LAN], { annotations: { 'lbipam.stentor.dev/move': '10.0.0.2' } })], [serviceOf('x/a', { has: ['10.0.0.1'] })]],
  ['agreed to, but a pool gives it: stays', 'a .221', [poolOf('a', [LAN], { annotations: { 'lbipam.stentor.dev/move': '192.168.0.221' } })], [serviceOf('x/a', { has: ['192.168.0.221'] })]],
  ['an address of a pool that overlaps an older one stays', 'a .225', [pool, poolOf('b', ['192.168.0.223-192.168.0.229'])], [serviceOf('x/a', { has: ['192.168.0.225'] })]],
  ['agreed to, but there is no other: kept', 'a .220, b =10.0.0.1', [poolOf('a', ['192.168.0.220'], { annotations: { 'lbipam.stentor.dev/move': '10.0.0.1' } })], [serviceOf('x/a', { has: ['192.168.0.220'] }), serviceOf('x/b', { has: ['10.0.0.1'] })]],
  ['a good address that is given up is replaced by another', 'a .221', [pool], [serviceOf('x/a', { has: ['192.168.0.220'], annotations: { [RELEASE]: '192.168.0.220' } })]],
  ['one key: one address', 'a .220, b .220', [pool], [serviceOf('x/a', { key: 'k' }), serviceOf('x/b', { key: 'k', port: 81 })]],
  ['one key, one port: two addresses', 'a .220, b .221', [pool], [serviceOf('x/a', { key: 'k' }), serviceOf('x/b', { key: 'k' })]],
  ['two keys: two addresses', 'a .220, b .221', [pool], [serviceOf('x/a', { key: 'k' }), serviceOf('x/b', { key: 'l', port: 81 })]],
  ['one key, two namespaces', 'a .220, b .221', [pool], [serviceOf('x/a', { key: 'k', across: 'y' }), serviceOf('y/b', { key: 'k', port: 81 })]],
  ['one key, two namespaces, both agree', 'a .220, b .220', [pool], [serviceOf('x/a', { key: 'k', across: 'y' }), serviceOf('y/b', { key: 'k', port: 81, across: 'z, x' })]],
  ['one key, all namespaces', 'a .220, b .220', [pool], [serviceOf('x/a', { key: 'k', across: '*' }), serviceOf('y/b', { key: 'k', port: 81, across: '*' })]],
  ['shared by name', 'a .222, b .222', [pool], [serviceOf('x/a', { key: 'k', ips: '192.168.0.222' }), serviceOf('x/b', { key: 'k', port: 81, ips: '192.168.0.222' })]],
  ['shared by name, different keys', 'a .222, b [SharingRefused]', [pool], [serviceOf('x/a', { key: 'k', ips: '192.168.0.222' }), serviceOf('x/b', { key: 'l', port: 81, ips: '192.168.0.222' })]],
  ['the key is changed while it is shared: both stay', 'a .220, b =.220', [pool], [serviceOf('x/a', { key: 'k', has: ['192.168.0.220'] }), serviceOf('x/b', { key: 'l', port: 81, has: ['192.168.0.220'] })]],
  ['local traffic, the same pods', 'a .220, b .220', [pool], [local('x/a', 80, 'p'), local('x/b', 81, 'p')]],
  ['local traffic, other pods', 'a .220, b .221', [pool], [local('x/a', 80, 'p'), local('x/b', 81, 'q')]],
  ['local and other traffic', 'a .220, b .221', [pool], [local('x/a', 80, 'p'), serviceOf('x/b', { key: 'k', port: 81 })]],
]; // prettier-ignore

function local(name: string, port: number, app: string): LbServiceRow {
  return serviceOf(name, {
    key: 'k',
    spec: { type: 'LoadBalancer', externalTrafficPolicy: 'Local', selector: { app }, ports: [{ port }] },
  });
}

for (const [name, wanted, pools, services] of cases) test(`addresses: ${name}`, () => assert.equal(outcome(pools, services), wanted));

test("addresses: a node's own is given to nobody", () => {
  const services = [serviceOf('x/a'), serviceOf('x/b', { ips: '192.168.0.220' })];
  assert.equal(outcome([pool], services, { '192.168.0.220': 'node1' }), 'a .221, b [AddressOfNode]');
});

test('addresses: each refusal has a sentence and a remedy of its own', () => {
  const said = new Map<string, string>();
  for (const [, , pools, services] of cases)
    for (const { refusals } of allocated(pools, services).values())
      for (const { cause, message, advice } of refusals) {
        assert.ok(message.length > 20 && advice.length > 10 && !message.endsWith('.'), message);
        said.set(cause, message);
      }
  assert.ok(said.size >= 12, [...said.keys()].join());
  assert.equal(new Set(said.values()).size, said.size);
});
