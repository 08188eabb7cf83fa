// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Json, KubeObject } from './json.ts';
import { shortDuration } from './cells.ts';
import { printers } from './printers.ts';

test('durations are as kubectl writes them', () => {
  const cases: readonly (readonly [number, string])[] = [
    [0, '0s'],
    [119, '119s'],
    [120, '2m'],
    [130, '2m10s'],
    [599, '9m59s'],
    [600, '10m'],
    [10_799, '179m'],
    [10_800, '3h'],
    [12_000, '3h20m'],
    [28_800, '8h'],
    [172_799, '47h'],
    [172_800, '2d'],
    [190_000, '2d4h'],
    [691_200, '8d'],
    [63_072_000, '2y'],
    [70_000_000, '2y80d'],
    [300_000_000, '9y'],
  ];
  for (const [seconds, wanted] of cases) assert.equal(shortDuration(seconds), wanted, String(seconds));
});

const cells = (id: string, object: Json): readonly Json[] => {
  const whole: KubeObject = {
    apiVersion: 'v1',
    kind: 'X',
    ...object,
    metadata: { name: 'x', uid: '', resourceVersion: '', creationTimestamp: new Date().toISOString(), ...object.metadata },
  };
  return (printers[id] ?? []).filter(({ name }) => name !== 'Age').map((column) => column.cell(whole));
};

test('the status of a pod is its most telling word', () => {
  const running = { name: 'c', ready: true, restartCount: 2, state: { running: {} } };
  const cases: readonly (readonly [Json, string, string])[] = [
    [{ phase: 'Pending' }, '0/1', 'Pending'],
    [{ phase: 'Running', containerStatuses: [running] }, '1/1', 'Running'],
    [
      { phase: 'Running', containerStatuses: [{ ...running, ready: false, state: { waiting: { reason: 'CrashLoopBackOff' } } }] },
      '0/1',
      'CrashLoopBackOff',
    ],
    [
      {
        phase: 'Succeeded',
        containerStatuses: [{ ...running, ready: false, state: { terminated: { exitCode: 0, reason: 'Completed' } } }],
      },
      '0/1',
      'Completed',
    ],
    [{ phase: 'Failed', containerStatuses: [{ ...running, ready: false, state: { terminated: { exitCode: 3 } } }] }, '0/1', 'ExitCode:3'],
    [{ phase: 'Pending', initContainerStatuses: [{ name: 'i', state: { running: {} } }] }, '0/1', 'Init:0/1'],
    [
      { phase: 'Pending', initContainerStatuses: [{ name: 'i', state: { terminated: { exitCode: 1, reason: 'Error' } } }] },
      '0/1',
      'Init:Error',
    ],
    [{ phase: 'Failed', reason: 'Evicted' }, '0/1', 'Evicted'],
  ];
  for (const [status, ready, word] of cases) {
    const [, shownReady, shownWord] = cells('pods', { spec: { containers: [{}], initContainers: [{}] }, status });
    assert.deepEqual([shownReady, shownWord], [ready, word], JSON.stringify(status));
  }
  assert.equal(
    cells('pods', { metadata: { deletionTimestamp: 'x' }, spec: { containers: [{}] }, status: { phase: 'Running' } })[2],
    'Terminating',
  );
});

test('services, slices and nodes show what users look for', () => {
  const cases: readonly (readonly [string, Json, readonly Json[]])[] = [
    [
      'services',
      {
        spec: {
          type: 'LoadBalancer',
          clusterIP: '10.96.0.1',
          ports: [{ port: 80, nodePort: 30080, protocol: 'TCP' }],
          selector: { a: 'b' },
        },
      },
      ['x', 'LoadBalancer', '10.96.0.1', '<pending>', '80:30080/TCP', 'a=b'],
    ],
    [
      'services',
      { spec: { type: 'LoadBalancer', clusterIP: '10.96.0.1', ports: [] }, status: { loadBalancer: { ingress: [{ ip: '192.0.2.1' }] } } },
      ['x', 'LoadBalancer', '10.96.0.1', '192.0.2.1', '<none>', '<none>'],
    ],
    [
      'services',
      { spec: { type: 'ClusterIP', clusterIP: 'None', ports: [{ port: 53, protocol: 'UDP' }], externalIPs: ['192.0.2.9'] } },
      ['x', 'ClusterIP', 'None', '192.0.2.9', '53/UDP', '<none>'],
    ],
    [
      'endpointslices.discovery.k8s.io',
      { addressType: 'IPv4', ports: [{ port: 80 }], endpoints: [1, 2, 3, 4].map((n) => ({ addresses: [`10.0.0.${n}`] })) },
      ['x', 'IPv4', '80', '10.0.0.1,10.0.0.2,10.0.0.3 + 1 more...'],
    ],
    [
      'nodes',
      {
        metadata: { labels: { 'node-role.kubernetes.io/worker': '' } },
        spec: { unschedulable: true },
        status: {
          conditions: [{ type: 'Ready', status: 'True' }],
          nodeInfo: { kubeletVersion: 'v1' },
          addresses: [{ type: 'InternalIP', address: '192.0.2.1' }],
        },
      },
      ['x', 'Ready,SchedulingDisabled', 'worker', 'v1', '192.0.2.1', '<none>', '<unknown>', '<unknown>', '<unknown>'],
    ],
  ];
  for (const [id, object, wanted] of cases) assert.deepEqual(cells(id, object), wanted, id);
});
