// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Json } from '../api/json.ts';
import type { Pod, Service } from '../objects.ts';
import { slicesFor } from './slices.ts';

const service = (spec: Json = {}): Service =>
  ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'web', namespace: 'shop', uid: 's' },
    spec: { ipFamilies: ['IPv4'], ports: [{ name: 'http', port: 80, targetPort: 8080 }], ...spec },
  }) as unknown as Service; // as: the fields that are read are there

const pod = (name: string, more: Json = {}): Pod =>
  ({
    metadata: { name, namespace: 'shop', uid: `uid-${name}`, ...more.metadata },
    spec: { nodeName: 'node1', containers: [{ name: 'main', ports: more.ports ?? [] }] },
    status: {
      phase: 'Running',
      podIPs: more.ips ?? [{ ip: '10.244.1.5' }, { ip: 'fd00:10:244:1::5' }],
      conditions: [{ type: 'Ready', status: more.ready ?? 'True' }],
    },
  }) as unknown as Pod; // as: the fields that are read are there

test('a pod is an endpoint with its node, its name and its readiness', () => {
  const [slice] = slicesFor(service(), [pod('a')]);
  assert.deepEqual(slice.endpoints, [
    {
      addresses: ['10.244.1.5'],
      conditions: { ready: true, serving: true, terminating: false },
      nodeName: 'node1',
      targetRef: { kind: 'Pod', name: 'a', namespace: 'shop', uid: 'uid-a' },
    },
  ]);
  assert.deepEqual(slice.ports, [{ name: 'http', port: 8080, protocol: 'TCP' }]);
  assert.equal(slice.metadata.labels['kubernetes.io/service-name'], 'web');
});

test('each family has slices of its own', () => {
  const slices = slicesFor(service({ ipFamilies: ['IPv4', 'IPv6'] }), [pod('a')]);
  assert.deepEqual(
    slices.map((slice) => [slice.addressType, slice.endpoints[0].addresses[0]]),
    [
      ['IPv4', '10.244.1.5'],
      ['IPv6', 'fd00:10:244:1::5'],
    ],
  );
});

for (const [title, more, spec, conditions] of [
  ['not ready', { ready: 'False' }, {}, { ready: false, serving: false, terminating: false }],
  [
    'not ready, but to be published',
    { ready: 'False' },
    { publishNotReadyAddresses: true },
    { ready: true, serving: false, terminating: false },
  ],
  ['terminating, still serving', { metadata: { deletionTimestamp: 'now' } }, {}, { ready: false, serving: true, terminating: true }],
] as const) {
  test(`conditions of a pod that is ${title}`, () =>
    assert.deepEqual(slicesFor(service(spec), [pod('a', more)])[0].endpoints[0].conditions, conditions));
}

test('a named port is looked up in each pod, and pods that differ are in different slices', () => {
  const named = service({ ports: [{ name: 'http', port: 80, targetPort: 'web' }] });
  const slices = slicesFor(named, [
    pod('a', { ports: [{ name: 'web', containerPort: 8080 }] }),
    pod('b', { ports: [{ name: 'web', containerPort: 9090 }] }),
    pod('c'),
  ]);
  assert.deepEqual(
    slices.map(({ ports }) => ports.map((port: Json) => port.port)),
    [[8080], [9090], []],
  );
  assert.equal(new Set(slices.map(({ metadata }) => metadata.name)).size, 3);
});

test('a slice has at most 100 endpoints', () => {
  const pods = Array.from({ length: 250 }, (_, index) => pod(`p${index}`, { ips: [{ ip: `10.244.1.${index}` }] }));
  assert.deepEqual(
    slicesFor(service(), pods).map(({ endpoints }) => endpoints.length),
    [100, 100, 50],
  );
});

test('a service without pods has one empty slice, so that everybody knows', () => {
  assert.deepEqual(
    slicesFor(service(), []).map(({ endpoints }) => endpoints),
    [[]],
  );
});

test('pods without an address, and pods that have ended, are no endpoints', () => {
  const ended = { ...pod('b'), status: { ...pod('b').status, phase: 'Succeeded' } } as Pod; // as: a pod with another phase
  assert.deepEqual(slicesFor(service(), [pod('a', { ips: [] }), ended])[0].endpoints, []);
});
