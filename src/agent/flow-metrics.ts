// SPDX-License-Identifier: Apache-2.0
// The metrics of flows on their own port, as hubble.metrics.enabled asks for them.

import type { Clock } from '../base/clock.ts';
import { metricKinds, metricsOf } from '../base/metrics.ts';
import type { Metric, MetricOf } from '../base/metrics.ts';
import type { Problem } from '../base/problem.ts';
import type { FlowMetrics } from '../flows/metrics/flow-metrics.ts';
import type { Flows, Loss } from './flows.ts';
import { historyMetrics } from './history-metrics.ts';

const TURN_MS = 60_000;

/** Gives series to the busiest once a minute, and reports what was misread and what has no room. */
export function turnFlowMetrics(
  { turn, problems }: FlowMetrics,
  {
    clock,
    report,
    signal,
  }: { readonly clock: Clock; readonly report: (problems: readonly Problem[]) => void; readonly signal: AbortSignal },
): void {
  report(problems());
  const timer = setInterval(() => {
    turn(clock.now());
    report(problems());
  }, TURN_MS);
  timer.unref();
  signal.addEventListener('abort', () => clearInterval(timer), { once: true });
}

/** What the page is made of, beside the flows that are counted. */
type Seen = Pick<Flows, 'ring' | 'losses' | 'history'> & { readonly clock: Pick<Clock, 'now'> };

const { gauge, counter } = metricKinds<Seen>();
const lost = ({ losses }: Seen, of: (loss: Loss) => number) => losses().reduce((sum, loss) => sum + of(loss), 0);

/** Of Hubble itself, whatever flows are counted. */
export const hubbleMetrics: readonly MetricOf<Seen>[] = [
  counter('hubble_lost_events_total', 'Number of lost events', ['source'], (seen) => [
    { labels: { source: 'perf_event_ring_buffer' }, value: lost(seen, ({ full }) => full) },
    { labels: { source: 'observer_events_queue' }, value: lost(seen, ({ limited }) => limited) },
    { labels: { source: 'hubble_ring_buffer' }, value: seen.ring.missed },
  ]),
  counter('stentor_flows_seen_total', 'Flows that this node has seen', [], ({ ring }) => [{ value: ring.seen }]),
  gauge('stentor_flow_ring_flows', 'Flows that are kept in memory', [], ({ ring }) => [{ value: ring.length }]),
  gauge('stentor_flow_ring_capacity', 'Flows that can be kept there (hubble.eventBufferCapacity)', [], ({ ring }) => [
    { value: ring.capacity },
  ]),
  ...historyMetrics,
];

/** What the page has. */
export function flowPageMetrics(
  { ring, losses, history, counted }: Pick<Flows, 'ring' | 'losses' | 'history' | 'counted'>,
  clock: Pick<Clock, 'now'>,
): readonly Metric[] {
  return [...counted.metrics, ...metricsOf(hubbleMetrics, { ring, losses, history, clock })];
}
