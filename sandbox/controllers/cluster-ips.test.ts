// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiError } from '../api/api-error.ts';
import type { Json } from '../api/json.ts';
import type { Service } from '../objects.ts';
import { admitService, familiesFor } from './cluster-ips.ts';

const service = (name: string, spec: Json): Json => ({
  metadata: { name, namespace: 'shop' },
  spec: { type: 'ClusterIP', ports: [{ port: 80 }], ...spec },
});
const admitted = (object: Json, others: readonly Json[] = [], old?: Json): Json =>
  admitService(
    { operation: old === undefined ? 'CREATE' : 'UPDATE', resource: 'services', object, old, dryRun: false },
    others as readonly Service[],
  ); // as: the fields it reads are there

const refusedWith = (pattern: RegExp) => (error: unknown) => error instanceof ApiError && error.code === 422 && pattern.test(error.message);

for (const [title, spec, families] of [
  ['nothing said is one family, IPv4', {}, ['IPv4']],
  ['PreferDualStack is both', { ipFamilyPolicy: 'PreferDualStack' }, ['IPv4', 'IPv6']],
  ['RequireDualStack is both', { ipFamilyPolicy: 'RequireDualStack' }, ['IPv4', 'IPv6']],
  ['the family named first comes first', { ipFamilyPolicy: 'PreferDualStack', ipFamilies: ['IPv6'] }, ['IPv6', 'IPv4']],
  ['a single family may be IPv6', { ipFamilies: ['IPv6'] }, ['IPv6']],
  ['an address says its family', { clusterIP: 'fd00:10:96::5' }, ['IPv6']],
  ['headless services have families too', { clusterIP: 'None' }, ['IPv4']],
] as const) {
  test(`families of a service: ${title}`, () => assert.deepEqual(familiesFor(spec), families));
}

test('a service gets an address of each of its families, the same one in every run', () => {
  const { spec } = admitted(service('web', { ipFamilyPolicy: 'RequireDualStack' }));
  assert.match(spec.clusterIP, /^10\.(9[6-9]|10\d|11[01])\./);
  assert.match(spec.clusterIPs[1], /^fd00:10:96::/);
  assert.deepEqual(admitted(service('web', { ipFamilyPolicy: 'RequireDualStack' })).spec.clusterIPs, spec.clusterIPs);
});

test('an address that is taken is passed over', () => {
  const first = admitted(service('web', {}));
  const other = { ...first, metadata: { ...first.metadata, name: 'squatter' } };
  assert.notEqual(admitted(service('web', {}), [other]).spec.clusterIP, first.spec.clusterIP);
});

test('an address that was asked for is given', () => {
  assert.deepEqual(admitted(service('dns', { clusterIP: '10.96.0.10' })).spec.clusterIPs, ['10.96.0.10']);
});

test('an update keeps the addresses, also when a family is added', () => {
  const old = admitted(service('web', {}));
  const updated = admitted(service('web', { ipFamilyPolicy: 'PreferDualStack' }), [old], old);
  assert.equal(updated.spec.clusterIP, old.spec.clusterIP);
  assert.equal(updated.spec.clusterIPs.length, 2);
});

test('headless services get no address', () => assert.deepEqual(admitted(service('db', { clusterIP: 'None' })).spec.clusterIPs, ['None']));

test('addresses outside of the range, taken or not addresses are refused', () => {
  const taken = admitted(service('dns', { clusterIP: '10.96.0.10' }));
  assert.throws(() => admitted(service('a', { clusterIP: '10.96.0.10' }), [taken]), refusedWith(/already allocated/));
  assert.throws(() => admitted(service('a', { clusterIP: '192.168.0.5' })), refusedWith(/not in the valid range/));
  assert.throws(() => admitted(service('a', { clusterIP: '10.96.0' })), refusedWith(/must be a valid IP address/));
});

test('node ports are given by protocol, kept when named and refused when taken', () => {
  const one = admitted(service('one', { type: 'NodePort', ports: [{ port: 80 }, { port: 80, protocol: 'UDP' }] }));
  assert.deepEqual(
    one.spec.ports.map((port: Json) => port.nodePort),
    [30_000, 30_000],
  );
  assert.equal(admitted(service('two', { type: 'NodePort' }), [one]).spec.ports[0].nodePort, 30_001);
  assert.throws(
    () => admitted(service('two', { type: 'NodePort', ports: [{ port: 80, nodePort: 30_000 }] }), [one]),
    refusedWith(/already allocated/),
  );
});

test('a load balancer that wants no node ports has none', () => {
  const { spec } = admitted(service('vip', { type: 'LoadBalancer', allocateLoadBalancerNodePorts: false }));
  assert.equal(spec.ports[0].nodePort, undefined);
});
