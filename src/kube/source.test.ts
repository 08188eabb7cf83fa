// SPDX-License-Identifier: Apache-2.0
// Objects as rows.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';

import { StentorError } from '../base/errors.ts';
import { problem, problemBook } from '../base/problem.ts';
import type { Problem } from '../base/problem.ts';
import { table } from '../base/table.ts';
import { until } from '../base/until.ts';
import { kubeClient } from './client.ts';
import { kubeSource, sink } from './source.ts';
import { refuse, testApi } from './testbed.ts';
import type { TestApi } from './testbed.ts';

const things = { kind: 'Thing', apiVersion: 'v1', plural: 'things', namespaced: true } as const;
type Thing = { readonly metadata: { readonly name: string; readonly namespace: string }; readonly value?: unknown };
type Row = { readonly values: readonly unknown[] };

/** A thing with value [1, 2] makes rows 'name/1' and 'name/2'; '!' is a field that cannot be read, 7 an object that cannot. */
function* rowsOf({ metadata: { name, namespace }, value }: Thing): Iterable<readonly [string, Row] | Problem> {
  if (value === 7) throw new StentorError('BAD', 'value is 7, wanted a list');
  if (!Array.isArray(value)) return;
  for (const one of value) {
    if (one === '!')
      yield problem({ object: `Thing ${namespace}/${name}`, reason: 'BadValue', message: 'value has !', advice: 'Correct it' });
    else yield [`${name}/${one}`, { values: [one] }];
  }
}

async function setup(context: TestContext, prepare: (api: TestApi) => void, optional = false) {
  const api = await testApi(context);
  prepare(api);
  const client = kubeClient({ access: api.access });
  const [rows, names, book] = [table<string, Row>('rows'), table<string, true>('names'), problemBook()];
  const changes = { count: 0 };
  const source = kubeSource<Thing>({
    client,
    resource: things,
    optional,
    sinks: [
      sink(rows.writer('things'), rowsOf, book),
      sink<Thing, string, true>(names.writer('things'), ({ metadata }) => [[metadata.name, true]]),
    ],
    changed: () => changes.count++,
  });
  const stop = new AbortController();
  const done = source.run(stop.signal);
  context.after(async () => {
    stop.abort();
    await done;
    client.close();
  });
  return { api, source, rows, names, book, changes };
}

const keys = (of: { entries(): Iterable<readonly [string, unknown]> }) => [...of.entries()].map(([key]) => key).toSorted();

test('invariant 3: tables are complete after the first whole list, and not while it fails', async (context) => {
  const one = await setup(context, (api) => {
    api.put({ name: 'a', value: [1, 2] });
    api.hook = (_, response) => (refuse(response, { code: 500, reason: 'InternalError', message: 'no' }), true);
  });
  await until(() => one.source.status.failures > 0);
  assert.deepEqual([one.rows.complete, one.source.status.synced], [false, false]);
  assert.match(one.source.status.error ?? '', /Cannot list \/api\/v1\/things at .*: 500 InternalError: no/);
  one.api.hook = undefined;
  await until(() => one.rows.complete && one.names.complete);
  assert.deepEqual(
    [keys(one.rows), keys(one.names), one.source.status.synced, one.source.status.error, one.source.status.objects],
    [['a/1', 'a/2'], ['a'], true, undefined, 1],
  );
});

for (const [code, optional, complete] of [
  [404, true, true],
  [403, true, true],
  [500, true, false],
  [404, false, false],
] as const)
  test(`a list that ends with ${code} of ${optional ? 'an optional' : 'any other'} kind ${complete ? 'is an empty one until there is another' : 'is none'}`, async (context) => {
    const prepare = (api: TestApi) => {
      api.put({ name: 'a', value: [1] });
      api.hook = (_, response) => (refuse(response, { code, reason: 'Whatever', message: 'no' }), true);
    };
    const one = await setup(context, prepare, optional);
    await until(() => one.source.status.failures > 1);
    assert.deepEqual([one.rows.complete, one.rows.size, one.source.status.synced], [complete, 0, false]);
    assert.equal(one.changes.count > 0, complete);
    one.api.hook = undefined;
    await until(() => keys(one.rows).join() === 'a/1');
  });

