// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { port } from '../base/ip.ts';
import { logTo } from '../base/log.ts';
import { metricsText } from '../base/metrics.ts';
import type { Metric } from '../base/metrics.ts';
import type { Problem } from '../base/problem.ts';
import { flowRing } from '../flows/flow-ring.ts';
import { flowMetrics } from '../flows/metrics/flow-metrics.ts';
import { syn } from '../flows/testdata/flows.ts';
import { directoryOf, flowsFrom, NODE, START } from '../history/testdata/stores.ts';
import type { Config } from './config.ts';
import { flowPageMetrics, turnFlowMetrics } from './flow-metrics.ts';
import { flowHistory } from './history.ts';
import { metricPages } from './metric-pages.ts';

const clock = { now: () => START + 3_600_000, monotonic: () => 0 };

test('the page has what was counted, what was lost on the way, and what is kept', async (context) => {
  const directory = await directoryOf(context);
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
  const log = logTo(() => undefined);
  const history = flowHistory({ directory, node: NODE, maxBytes: 1e9, clock, log, report: () => undefined });
  const lines = () => metricsText(flowPageMetrics({ ring, counted, losses, history }, clock)).split('\n');
  const has = (line: string) => assert.ok(lines().includes(line), `${line} among\n${lines().join('\n')}`);
  has('hubble_flows_processed_total{protocol="TCP",type="Trace",subtype="to-endpoint",verdict="FORWARDED"} 2');
  has('hubble_lost_events_total{source="perf_event_ring_buffer"} 5');
  has('hubble_lost_events_total{source="observer_events_queue"} 3');
  has('hubble_lost_events_total{source="hubble_ring_buffer"} 2');
  has('stentor_flows_seen_total 3');
  has('stentor_flow_ring_flows 1');
  has('stentor_history_problems{reason="HistoryDiskFull"} 0');
  assert.ok(!lines().some((line) => line.startsWith('stentor_history_bytes ')), 'of a store that is not open nothing is known');
  history.append(flowsFrom(0, 20));
  const over = new AbortController();
  const ended = history.run(over.signal);
  for (const end = performance.now() + 10_000; !history.store; await delay(5)) assert.ok(performance.now() < end, 'open within 10 s');
  has('stentor_history_flows 20');
  has('stentor_history_reach_seconds 3600');
  has('stentor_history_max_bytes 1000000000');
  has('stentor_history_missed_total 0');
  has('stentor_history_gaps_total{why="stopped"} 0');
  over.abort();
  await ended;
});

test('pages are where they are wanted, and what Hubble says of itself stands once', async (context) => {
  const directory = await directoryOf(context);
  const over = new AbortController();
  context.after(() => over.abort());
  const history = flowHistory({ directory, node: NODE, maxBytes: 0, clock, log: logTo(() => undefined), report: () => undefined });
  const agent: Metric = { name: 'agent', type: 'gauge', help: 'Agent', labels: [], samples: () => [{ value: 1 }] };
  const hubble: Metric = { ...agent, name: 'hubble' };
  const pages = (prometheus: Config['prometheus'], lines: readonly string[]) => {
    const flows = { ring: flowRing(1), losses: () => [], history, counted: flowMetrics(lines) };
    const config = { prometheus, hubble: { metrics: lines, metricsPort: port(9965) } };
    const found = metricPages({ config, flows, clock, report: () => undefined, signal: over.signal }, { agent: [agent], hubble: [hubble] });
    return found.map((page) => {
      const names = ['agent', 'hubble', 'stentor_flows_seen_total'].filter((name) => page.answer('/metrics').body.includes(`\n${name} `));
      return `${page.port} ${names.join(' ')}`;
    });
  };
  const on = { port: port(9962) };
  assert.deepEqual(pages(undefined, []), []);
  assert.deepEqual(pages(on, []), ['9962 agent hubble stentor_flows_seen_total']);
  assert.deepEqual(pages(undefined, ['flow']), ['9965 hubble stentor_flows_seen_total']);
  assert.deepEqual(pages(on, ['flow']), ['9962 agent', '9965 hubble stentor_flows_seen_total']);
});

test('what was misread is reported at once', () => {
  const reports: (readonly Problem[])[] = [];
  const over = new AbortController();
  turnFlowMetrics(flowMetrics(['flows']), { clock, report: (rows) => reports.push(rows), signal: over.signal });
  over.abort();
  assert.deepEqual(
    reports.map((rows) => rows.map(({ reason }) => reason)),
    [['FlowMetricMisread']],
  );
});
