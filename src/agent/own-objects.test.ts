// SPDX-License-Identifier: Apache-2.0
// What others do to objects that are ours.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';

import { table } from '../base/table.ts';
import { until } from '../base/until.ts';
import type { CiliumNode } from '../kube/types.ts';
import { ownObjects } from './own-objects.ts';

const PAUSE_MS = 10;
const node = (name: string, podCIDRs: readonly string[], labels?: Readonly<Record<string, string>>): CiliumNode => ({
  metadata: { name, ...(labels && { labels }) },
  spec: { ipam: { podCIDRs } },
});

function setup() {
  const desired = table<string, CiliumNode>('wanted');
  const doubted: string[] = [];
  const ours = (found: CiliumNode) => (found.metadata.name === 'other' ? undefined : found);
  const watched = ownObjects({ desired, ours, doubt: (key) => doubted.push(key), pauseMs: PAUSE_MS });
  const hear = (found: CiliumNode) => watched.read(found)(`CiliumNode ${found.metadata.name}`);
  return { writer: desired.writer('test'), watched, hear, doubted };
}

const longer = () => delay(PAUSE_MS * 5); // nothing to wait for: nothing may happen

test('an object that is deleted is written again, once for several things said of it', async () => {
  const { writer, watched, doubted, hear } = setup();
  writer.put('node1', node('node1', ['10.244.1.0/24']));
  hear(node('node1', ['10.244.9.0/24']));
  watched.forget('CiliumNode node1');
  await until(() => doubted.length > 0);
  await longer();
  assert.deepEqual(doubted, ['node1']);
});

test('one that is changed is written again, and not when it is as it should be', async () => {
  const { writer, hear, doubted } = setup();
  writer.put('node1', node('node1', ['10.244.1.0/24']));
  hear(node('node1', ['10.244.1.0/24']));
  hear(node('node1', ['10.244.1.0/24'], { theirs: 'too' }));
  await longer();
  assert.deepEqual(doubted, []);
  for (const times of [1, 2]) {
    hear(node('node1', ['10.244.9.0/24']));
    await until(() => doubted.length === times);
    hear(node('node1', ['10.244.1.0/24']));
  }
});

test('what an API does not store is asked for once', async () => {
  const { writer, hear, doubted } = setup();
  writer.put('node1', node('node1', ['10.244.1.0/24']));
  for (let i = 0; i < 3; i++) {
    hear({ metadata: { name: 'node1' } });
    await longer();
  }
  assert.deepEqual(doubted, ['node1']);
});

test("what is another node's, or not wanted any more, is left alone", async () => {
  const { writer, watched, hear, doubted } = setup();
  writer.put('other', node('other', []));
  hear(node('other', ['10.244.7.0/24']));
  hear(node('gone', []));
  watched.forget('CiliumNode gone');
  await longer();
  assert.deepEqual(doubted, []);
});
