// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { systemClock } from '../base/clock.ts';
import { entryAt } from './rows.ts';
import { tailsIn } from './tails.ts';
import { openSegments } from './segments.ts';
import { storeOf } from './store.ts';
import type { Trouble } from './store.ts';
import { directoryOf, entriesOf, flowAt, flowsFrom, NODE, numbersFrom, opened, START, told } from './testdata/stores.ts';

const filesIn = async (directory: string, suffix: string) => (await readdir(directory)).filter((name) => name.endsWith(suffix)).toSorted();

const flowsIn = (entries: Parameters<typeof told>[0]) => told(entries).filter((one) => typeof one === 'number');

describe('what was appended', () => {
  it('comes back as it was: from blocks, from what waits, and from the newest rows', async (t) => {
    const { store } = await opened(await directoryOf(t));
    for (let first = 0; first < 300; first += 50) {
      store.append(flowsFrom(first, 50));
      if (first === 100) await store.flush();
    }
    assert.ok(store.places.length > 0 && store.blocks.length > 1, 'some on disk, some waiting');
    const entries = await entriesOf(store);
    assert.deepEqual(told(entries), numbersFrom(0, 300));
    assert.deepEqual(
      entries.map((entry) => entry.kind === 'flow' && { ...entry.flow, ip: { ...entry.flow.ip } }),
      flowsFrom(0, 300),
    );
    assert.deepEqual(told(await entriesOf(store, { order: 'newest first' })), numbersFrom(0, 300).toReversed());
    await store.close();
  });

  it('is there after a restart, with a gap for the time without an agent', async (t) => {
    const directory = await directoryOf(t);
    const first = await opened(directory);
    first.store.append(flowsFrom(0, 150));
    await first.store.close();
    const second = await opened(directory);
    second.store.append(flowsFrom(150, 50));
    const entries = await entriesOf(second.store);
    assert.deepEqual(told(entries), [...numbersFrom(0, 150), 'stopped', ...numbersFrom(150, 50)]);
    const gap = entries.find((entry) => entry.kind === 'gap')?.gap;
    assert.deepEqual(gap, { why: 'stopped', first: flowAt(149).time, last: BigInt(START + 3_600_000) * 1_000_000n, flows: 0 });
    await second.store.close();
    const third = await opened(directory);
    assert.deepEqual(told(await entriesOf(third.store)).length, 202, 'and once more');
    await third.store.close();
  });

  it('between two times is found without the rest, both ends included', async (t) => {
    const { store } = await opened(await directoryOf(t));
    store.append(flowsFrom(0, 500));
    await store.flush();
    const between = { since: flowAt(100).time, until: flowAt(200).time };
    assert.deepEqual(told(await entriesOf(store, between)), numbersFrom(100, 101));
    assert.deepEqual(told(await entriesOf(store, { ...between, order: 'newest first' })), numbersFrom(100, 101).toReversed());
    await store.close();
  });
});

describe('a crash', () => {
  it('of which the tail ends at any byte costs what was after that byte, and nothing before', async (t) => {
    const [directory, copy] = [await directoryOf(t), await directoryOf(t)];
    const { store } = await opened(directory);
    for (let first = 0; first < 4; first += 2) {
      store.append(flowsFrom(first, 2));
      await store.flush();
    }
    const [tail = ''] = await filesIn(directory, '.tail');
    const bytes = await readFile(join(directory, tail));
    const kept: number[] = [];
    for (let length = 0; length <= bytes.length; length++) {
      await writeFile(join(copy, tail), bytes.subarray(0, length));
      const [left] = await tailsIn(copy, 0);
      const found = flowsIn((left?.rows ?? []).flatMap((rows) => Array.from({ length: rows.count }, (_, row) => entryAt(rows, row))));
      assert.deepEqual(found, numbersFrom(0, found.length), `cut at ${length}`);
      kept.push(found.length);
      if (length % 101 > 0) continue;
      const after = await opened(copy);
      assert.deepEqual(flowsIn(await entriesOf(after.store)), found);
      after.store.append([flowAt(1000)]);
      await after.store.close();
      const again = await opened(copy);
      assert.deepEqual(flowsIn(await entriesOf(again.store)), [...found, 1000], `goes on after a cut at ${length}`);
      await again.store.close();
    }
    assert.deepEqual([...new Set(kept)], [0, 2, 4]);
    await store.close();
  });

  it('between a block and the end of its tail leaves no flow twice', async (t) => {
    const directory = await directoryOf(t);
    const before = await opened(directory);
    before.store.append(flowsFrom(0, 60));
    await before.store.flush();
    const [tail = ''] = await filesIn(directory, '.tail');
    const left = await readFile(join(directory, tail));
    before.store.append(flowsFrom(60, 10));
    await before.store.close();
    await writeFile(join(directory, tail), left);
    const { store } = await opened(directory);
    assert.deepEqual(flowsIn(await entriesOf(store)), numbersFrom(0, 70));
    await store.close();
  });

  it('of which a segment ends at any byte costs the blocks that are not whole', async (t) => {
    const [directory, copy] = [await directoryOf(t), await directoryOf(t)];
    const { store } = await opened(directory, { rowsPerBlock: 2 });
    store.append(flowsFrom(0, 5));
    await store.flush();
    const [segment = ''] = await filesIn(directory, '.flows');
    const bytes = await readFile(join(directory, segment));
    const kept: number[] = [];
    for (let length = 0; length <= bytes.length; length += 53) {
      await writeFile(join(copy, segment), bytes.subarray(0, length));
      const after = await opened(copy, { rowsPerBlock: 2 });
      const found = flowsIn(await entriesOf(after.store));
      assert.deepEqual(found, numbersFrom(0, found.length), `cut at ${length}`);
      kept.push(found.length);
      await after.store.close();
    }
    assert.deepEqual([...new Set(kept)], [0, 2, 4].slice(0, new Set(kept).size));
    assert.ok(new Set(kept).size >= 2);
    await store.close();
  });
});

