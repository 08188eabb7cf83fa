// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { histogram } from './histogram.ts';
import { directoryOf, flowAt, flowsFrom, opened } from './testdata/stores.ts';

it('flows by verdict and time, of blocks and of what is in memory', async (t) => {
  const { store } = await opened(await directoryOf(t));
  for (let first = 0; first < 1000; first += 100) {
    store.append(flowsFrom(first, 100)); // one a second, every tenth dropped
    if (first < 800) await store.flush();
  }
  assert.ok(store.places.length > 5 && store.blocks.length > 1);
  const found = await histogram(store, { since: flowAt(0).time, until: flowAt(1000).time, buckets: 10 });
  assert.deepEqual(
    found.map(({ since }) => since),
    Array.from({ length: 10 }, (_, i) => flowAt(i * 100).time),
  );
  const sum = (verdict: 1 | 2) => found.reduce((all, { flows }) => all + (flows[verdict] ?? 0), 0);
  assert.deepEqual([sum(1), sum(2)], [900, 100], 'none is lost, none counts twice');
  for (const { flows } of found)
    assert.ok(Math.abs((flows[1] ?? 0) - 90) <= 8 && Math.abs((flows[2] ?? 0) - 10) <= 3, JSON.stringify(flows));
  const part = await histogram(store, { since: flowAt(200).time, until: flowAt(300).time, buckets: 2 });
  assert.ok(
    part.every(({ flows }) => Math.abs((flows[1] ?? 0) + (flows[2] ?? 0) - 50) <= 8),
    part.map(({ flows }) => JSON.stringify(flows)).join(),
  );
  await store.close();
});
