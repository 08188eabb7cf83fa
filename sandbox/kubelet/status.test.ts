// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pod } from '../objects.ts';
import { podStatus } from './status.ts';
import type { ContainerRecord, ContainerState, PodRecord } from './status.ts';

const pod = { metadata: { name: 'web' }, spec: { containers: [{ name: 'main', image: 'image' }] } } as unknown as Pod; // as: the fields that are read are there
const running: ContainerState = { kind: 'running', startedAt: 'then' };
const ended = (exitCode: number): ContainerState => ({
  kind: 'ended',
  exitCode,
  startedAt: 'then',
  finishedAt: 'now',
  reason: exitCode === 0 ? 'Completed' : 'Error',
});
const container = (state: ContainerState, more: Partial<ContainerRecord> = {}): ContainerRecord => ({
  name: 'main',
  state,
  restarts: 0,
  started: true,
  ready: false,
  id: 'id',
  ...more,
});
const status = (record: Partial<PodRecord>) =>
  podStatus(pod, {
    startTime: 'then',
    hostIps: ['192.168.0.11'],
    podIps: ['10.244.1.5'],
    init: [],
    containers: [],
    restarts: true,
    ...record,
  });

for (const [title, record, phase] of [
  ['waiting for its first start', { containers: [container({ kind: 'waiting', reason: 'ContainerCreating' })] }, 'Pending'],
  ['running', { containers: [container(running)] }, 'Running'],
  ['waiting to be started again', { containers: [container({ kind: 'waiting', reason: 'CrashLoopBackOff' }, { restarts: 1 })] }, 'Running'],
  ['ended well, for good', { containers: [container(ended(0))], restarts: false }, 'Succeeded'],
  ['ended badly, for good', { containers: [container(ended(1))], restarts: false }, 'Failed'],
  ['ended, about to start again', { containers: [container(ended(1))] }, 'Running'],
] as const) {
  test(`phase of a pod that is ${title}`, () => assert.equal(status(record).phase, phase));
}

test('a pod is ready when all of its containers are', () => {
  const ready = (containers: readonly ContainerRecord[]) =>
    status({ containers }).conditions.find((condition: { type: string }) => condition.type === 'Ready').status;
  assert.equal(ready([container(running, { ready: true })]), 'True');
  assert.equal(ready([container(running, { ready: true }), container(running)]), 'False');
});

test('a container tells its state, the one before and its restarts', () => {
  const [said] = status({ containers: [container(running, { last: ended(3), restarts: 2, ready: true })] }).containerStatuses;
  assert.deepEqual(said.state, { running: { startedAt: 'then' } });
  assert.equal(said.lastState.terminated.exitCode, 3);
  assert.equal(said.restartCount, 2);
  assert.equal(said.image, 'image');
});