describe('damage', () => {
  for (const [what, part] of [
    ['its header', 0.02],
    ['its body', 0.9],
  ] as const)
    it(`of one block, in ${what}, is a gap: its file is set aside, the others stay`, async (t) => {
      const directory = await directoryOf(t);
      const before = await opened(directory);
      before.store.append(flowsFrom(0, 64 * 5));
      await before.store.flush();
      const [, second] = before.store.places;
      assert.ok(second);
      await before.store.close();
      const bytes = await readFile(second.path);
      const at = second.offset + Math.floor(second.length * part);
      bytes[at] = (bytes[at] ?? 0) ^ 0xff;
      await writeFile(second.path, bytes);

      const { store, troubles } = await opened(directory);
      const wanted = [...numbersFrom(0, 64), 'damaged', ...numbersFrom(128, 192)];
      assert.deepEqual(
        told(await entriesOf(store)).filter((one) => one !== 'stopped'),
        wanted,
      );
      assert.deepEqual(troubles.at(-1)?.damaged, [second.path.replace('.flows', '.damaged')]);
      assert.deepEqual(await readFile(second.path.replace('.flows', '.damaged')), bytes, 'as it was');
      store.append(flowsFrom(1000, 100));
      await store.close();
      const again = await opened(directory);
      const after = told(await entriesOf(again.store)).filter((one) => one !== 'stopped');
      assert.deepEqual(after, [...wanted, ...numbersFrom(1000, 100)]);
      assert.equal(again.troubles.at(-1)?.damaged.length, 1, 'told until the file is gone');
      await again.store.close();
    });

  it('is told of none where there is none', async (t) => {
    const directory = await directoryOf(t);
    const before = await opened(directory);
    before.store.append(flowsFrom(0, 320));
    await before.store.close();
    const { store, troubles } = await opened(directory);
    await entriesOf(store);
    assert.deepEqual([troubles, await filesIn(directory, '.damaged')], [[], []]);
    await store.close();
  });
});

describe('a cap', () => {
  it('costs the oldest flows, and is never exceeded', async (t) => {
    const directory = await directoryOf(t);
    const maxBytes = 50_000;
    const { store } = await opened(directory, { maxBytes });
    let most = 0;
    for (let first = 0; first < 64 * 80; first += 64) {
      store.append(flowsFrom(first, 64));
      await store.flush();
      const sizes = await Promise.all((await readdir(directory)).map(async (name) => (await stat(join(directory, name))).size));
      most = Math.max(
        most,
        sizes.reduce((sum, size) => sum + size, 0),
      );
    }
    assert.ok(most <= maxBytes, `${most} bytes`);
    const left = told(await entriesOf(store));
    assert.deepEqual(left, numbersFrom(64 * 80 - left.length, left.length), 'what is left is the newest');
    assert.ok(left.length > 1000, `${left.length} are left`);
    assert.ok(store.bytes <= maxBytes && store.bytes > maxBytes * 0.8, `${store.bytes} are used`);
    await store.close();
  });
});

describe('a disk that hangs', () => {
  async function slow(t: TestContext, patienceMs: number) {
    const directory = await directoryOf(t);
    const troubles: Trouble[] = [];
    const answered = Promise.withResolvers<void>();
    const segments = await openSegments({ directory, maxBytes: () => 1e9 });
    const store = storeOf(
      { directory, node: NODE, maxBytes: 1e9, clock: systemClock, report: (trouble) => void troubles.push(trouble), patienceMs },
      { segments, blocks: [], touch: () => answered.promise },
    );
    store.append(flowsFrom(0, 3));
    return { store, troubles, answer: answered.resolve, flushed: store.flush() };
  }

  it('is told while the store is open, and that it answers again', async (t) => {
    const { store, troubles, answer, flushed } = await slow(t, 20);
    for (const end = performance.now() + 10_000; troubles.length === 0; await delay(5))
      assert.ok(performance.now() < end, 'told within 10 s');
    assert.equal(troubles[0]?.disk?.kind, 'hangs');
    answer();
    await flushed;
    assert.deepEqual([troubles.length, troubles[1]?.disk], [2, undefined]);
    await store.close();
  });

  it('is not told of one that answers in time', async (t) => {
    const { store, troubles, answer, flushed } = await slow(t, 60_000);
    answer();
    await flushed;
    await store.close();
    assert.deepEqual(troubles, []);
  });
});

it('what is kept is counted: rows, files, the oldest, and gaps by why', async (t) => {
  const directory = await directoryOf(t);
  const first = await opened(directory);
  assert.deepEqual([first.store.rows, first.store.segments, first.store.oldest], [0, 0, undefined]);
  first.store.append(flowsFrom(0, 150));
  assert.deepEqual([first.store.rows, first.store.oldest], [150, flowAt(0).time]);
  await first.store.flush();
  assert.deepEqual([first.store.rows, first.store.segments, first.store.oldest], [150, 1, flowAt(0).time]);
  assert.ok(first.store.bytes > 0 && first.store.bytes < first.store.maxBytes);
  await first.store.close();
  const second = await opened(directory);
  assert.deepEqual(
    [first.store.gaps, second.store.gaps],
    [
      { stopped: 0, full: 0, slow: 0 },
      { stopped: 1, full: 0, slow: 0 },
    ],
  );
  await second.store.close();
});
