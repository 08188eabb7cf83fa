// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mapUsage } from './map-usage.ts';

const MEMORY = 2 ** 33;

function usageOf(name: string, capacity: number) {
  let [time, entries] = [0, 0 as number | undefined];
  const clock = { now: () => 0, monotonic: () => time };
  const usage = mapUsage({ maps: [{ name, maxEntries: capacity }], entriesOf: () => entries, memoryBytes: MEMORY, clock });
  return {
    at(ms: number, count: number | undefined) {
      [time, entries] = [ms, count];
      return { ...usage.look(), use: usage.uses()[0] };
    },
  };
}

test('a map that fills says when it will be full, and one that does not says nothing', () => {
  const usage = usageOf('conntrack', 131_072);
  assert.equal(usage.at(0, 10_000).use?.fullIn, undefined);
  assert.equal(usage.at(30_000, 20_000).use?.fullIn, undefined, 'too soon to say');
  assert.equal(Math.round(usage.at(60_000, 20_000).use?.fullIn ?? 0), Math.round((131_072 - 20_000) / (10_000 / 60)));
  assert.equal(usage.at(120_000, 15_000).use?.fullIn, undefined);
});

test('a map that is 70 % full grows; one that may not is a Problem until it is emptier', () => {
  const small = usageOf('conntrack', 131_072);
  assert.deepEqual([small.at(0, 91_750).grow, small.at(0, 91_751).grow], [[], ['conntrack']]);
  const large = usageOf('conntrack', 262_144);
  const { grow, problems } = large.at(0, 200_000);
  assert.deepEqual([grow, problems.map(({ object, reason }) => [object, reason])], [[], [['Map conntrack', 'MapFull']]]);
  assert.match(problems[0]?.message ?? '', /200000 of 262144/);
  assert.deepEqual(large.at(1, 100).problems, []);
});

test('what nobody counts is neither', () => {
  assert.deepEqual(usageOf('fragments', 8192).at(0, undefined), {
    grow: [],
    problems: [],
    use: { name: 'fragments', capacity: 8192, entries: undefined, fullIn: undefined },
  });
});
