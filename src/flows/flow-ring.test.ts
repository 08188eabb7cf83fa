// SPDX-License-Identifier: Apache-2.0

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LostEventSource, Verdict } from './flow-enums.ts';
import type { Flow } from './flow.ts';
import { flowRing, isRingCapacity } from './flow-ring.ts';
import type { Entry, FlowQuery, FlowRing } from './flow-ring.ts';

const flow = (second: number, verdict: Verdict = Verdict.FORWARDED): Flow => ({
  time: BigInt(second) * 1_000_000_000n,
  uuid: '',
  verdict,
  type: 1,
  nodeName: 'default/a',
  summary: String(second),
});

/** Flows of the seconds from 1 on; those of even seconds were dropped. */
function ringOf(capacity: number, seconds: number): FlowRing {
  const ring = flowRing(capacity);
  for (let second = 1; second <= seconds; second++) ring.append([flow(second, second % 2 === 0 ? Verdict.DROPPED : Verdict.FORWARDED)]);
  return ring;
}

const told = (entries: readonly Entry[]): readonly string[] =>
  entries.map((entry) => (entry.kind === 'flow' ? entry.flow.summary : `lost ${entry.lost.numEventsLost}`));
const everything = () => true;
const dropped = (one: Flow): boolean => one.verdict === Verdict.DROPPED;
const at = (second: number): bigint => BigInt(second) * 1_000_000_000n;

const reads: readonly (readonly [what: string, query: Partial<FlowQuery>, wanted: string])[] = [
  ['all that there are', {}, '4 5 6 7 8 9 10'],
  ['the newest', { number: 2 }, '9 10'],
  ['more than there are', { number: Number.MAX_SAFE_INTEGER }, '4 5 6 7 8 9 10'],
  ['the newest that match', { number: 3, matches: dropped }, '6 8 10'],
  ['the oldest', { number: 2, first: true }, '4 5'],
  ['the oldest that match', { number: 3, first: true, matches: dropped }, '4 6 8'],
  ['from a time on', { since: at(8) }, '8 9 10'],
  ['from a time on, but not more than', { since: at(6), number: 2 }, '6 7'],
  ['from a time on that match, but not more than', { since: at(6), number: 2, matches: dropped }, '6 8'],
  ['from a time that is still to come', { since: at(11) }, ''],
  ['until a time', { until: at(6) }, '4 5 6'],
  ['between', { since: at(5), until: at(7) }, '5 6 7'],
  ['the newest before a time', { number: 2, until: at(7) }, '6 7'],
  ['none', { matches: () => false }, ''],
];

for (const [what, query, wanted] of reads)
  test(`reads ${what}`, () => {
    const reader = ringOf(7, 10).read({ matches: everything, ...query });
    assert.equal(told(reader.take(100)).join(' '), wanted);
    assert.equal(reader.ended, true);
  });

const follows: readonly (readonly [what: string, query: Partial<FlowQuery>, wanted: string])[] = [
  ['only what comes', {}, '11 12'],
  ['the newest and what comes, without an end', { number: 1 }, '10 11 12'],
  ['from a time on', { since: at(9), number: 1 }, '9 10 11 12'],
  ['what matches', { number: 1, matches: dropped }, '10 12'],
];

for (const [what, query, wanted] of follows)
  test(`follows ${what}`, () => {
    const ring = ringOf(7, 10);
    const reader = ring.read({ matches: everything, follow: true, ...query });
    const before = reader.take(100);
    assert.equal(reader.ended, false);
    assert.deepEqual(reader.take(100), []);
    ring.append([flow(11), flow(12, Verdict.DROPPED)]);
    assert.equal(reader.pending, true);
    assert.equal(told([...before, ...reader.take(100)]).join(' '), wanted);
  });

test('following ends after a time', () => {
  const ring = ringOf(7, 3);
  const reader = ring.read({ matches: everything, follow: true, until: at(4) });
  ring.append([flow(4), flow(5)]);
  assert.equal(told(reader.take(100)).join(' '), '4');
  assert.equal(reader.ended, true);
});

test('who does not follow ends, however many flows come meanwhile', () => {
  const ring = ringOf(7, 3);
  const reader = ring.read({ matches: everything });
  assert.equal(told(reader.take(2)).join(' '), '1 2');
  ring.append([flow(4)]);
  assert.equal(told(reader.take(100)).join(' '), '3');
  assert.equal(reader.ended, true);
});

test('who is overtaken is told how many flows he missed, and between which times', () => {
  const ring = ringOf(7, 3);
  const reader = ring.read({ matches: everything, follow: true, number: 3 });
  assert.equal(told(reader.take(1)).join(' '), '1');
  for (let second = 4; second <= 10; second++) ring.append([flow(second)]);
  const [lost, ...rest] = reader.take(100);
  assert.deepEqual(lost, {
    kind: 'lost',
    lost: { source: LostEventSource.HUBBLE_RING_BUFFER, numEventsLost: 2n, first: at(1), last: at(4) },
  });
  assert.equal(told(rest).join(' '), '4 5 6 7 8 9 10');
  assert.equal(ring.missed, 2);
});

test('who does not follow is told of no more than he wanted to see', () => {
  const ring = ringOf(7, 3);
  const reader = ring.read({ matches: everything });
  for (let second = 4; second <= 30; second++) ring.append([flow(second)]);
  assert.equal(told(reader.take(100)).join(' '), 'lost 3');
  assert.equal(reader.ended, true);
});

test('losses stand between flows, pass every filter and count for nobody', () => {
  const ring = flowRing(7);
  ring.append([flow(1)]);
  ring.lose({ source: LostEventSource.PERF_EVENT_RING_BUFFER, numEventsLost: 9n });
  ring.append([flow(2), flow(3)]);
  assert.equal(told(ring.read({ matches: everything, number: 3 }).take(100)).join(' '), '1 lost 9 2 3');
  assert.equal(told(ring.read({ matches: () => false }).take(100)).join(' '), 'lost 9');
  assert.deepEqual([ring.seen, ring.length], [3, 4]);
});

test('a rare match does not make one take longer than its budget', () => {
  const reader = ringOf(7, 7).read({ matches: (one) => one.summary === '7' });
  assert.deepEqual(told(reader.take(3)), []);
  assert.equal(reader.ended, false);
  assert.deepEqual([...told(reader.take(3)), ...told(reader.take(3))], ['7']);
});

test('listeners hear of a batch once, until they do not want to', () => {
  const ring = flowRing(7);
  let heard = 0;
  const stop = ring.listen(() => heard++);
  ring.append([flow(1), flow(2)]);
  ring.append([]);
  stop();
  ring.append([flow(3)]);
  assert.equal(heard, 1);
});

test('capacities are one less than a power of two', () => {
  assert.deepEqual(
    [0, 1, 2, 3, 4, 4095, 4096, 65535, 131071, 3.5].filter((capacity) => isRingCapacity(capacity)),
    [1, 3, 4095, 65535],
  );
});
