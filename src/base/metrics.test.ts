// SPDX-License-Identifier: Apache-2.0
// Metrics as text.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { histogram, metricKinds, metricsOf, metricsText } from './metrics.ts';

test('a metric is its help, its type and its samples as they are now', () => {
  let value = 1;
  const metric = {
    name: 'stentor_drops_total',
    type: 'counter',
    help: 'Packets dropped',
    labels: ['reason'],
    samples: () => [{ labels: { reason: 'policy' }, value }],
  } as const;
  assert.equal(
    metricsText([metric]),
    '# HELP stentor_drops_total Packets dropped\n# TYPE stentor_drops_total counter\nstentor_drops_total{reason="policy"} 1\n',
  );
  value = 2;
  assert.match(metricsText([metric]), / 2\n$/);
});

test('quotes, backslashes and line ends in labels and help are escaped, and no label is no brace', () => {
  const text = metricsText([
    { name: 'a', type: 'gauge', help: 'one\ntwo\\', labels: ['x'], samples: () => [{ labels: { x: 'q"\\\n' }, value: 0 }, { value: 1 }] },
  ]);
  assert.equal(text, '# HELP a one\\ntwo\\\\\n# TYPE a gauge\na{x="q\\"\\\\\\n"} 0\na 1\n');
});

test('a histogram counts times in buckets that contain the smaller ones', () => {
  const times = histogram();
  for (const seconds of [0.004, 0.02, 30]) times.observe({ event: 'upsert' }, seconds);
  times.observe({ event: 'delete' }, 0.005);
  const lines = metricsText([{ name: 't', type: 'histogram', help: 'Times', labels: ['event'], samples: () => times.samples() }]).split(
    '\n',
  );
  assert.equal(lines[1], '# TYPE t histogram');
  for (const line of [
    't_bucket{event="upsert",le="0.005"} 1',
    't_bucket{event="upsert",le="0.01"} 1',
    't_bucket{event="upsert",le="0.025"} 2',
    't_bucket{event="upsert",le="10"} 2',
    't_bucket{event="upsert",le="+Inf"} 3',
    't_sum{event="upsert"} 30.024',
    't_count{event="upsert"} 3',
    't_bucket{event="delete",le="0.005"} 1',
  ])
    assert.ok(lines.includes(line), `${line} among\n${lines.join('\n')}`);
});

test('metrics that are declared have names before there are numbers', () => {
  const { gauge, counter } = metricKinds<{ readonly pods: number; readonly drops: ReadonlyMap<string, number> }>();
  const declared = [
    gauge('pods', 'Pods', [], ({ pods }) => [{ value: pods }]),
    counter('drops_total', 'Drops', ['reason'], ({ drops }) => Array.from(drops, ([reason, value]) => ({ labels: { reason }, value }))),
  ];
  assert.deepEqual(
    declared.map(({ name, type, labels }) => [name, type, labels]),
    [
      ['pods', 'gauge', []],
      ['drops_total', 'counter', ['reason']],
    ],
  );
  const text = metricsText(metricsOf(declared, { pods: 3, drops: new Map([['policy', 2]]) }));
  assert.match(text, /\npods 3\n/);
  assert.match(text, /\ndrops_total\{reason="policy"\} 2\n$/);
});
