// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Json } from '../api/json.ts';
import type { Node, Pod, Workload } from '../objects.ts';
import { outdated } from './daemon-sets.ts';
import { podRangesFor } from './nodes.ts';
import { victims } from './replica-sets.ts';
import { nodeFor } from './scheduler.ts';

// as, in these two: the fields that are read are there
const node = (name: string, more: Json = {}): Node => ({ metadata: { name, labels: { zone: name } }, spec: {}, ...more }) as Node;
const pod = (name: string, { spec = {}, ready = true, ...metadata }: Json = {}): Pod =>
  ({
    metadata: { name, ownerReferences: [{ uid: 'owner', controller: true }], creationTimestamp: name, ...metadata },
    spec,
    status: { conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] },
  }) as unknown as Pod;

const NODES = [node('node1'), node('node2'), node('node3')];

test('pods of one owner spread over nodes', () => {
  assert.equal(nodeFor(pod('c'), NODES, [pod('a', { spec: { nodeName: 'node1' } }), pod('b', { spec: { nodeName: 'node3' } })]), 'node2');
});

test('a node selector is honoured', () =>
  assert.equal(nodeFor(pod('a', { spec: { nodeSelector: { zone: 'node3' } } }), NODES, []), 'node3'));

test('cordoned nodes and untolerated taints are avoided', () => {
  const taint = { key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule' };
  const nodes = [node('node1', { spec: { unschedulable: true } }), node('node2', { spec: { taints: [taint] } })];
  assert.equal(nodeFor(pod('a'), nodes, []), undefined);
  assert.equal(nodeFor(pod('a', { spec: { tolerations: [{ operator: 'Exists' }] } }), nodes, []), 'node2');
  assert.equal(
    nodeFor(pod('a', { spec: { tolerations: [{ key: taint.key, operator: 'Exists', effect: 'NoExecute' }] } }), nodes, []),
    undefined,
  );
});

test('nodes get the lowest free ranges of both families', () => {
  const first = node('node1', { spec: { podCIDR: '10.244.1.0/24', podCIDRs: ['10.244.1.0/24', 'fd00:10:244:1::/64'] } });
  assert.deepEqual(podRangesFor(node('node2'), [first, node('node2')]).podCIDRs, ['10.244.2.0/24', 'fd00:10:244:2::/64']);
  assert.deepEqual(podRangesFor(first, [first]), {});
});

test('a replica set gives up pods without a node, then those that are not ready, then the youngest', () => {
  const on = { spec: { nodeName: 'node1' } };
  const pods = [pod('1', on), pod('2', on), pod('3', { ...on, ready: false }), pod('4')];
  const ready = { ...pod('4'), status: {} };
  assert.deepEqual(
    victims([...pods.slice(0, 3), ready], 3).map(({ metadata }) => metadata.name),
    ['4', '3', '2'],
  );
});

test('a daemon set replaces broken pods at once and working ones one by one', () => {
  const set = { spec: { updateStrategy: {} } } as Workload; // as: the fields that are read are there
  const labels = (hash: string) => ({ labels: { 'controller-revision-hash': hash } });
  const names = (pods: readonly Pod[]) => outdated(set, pods, 'new').map(({ metadata }) => metadata.name);
  assert.deepEqual(names([pod('a', labels('old')), pod('b', labels('old')), pod('c', labels('new'))]), ['a']);
  assert.deepEqual(names([pod('a', labels('old')), pod('b', { ...labels('new'), ready: false })]), []);
  assert.deepEqual(names([pod('a', { ...labels('old'), ready: false }), pod('b', labels('old'))]), ['a']);
});