test('rows follow their objects: more, fewer, none', async (context) => {
  const one = await setup(context, (api) => api.put({ name: 'a', value: [1, 2] }));
  await until(() => one.api.watchers() === 1);
  one.api.put({ name: 'a', value: [2, 3] });
  one.api.put({ name: 'b', value: [1] });
  await until(() => keys(one.rows).join() === 'a/2,a/3,b/1');
  one.api.delete('a');
  await until(() => keys(one.rows).join() === 'b/1');
  assert.deepEqual(keys(one.names), ['b']);
});

test('a new list that says nothing new changes no row, and what it does not have is removed', async (context) => {
  const one = await setup(context, (api) => ['a', 'b'].forEach((name) => api.put({ name, value: [1] })));
  await until(() => one.api.watchers() === 1);
  const [changes, row] = [one.rows.changes(), one.rows.get('a/1')];
  changes.take();
  one.api.endWatches('end');
  one.api.delete('b');
  one.api.compact();
  await until(() => keys(one.rows).join() === 'a/1');
  assert.deepEqual([...changes.take().keys()], ['b/1']);
  assert.equal(one.rows.get('a/1'), row);
});

test('invariant 2: an object that cannot be read is a Problem, keeps the rows that it had, and the rest goes on', async (context) => {
  const one = await setup(context, (api) => {
    api.put({ name: 'a', value: [1] });
    api.put({ name: 'bad', value: 7 });
  });
  await until(() => one.api.watchers() === 1);
  assert.deepEqual(keys(one.rows), ['a/1']);
  assert.deepEqual(
    [...one.book.table.entries()].map(([, row]) => [row.object, row.reason, row.message]),
    [['Thing shop/bad', 'UnreadableObject', 'value is 7, wanted a list']],
  );
  one.api.put({ name: 'a', value: 7 });
  one.api.put({ name: 'bad', value: ['!', 2] });
  await until(() => keys(one.rows).join() === 'a/1,bad/2');
  assert.deepEqual([...one.book.table.entries()].map(([, row]) => `${row.object} ${row.reason}`).toSorted(), [
    'Thing shop/a UnreadableObject',
    'Thing shop/bad BadValue',
  ]);
  one.api.delete('a');
  one.api.put({ name: 'bad', value: [2] });
  await until(() => one.book.table.size === 0);
  assert.deepEqual(keys(one.rows), ['bad/2']);
});

test('an object without metadata does not end anything', async (context) => {
  const one = await setup(context, (api) => {
    api.hook = (_, response, url) =>
      !url.searchParams.has('watch') &&
      (response.end('{"metadata":{"resourceVersion":"1"},"items":[{},{"metadata":{"name":"a","namespace":"shop"},"value":[1]}]}'), true);
  });
  await until(() => one.rows.complete);
  assert.deepEqual(keys(one.rows), ['a/1']);
  assert.deepEqual(
    [...one.book.table.entries()].map(([, row]) => row.reason),
    ['UnreadableObject'],
  );
});

test('trouble after the first list is in the status, and rows stay', async (context) => {
  const one = await setup(context, (api) => api.put({ name: 'a', value: [1] }));
  await until(() => one.api.watchers() === 1);
  one.api.hook = (request) => (request.socket.destroy(), true);
  one.api.endWatches('cut');
  await until(() => one.source.status.failures > 1);
  assert.deepEqual([keys(one.rows), one.source.status.synced], [['a/1'], true]);
  assert.ok(one.source.status.error !== undefined && one.source.status.lastError !== undefined);
  one.api.hook = undefined;
  await until(() => one.source.status.error === undefined);
});

test('a list of thousands leaves the event loop free now and then, and is whole in the end', async (context) => {
  const one = await setup(context, (api) => {
    for (let i = 0; i < 2000; i++) api.put({ name: `n${i}`, value: [1] });
  });
  await until(() => one.rows.complete);
  assert.equal(one.rows.size, 2000);
  assert.ok(one.api.requests.filter((request) => request.includes('limit=250')).length === 8);
});
