// SPDX-License-Identifier: Apache-2.0
// Following a kind through everything that a server and a network do.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import type { TestContext } from 'node:test';

import { randomFrom, seedOfRun } from '../base/random.ts';
import { until } from '../base/until.ts';
import { kubeClient, nameOf } from './client.ts';
import { refuse, testApi } from './testbed.ts';
import type { TestApi } from './testbed.ts';
import { watchKind } from './watch.ts';
import type { KindOptions, Update } from './watch.ts';

const PATH = '/api/v1/things';

type Following = {
  readonly api: TestApi;
  readonly kinds: string[];
  readonly errors: string[];
  /** What a follower knows. */ readonly known: Map<string, unknown>;
  stop(): Promise<void>;
};

type Thing = { readonly metadata: { readonly name: string }; readonly value?: unknown };

async function follow(
  context: TestContext,
  prepare: (api: TestApi) => void,
  options: Partial<KindOptions<Thing, Thing>> = {},
): Promise<Following> {
  const api = await testApi(context);
  prepare(api);
  const client = kubeClient({ access: api.access, deadlineMs: 1000 });
  const [kinds, errors, known] = [[] as string[], [] as string[], new Map<string, unknown>()];
  const stop = new AbortController();
  const on = (update: Update<Thing>) => {
    kinds.push(update.kind);
    if (update.kind === 'trouble') errors.push(update.error.reason);
    else if (update.kind === 'changed') known.set(update.object.metadata.name, update.object.value);
    else if (update.kind === 'deleted') known.delete(update.object.metadata.name);
    else if (update.kind === 'snapshot') {
      known.clear();
      for (const object of update.objects) known.set(object.metadata.name, object.value);
    }
  };
  const done = watchKind<Thing, Thing>({ client, path: PATH, pick: (object) => object, on, signal: stop.signal, ...options });
  const end = async () => {
    stop.abort();
    await done;
  };
  context.after(async () => {
    await end();
    client.close();
  });
  return { api, kinds, errors, known, stop: end };
}

const knows = (following: Following, what: Record<string, unknown>) => () =>
  isDeepStrictEqual(following.known, new Map(Object.entries(what)));
const lists = (api: TestApi) => api.requests.filter((request) => !request.includes('watch=true')).length;

test('a list comes in pages and is one snapshot; what happens afterwards comes one by one', async (context) => {
  const one = await follow(context, (api) => ['a', 'b', 'c', 'd', 'e'].forEach((name) => api.put({ name, value: 1 })), { limit: 2 });
  await until(() => one.kinds.includes('watching'));
  assert.equal(lists(one.api), 3);
  one.api.put({ name: 'a', value: 2 });
  one.api.put({ name: 'f', value: 1 });
  one.api.delete('b');
  await until(knows(one, { a: 2, c: 1, d: 1, e: 1, f: 1 }));
  assert.deepEqual(one.kinds, ['snapshot', 'watching', 'changed', 'changed', 'deleted']);
});

test('a stream that ends is taken up again where it was, without a list and without trouble', async (context) => {
  const one = await follow(context, (api) => api.put({ name: 'a', value: 1 }));
  await until(() => one.api.watchers() === 1);
  one.api.put({ name: 'a', value: 2 });
  await until(knows(one, { a: 2 }));
  one.api.endWatches('end');
  one.api.put({ name: 'b', value: 1 });
  await until(knows(one, { a: 2, b: 1 }));
  assert.deepEqual([lists(one.api), one.errors], [1, []]);
});

test('a bookmark is where the next stream goes on, so that old history may go', async (context) => {
  const one = await follow(context, () => {});
  await until(() => one.api.watchers() === 1);
  one.api.compact();
  one.api.toWatchers('{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"11"}}}\n');
  await until(async () => {
    one.api.endWatches('end');
    return one.api.requests.some((request) => request.includes('resourceVersion=11'));
  });
  one.api.put({ name: 'b', value: 1 });
  await until(knows(one, { b: 1 }));
  assert.deepEqual([lists(one.api), one.errors], [1, []]);
});

for (const how of ['when a stream is opened', 'within a stream'] as const) {
  test(`410 ${how} leads to a new list at once, which says what is gone`, async (context) => {
    const one = await follow(context, (api) => ['a', 'b'].forEach((name) => api.put({ name, value: 1 })));
    await until(() => one.api.watchers() === 1);
    const expired = '{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old resource version"}}\n';
    one.api.put({ name: 'a', value: 2 });
    await until(knows(one, { a: 2, b: 1 }));
    if (how === 'within a stream') one.api.toWatchers(expired);
    one.api.endWatches('end');
    one.api.delete('a');
    one.api.compact();
    await until(knows(one, { b: 1 }));
    await until(() => one.api.watchers() === 1);
    assert.deepEqual([lists(one.api), one.errors], [2, []]);
  });
}

test('a page that fails is asked for again, and those before it are not', async (context) => {
  let failing = 2;
  const one = await follow(
    context,
    (api) => {
      ['a', 'b', 'c'].forEach((name) => api.put({ name, value: 1 }));
      api.hook = (_, response, url) =>
        url.searchParams.has('continue') &&
        failing-- > 0 &&
        (refuse(response, { code: 500, reason: 'InternalError', message: 'no' }), true);
    },
    { limit: 2 },
  );
  await until(knows(one, { a: 1, b: 1, c: 1 }));
  assert.equal(one.api.requests.filter((request) => request === `GET ${PATH}?limit=2`).length, 1);
});

