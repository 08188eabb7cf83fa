// SPDX-License-Identifier: Apache-2.0
// The loop around a target that answers later.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';

import { asyncReconciler } from './reconcile-async.ts';
import type { AsyncTarget } from './reconcile-async.ts';
import { table } from './table.ts';
import { until } from './until.ts';

type Call = 'list' | 'put' | 'remove';

function setup(context: TestContext, held: Record<string, number> = {}) {
  const map = new Map(Object.entries(held));
  const calls: string[] = [];
  const failing = new Set<Call>();
  let gate = Promise.resolve();
  const act = async (call: Call, keys: readonly string[]) => {
    calls.push(`${call} ${keys.join(',')}`.trim());
    await gate;
    if (failing.has(call)) throw new Error(`Cannot ${call}: 503`);
  };
  const target: AsyncTarget<string, number> = {
    name: 'statuses',
    async list() {
      await act('list', []);
      return [...map];
    },
    async put(entries) {
      await act(
        'put',
        entries.map(([key]) => key),
      );
      for (const [key, value] of entries) map.set(key, value);
    },
    async remove(entries) {
      await act(
        'remove',
        entries.map(([key]) => key),
      );
      for (const [key] of entries) map.delete(key);
    },
  };
  const desired = table<string, number>('wanted');
  const one = asyncReconciler(desired, target);
  const stop = new AbortController();
  const done = one.run(stop.signal);
  context.after(async () => {
    stop.abort();
    await done;
  });
  return { writer: desired.writer('test'), one, map, calls, failing, target, desired, hold: (end: Promise<void>) => void (gate = end) };
}

test('invariant 1: an asynchronous target has one reconciler too', (context) => {
  const { target, desired } = setup(context);
  assert.throws(() => asyncReconciler(desired, target), /Cannot give target statuses another reconciler/);
});

test('invariant 3: a late target is made equal to the table, and nothing is removed while the table is incomplete', async (context) => {
  const { writer, one, map, calls } = setup(context, { old: 1 });
  writer.put('a', 1);
  one.wake();
  await until(() => map.has('a'));
  assert.equal(map.has('old'), true);
  writer.complete();
  one.wake();
  await until(() => !map.has('old'));
  assert.deepEqual(calls, ['list', 'put a', 'remove old']);
});

test('what changes while a call is under way is written by the next one', async (context) => {
  const { writer, one, map, calls, hold } = setup(context);
  await until(() => calls.length === 1);
  const { promise, resolve } = Promise.withResolvers<void>();
  hold(promise);
  writer.put('a', 1);
  one.wake();
  await until(() => calls.includes('put a'));
  writer.put('a', 2);
  one.wake();
  resolve();
  await until(() => map.get('a') === 2);
  await until(() => one.status.pending === 0);
});

test('invariant 4: what failed is tried again by itself, and a listing that failed too', async (context) => {
  const { writer, one, map, calls, failing } = setup(context);
  failing.add('list').add('put');
  writer.put('a', 1);
  one.wake();
  await until(() => one.status.failures > 0);
  failing.delete('list');
  await until(() => one.trouble('a') === 'Cannot put: 503');
  failing.delete('put');
  await until(() => map.get('a') === 1 && one.status.error === undefined);
  assert.equal(calls.filter((call) => call === 'list').length, 2);
});

test('after a refresh what somebody else wrote is put right', async (context) => {
  const { writer, one, map } = setup(context);
  writer.put('a', 1);
  writer.complete();
  one.wake();
  await until(() => map.get('a') === 1);
  map.set('a', 9).set('stray', 9);
  assert.deepEqual(await one.differences(), [
    { target: 'statuses', key: 'a', kind: 'different' },
    { target: 'statuses', key: 'stray', kind: 'extra' },
  ]);
  one.refresh();
  await until(() => map.get('a') === 1 && !map.has('stray'));
  assert.deepEqual(await one.differences(), []);
});
