// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pod } from '../objects.ts';
import { commandOf, environmentOf, hostnameOf } from './environment.ts';

const pod = {
  metadata: { name: 'web', namespace: 'shop', labels: { app: 'web' } },
  spec: { nodeName: 'node1', containers: [] },
} as unknown as Pod; // as: the fields that are read are there
const place = {
  hostIps: ['192.168.0.11'],
  podIps: ['10.244.1.5', 'fd00::5'],
  environment: { PATH: '/bin' },
  configValue: (name: string, key: string) => `${name}.${key}`,
};
const from = (fieldPath: string) => ({ valueFrom: { fieldRef: { fieldPath } } });

test('fields of the pod, keys of ConfigMaps and earlier variables are filled in', () => {
  const env = [
    { name: 'A', value: 'one' },
    { name: 'B', value: '$(A) $(UNKNOWN) $$(A)' },
    { name: 'IP', ...from('status.podIP') },
    { name: 'IPS', ...from('status.podIPs') },
    { name: 'APP', ...from("metadata.labels['app']") },
    { name: 'C', valueFrom: { configMapKeyRef: { name: 'map', key: 'key' } } },
  ];
  const environment = environmentOf(pod, { name: 'main', env }, place);
  assert.equal(environment['B'], 'one $(UNKNOWN) $(A)');
  assert.deepEqual(
    [environment['IP'], environment['IPS'], environment['APP'], environment['C']],
    ['10.244.1.5', '10.244.1.5,fd00::5', 'web', 'map.key'],
  );
  assert.equal(environment['KUBERNETES_SERVICE_HOST'], '10.96.0.1');
});

test('variables in the command line are filled in', () => {
  assert.deepEqual(commandOf({ name: 'main', command: ['echo'], args: ['$(A)'] }, { A: 'x' }), ['echo', 'x']);
});

test('a pod is called after itself, unless it uses the network of its node', () => {
  assert.equal(hostnameOf(pod), 'web');
  assert.equal(hostnameOf({ ...pod, spec: { ...pod.spec, hostNetwork: true } } as Pod), 'node1'); // as: a pod with one more field
});