test('410 in the middle of a list leads to a list in one piece', async (context) => {
  const one = await follow(
    context,
    (api) => {
      ['a', 'b', 'c'].forEach((name) => api.put({ name, value: 1 }));
      api.hook = (_, response, url) =>
        url.searchParams.has('continue') &&
        (refuse(response, { code: 410, reason: 'Expired', message: 'the continue token is too old' }), true);
    },
    { limit: 2 },
  );
  await until(knows(one, { a: 1, b: 1, c: 1 }));
  assert.equal(one.api.requests[2], `GET ${PATH}`);
});

test('a server that says 410 to every stream is asked ever more seldom', async (context) => {
  const one = await follow(context, (api) => {
    api.hook = (_, response, url) =>
      url.searchParams.has('watch') && (refuse(response, { code: 410, reason: 'Gone', message: 'always' }), true);
  });
  const started = performance.now();
  await until(() => one.kinds.filter((kind) => kind === 'snapshot').length === 5);
  assert.ok(performance.now() - started > 500, '0 + 200 + 400 ms and so on, less jitter');
  assert.ok(one.errors.every((reason) => reason === 'Gone'));
});

test('a stream cut in the middle of an object loses nothing', async (context) => {
  const one = await follow(context, (api) => api.put({ name: 'a', value: 1 }));
  await until(() => one.api.watchers() === 1);
  one.api.toWatchers('{"type":"MODIFIED","object":{"metadata":{"na');
  one.api.endWatches('cut');
  one.api.put({ name: 'a', value: 2 });
  await until(knows(one, { a: 2 }));
  assert.deepEqual([lists(one.api), one.errors], [1, ['Unreachable']]);
});

test('a server that falls silent is left', async (context) => {
  const one = await follow(context, () => {}, { silenceMs: 150 });
  await until(() => one.errors.includes('Timeout'));
  one.api.put({ name: 'a', value: 1 });
  await until(knows(one, { a: 1 }));
  assert.equal(lists(one.api), 1);
});

test('a server that is not there yet, then refuses, then is back: trouble until it is over, and a snapshot', async (context) => {
  let down = true;
  const one = await follow(context, (api) => {
    api.put({ name: 'a', value: 1 });
    api.hook = (request) => down && (request.socket.destroy(), true);
  });
  await until(() => one.errors.length >= 2);
  assert.equal(one.kinds.includes('snapshot'), false);
  one.api.hook = (_, response) => down && (refuse(response, { code: 403, reason: 'Forbidden', message: 'not yet' }), true);
  await until(() => one.errors.includes('Forbidden'));
  down = false;
  await until(knows(one, { a: 1 }));
});

test('a server that does not know where we were is listed anew', async (context) => {
  const one = await follow(context, (api) => api.put({ name: 'a', value: 1 }));
  await until(() => one.api.watchers() === 1);
  one.api.hook = (_, response, url) =>
    url.searchParams.has('watch') &&
    lists(one.api) < 2 &&
    (refuse(response, { code: 504, reason: 'Timeout', message: 'Too large resource version' }), true);
  one.api.endWatches('end');
  await until(() => lists(one.api) === 2);
  one.api.put({ name: 'b', value: 1 });
  await until(knows(one, { a: 1, b: 1 }));
});

test('with half of all requests failing and streams cut all the time, what is known becomes what there is', async (context) => {
  const seed = seedOfRun();
  context.diagnostic(`SEED=${seed}`);
  const random = randomFrom(seed);
  const one = await follow(
    context,
    (api) => {
      for (let i = 0; i < 9; i++) api.put({ name: `n${i}`, value: 0 });
      api.hook = (request, response) => {
        const fate = random.below(4);
        if (fate === 0) request.socket.destroy();
        else if (fate === 1) refuse(response, { code: 500, reason: 'InternalError', message: 'etcd leader changed' });
        return fate < 2;
      };
    },
    { limit: 4, waitsMs: [2, 50] },
  );
  for (let i = 1; i <= 12; i++) {
    await until(() => one.api.watchers() === 1, 20_000);
    one.api.put({ name: `n${i % 9}`, value: i });
    if (i % 5 === 0) one.api.delete(`n${(i * 7) % 9}`);
    await until(knows(one, one.api.contents()));
    if (i % 4 === 0) one.api.toWatchers('{"type":"MODI');
    one.api.endWatches(i % 2 === 0 ? 'cut' : 'end');
    one.api.put({ name: 'between', value: i });
    if (i % 3 === 0) one.api.compact();
  }
  await until(knows(one, one.api.contents()), 20_000);
  assert.ok(one.errors.length > 3);
});

test('what is kept of an object is what was picked of it, and an abort ends the loop at any place', async (context) => {
  const api = await testApi(context);
  api.put({ name: 'a', value: 1 });
  for (const hook of [undefined, () => true] as const) {
    api.hook = hook;
    const [client, stop, picked] = [kubeClient({ access: api.access }), new AbortController(), [] as unknown[]];
    const done = watchKind<Thing, string | undefined>({
      client,
      path: PATH,
      pick: nameOf,
      on: (update) => void (update.kind === 'snapshot' && picked.push(...update.objects)),
      signal: stop.signal,
    });
    const before = api.requests.length;
    await until(() => (hook ? api.requests.length > before : api.watchers() === 1));
    stop.abort();
    await done;
    assert.deepEqual(picked, hook ? [] : ['shop/a']);
    client.close();
  }
});
