// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { randomFrom, seedOfRun } from '../base/random.ts';
import { flowRing } from '../flows/flow-ring.ts';
import type { Entry, FlowQuery } from '../flows/flow-ring.ts';
import { directoryOf, flowAt, flowsFrom, NODE, numbersFrom, opened, told } from './testdata/stores.ts';
import { throughPast } from './through.ts';
import type { Past } from './through.ts';
import { uuidsOf } from './uuid.ts';

type Both = Past & { add(first: number, count: number): void };

async function both(t: TestContext): Promise<Both> {
  const { store } = await opened(await directoryOf(t), { rowsPerBlock: 256 });
  t.after(() => store.close());
  const ring = flowRing(31);
  const add = (first: number, count: number) => {
    store.append(flowsFrom(first, count));
    ring.append(flowsFrom(first, count));
  };
  return { store, ring, uuids: uuidsOf(NODE), add };
}

/** What comes until the end, or with `follow` until nothing has come. `meanwhile` happens after each batch of the past. */
async function answer(
  past: Past,
  query: Partial<FlowQuery>,
  meanwhile: () => void = () => undefined,
): Promise<readonly (number | string)[]> {
  const whole = { matches: () => true, ...query };
  const { signal } = new AbortController();
  const through = throughPast(past, { ...whole, wanted: { matches: whole.matches, alternatives: [] } }, signal);
  const found: Entry[] = [];
  if (through)
    for await (const entries of through.past) {
      found.push(...entries);
      meanwhile();
    }
  const reader = past.ring.read(through ? through.present() : whole);
  do found.push(...reader.take(1000));
  while (!reader.ended && reader.pending);
  return told(found);
}

describe('flows of the past and the present', () => {
  const even: Partial<FlowQuery> = { matches: ({ verdict, l4 }) => verdict === 1 && l4?.kind === 'TCP' && (l4.sourcePort ?? 0) % 2 === 0 };
  const evens = (first: number, count: number) => numbersFrom(first, count).filter((one) => one % 2 === 0 && one % 10 !== 9);
  const cases: readonly [what: string, query: Partial<FlowQuery>, wanted: readonly number[]][] = [
    ['all', {}, numbersFrom(0, 500)],
    ['the last three', { number: 3 }, numbersFrom(497, 3)],
    ['the last hundred, of which the ring has few', { number: 100 }, numbersFrom(400, 100)],
    ['more than there are', { number: 9999 }, numbersFrom(0, 500)],
    ['far more than there are', { number: 99_999 }, numbersFrom(0, 500)],
    ['the first three', { number: 3, first: true }, numbersFrom(0, 3)],
    ['since a time', { since: flowAt(300).time }, numbersFrom(300, 200)],
    ['since a time that the ring has', { since: flowAt(490).time }, numbersFrom(490, 10)],
    ['since a time, a few', { since: flowAt(300).time, number: 5 }, numbersFrom(300, 5)],
    ['until a time, the last of them', { until: flowAt(99).time, number: 10 }, numbersFrom(90, 10)],
    ['between two times', { since: flowAt(100).time, until: flowAt(199).time }, numbersFrom(100, 100)],
    ['the last few that match', { ...even, number: 50 }, evens(0, 500).slice(-50)],
    ['those that match', even, evens(0, 500)],
    ['only what comes', { follow: true }, []],
    ['what comes, after the last hundred', { follow: true, number: 100 }, numbersFrom(400, 100)],
    ['what comes, since a time', { follow: true, since: flowAt(200).time }, numbersFrom(200, 300)],
  ];
  for (const [what, query, wanted] of cases)
    it(`are one row: ${what}`, async (t) => {
      const past = await both(t);
      for (let first = 0; first < 500; first += 50) past.add(first, 50);
      await past.store.flush();
      assert.deepEqual(await answer(past, query), wanted);
    });

  it('have no gap and nothing twice where they meet, while more come', async (t) => {
    const seed = seedOfRun();
    const random = randomFrom(seed);
    for (let run = 0; run < 30; run++) {
      const past = await both(t);
      let next = random.below(400);
      past.add(0, next);
      if (random.chance(0.5)) await past.store.flush();
      const more = () => {
        const count = random.below(40);
        past.add(next, count);
        next += count;
        if (random.chance(0.3)) void past.store.flush();
      };
      const number = random.pick([undefined, 1 + random.below(200)]);
      const first = number === undefined ? 0 : Math.max(0, next - number);
      const query = number === undefined ? { since: 0n, follow: true } : { number, follow: true };
      let batches = 0;
      const found = await answer(past, query, () => batches++ < 20 && more());
      assert.deepEqual(found, numbersFrom(first, next - first), `SEED=${seed} run ${run}`);
    }
  });

  it('come from the ring where the store has none of them', async (t) => {
    const past = await both(t);
    past.add(0, 100);
    past.ring.append(flowsFrom(100, 20));
    assert.deepEqual(await answer(past, { number: 50 }), numbersFrom(70, 50));
    assert.deepEqual(await answer(past, { since: 0n }), numbersFrom(0, 120));
  });

  it('tell of those that neither has', async (t) => {
    const past = await both(t);
    for (let first = 0; first < 2000; first += 100) past.add(first, 100); // in one turn: there is no time to write
    assert.deepEqual(await answer(past, { since: 0n }), [...numbersFrom(0, 1280), 'lost', ...numbersFrom(1969, 31)]);
  });

  it('would have a gap without the store', async (t) => {
    const past = await both(t);
    past.add(0, 500);
    assert.deepEqual(told(past.ring.read({ since: 0n, matches: () => true }).take(1000)), numbersFrom(469, 31));
  });
});
