// SPDX-License-Identifier: Apache-2.0
// Whoever sends packets chooses labels: that costs a bounded number of series, and those that count are kept.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { metricsText } from '../../base/metrics.ts';
import { drop } from '../testdata/flows.ts';
import { flowMetrics } from './flow-metrics.ts';
import { Family } from './series.ts';

const LIMIT = 3;
const MINUTE = 60_000;
const family = () =>
  new Family({
    name: 'a',
    help: 'a',
    labels: [
      { name: 'verdict', open: false },
      { name: 'pod', open: true },
    ],
    limit: LIMIT,
  });
const valuesOf = (of: Family) =>
  Object.fromEntries(Array.from(of.samples(), ({ labels, value }) => [`${labels?.['verdict']} ${labels?.['pod']}`, value]));
function add(to: Family, pod: string, times: number): void {
  for (let i = 0; i < times; i++) to.add(['ok', pod]);
}

test('what has no room is counted, under other in place of what the sender chose', () => {
  const a = family();
  for (const pod of ['p1', 'p2', 'p3', 'p4', 'p5', 'p4']) add(a, pod, 1);
  a.add(['bad', 'p9']);
  assert.deepEqual(valuesOf(a), { 'ok p1': 1, 'ok p2': 1, 'ok p3': 1, 'ok other': 3, 'bad other': 1 });
  assert.deepEqual(a.use, { open: 3, limit: 3, other: 4, bounded: false });
  a.turn(MINUTE);
  assert.equal(a.use.bounded, true);
  a.turn(2 * MINUTE);
  assert.equal(a.use.bounded, false, 'nothing was counted under other since');
});

test('at a turn the busiest without room take the place of the quietest, and their series begins at zero', () => {
  const a = family();
  for (const pod of ['p1', 'p2', 'p3']) add(a, pod, 10);
  a.turn(MINUTE);
  add(a, 'p1', 5);
  add(a, 'p2', 50);
  add(a, 'p3', 1);
  add(a, 'busy', 11);
  add(a, 'quiet', 9);
  a.turn(2 * MINUTE);
  assert.deepEqual(valuesOf(a), { 'ok p1': 15, 'ok p2': 60, 'ok other': 20, 'ok busy': 0 });
  add(a, 'busy', 2);
  add(a, 'p3', 1);
  assert.deepEqual(valuesOf(a), { 'ok p1': 15, 'ok p2': 60, 'ok other': 21, 'ok busy': 2 });
});

test('those of one rate stay who they are', () => {
  const a = family();
  for (let turn = 1; turn < 20; turn++) {
    for (let pod = 0; pod < 2 * LIMIT; pod++) add(a, `p${pod}`, 10 + ((pod + turn) % 3));
    a.turn(turn * MINUTE);
    assert.deepEqual(Object.keys(valuesOf(a)), ['ok p0', 'ok p1', 'ok p2', 'ok other']);
  }
});

test('a series that nothing is added to for an hour goes, and leaves room; one without labels to choose stays', () => {
  const a = family();
  add(a, 'p1', 1);
  add(a, 'p2', 1);
  add(a, '', 1);
  a.turn(MINUTE);
  add(a, 'p2', 1);
  a.turn(2 * MINUTE);
  a.turn(61 * MINUTE);
  assert.deepEqual(valuesOf(a), { 'ok p2': 2, 'ok ': 1 });
  assert.equal(a.use.open, 1);
  a.turn(62 * MINUTE);
  assert.deepEqual(valuesOf(a), { 'ok ': 1 });
  for (const pod of ['p1', 'p2', 'p3']) add(a, pod, 1);
  assert.deepEqual(valuesOf(a), { 'ok ': 1, 'ok p1': 1, 'ok p2': 1, 'ok p3': 1 });
});

test('a hundred thousand senders cost as many series as there is room for', () => {
  const { count, turn, metrics, problems } = flowMetrics(['drop:sourceContext=ip;destinationContext=ip']);
  for (let i = 0; i < 100_000; i++) {
    count({ ...drop, ip: { source: `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`, destination: '10.0.0.1' } });
    if (i % 25_000 === 0) turn(i);
  }
  turn(100_001);
  const lines = metricsText(metrics)
    .split('\n')
    .filter((line) => line.startsWith('hubble_'));
  assert.ok(lines.length <= 2001, `${lines.length} series`);
  assert.match(lines.join('\n'), /source="other",destination="other"\} \d{5}$/m);
  const [bounded] = problems();
  assert.equal(bounded?.reason, 'FlowMetricBounded');
  assert.match(bounded?.message ?? '', /hubble_drop_total would have more than 2000 series/);
});

test('the label values of one event do not change those of another', () => {
  const a = family();
  const scratch = ['ok', 'p1'];
  a.add(scratch);
  scratch[1] = 'p2';
  a.add(scratch);
  assert.deepEqual(valuesOf(a), { 'ok p1': 1, 'ok p2': 1 });
});
