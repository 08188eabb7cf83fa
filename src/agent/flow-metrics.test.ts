// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { metricsText } from '../base/metrics.ts';
import type { Problem } from '../base/problem.ts';
import { flowRing } from '../flows/flow-ring.ts';
import { flowMetrics } from '../flows/metrics/flow-metrics.ts';
import { syn } from '../flows/testdata/flows.ts';
import { flowPageMetrics, turnFlowMetrics } from './flow-metrics.ts';

test('the page has what was counted, and what was lost on the way', () => {
  const ring = flowRing(1);
  const counted = flowMetrics(['flow']);
  const losses = () => [
    { kind: 'trace', cpu: 0, limited: 3, full: 1 },
    { kind: 'drop', cpu: 1, limited: 0, full: 4 },
  ];
  const slow = ring.read({ follow: true, matches: () => true });
  ring.append([syn, syn, syn]);
  [syn, syn].forEach(counted.count);
  slow.take(10);
  const text = metricsText(flowPageMetrics({ ring, counted, losses }));
  for (const line of [
    'hubble_flows_processed_total{protocol="TCP",type="Trace",subtype="to-endpoint",verdict="FORWARDED"} 2',
    'hubble_lost_events_total{source="perf_event_ring_buffer"} 5',
    'hubble_lost_events_total{source="observer_events_queue"} 3',
    'hubble_lost_events_total{source="hubble_ring_buffer"} 2',
  ])
    assert.ok(text.split('\n').includes(line), `${line} among\n${text}`);
});

test('what was misread is reported at once', () => {
  const reports: (readonly Problem[])[] = [];
  const over = new AbortController();
  const clock = { now: () => 0, monotonic: () => 0 };
  turnFlowMetrics(flowMetrics(['flows']), { clock, report: (rows) => reports.push(rows), signal: over.signal });
  over.abort();
  assert.deepEqual(
    reports.map((rows) => rows.map(({ reason }) => reason)),
    [['FlowMetricMisread']],
  );
});
