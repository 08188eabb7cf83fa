// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { grpcClient } from '../grpc/client.ts';
import { grpcServer } from '../grpc/server.ts';
import { RpcError, Status } from '../grpc/status.ts';
import { directoryOf, flowAt, flowsFrom, opened } from '../history/testdata/stores.ts';
import { getHistogram, histogramOfAll } from '../hubble/history.ts';
import type { HistogramRequest } from '../hubble/history.ts';
import { historyHandlers } from './history-service.ts';

async function asked(context: TestContext, store: Parameters<typeof historyHandlers>[0]) {
  const server = grpcServer({ handlers: historyHandlers(store) });
  await server.listen({ host: '127.0.0.1', port: 0 });
  const client = grpcClient({ address: { host: '127.0.0.1', port: server.port } });
  context.after(async () => {
    client[Symbol.dispose]();
    await server[Symbol.asyncDispose]();
  });
  return (request: HistogramRequest) => client.call(getHistogram, request, {});
}

const range = { since: flowAt(0).time, until: flowAt(400).time };

test('flows that are kept are counted by when they were and whether they were dropped', async (context) => {
  const { store } = await opened(await directoryOf(context));
  context.after(store.close);
  for (let first = 0; first < 400; first += 100) {
    store.append(flowsFrom(first, 100));
    await store.flush();
  }
  const ask = await asked(context, { store });
  const { buckets = [] } = await ask({ ...range, buckets: 4 });
  assert.equal(buckets.length, 4);
  assert.deepEqual([buckets[0]?.since, buckets[2]?.since], [range.since, flowAt(200).time]);
  const [forwarded, dropped] = [
    buckets.reduce((sum, one) => sum + (one.forwarded ?? 0), 0),
    buckets.reduce((sum, one) => sum + (one.dropped ?? 0), 0),
  ];
  assert.deepEqual([forwarded, dropped], [360, 40]);
  for (const one of buckets) assert.ok(Math.abs((one.forwarded ?? 0) - 90) < 15, `${one.forwarded} in a quarter`);
});

const bad: readonly (readonly [why: string, request: HistogramRequest, says: RegExp])[] = [
  ['without an end', { since: range.since, buckets: 1 }, /wanted one before the other/],
  ['that ends before it begins', { since: range.until, until: range.since, buckets: 1 }, /wanted one before the other/],
  ['in no parts', range, /buckets is 0, wanted 1 to 1000/],
  ['in more parts than there is room for', { ...range, buckets: 1_000_000 }, /buckets is 1000000/],
];
for (const [why, request, says] of bad)
  test(`a question ${why} is refused`, async (context) => {
    const ask = await asked(context, { store: undefined });
    await assert.rejects(ask(request), (error: unknown) => {
      assert.ok(error instanceof RpcError && error.status === Status.INVALID_ARGUMENT);
      assert.match(error.message, says);
      return true;
    });
  });

test('a node without a store says so, and does not say that there was nothing', async (context) => {
  const ask = await asked(context, undefined);
  await assert.rejects(ask({ ...range, buckets: 4 }), { status: Status.UNAVAILABLE });
});

test('nodes add up', () => {
  const [a, b] = [
    { buckets: [{ since: 1n, forwarded: 2, dropped: 1 }, { since: 5n }] },
    {
      buckets: [
        { since: 1n, forwarded: 3 },
        { since: 5n, forwarded: 4, dropped: 2 },
      ],
    },
  ];
  assert.deepEqual(histogramOfAll([a, b]), {
    buckets: [
      { since: 1n, forwarded: 5, dropped: 1 },
      { since: 5n, forwarded: 4, dropped: 2 },
    ],
  });
  assert.deepEqual(histogramOfAll([]), { buckets: undefined });
});
