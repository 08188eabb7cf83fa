// SPDX-License-Identifier: Apache-2.0
// The metrics of flows on their own port, as hubble.metrics.enabled asks for them.

import type { Clock } from '../base/clock.ts';
import type { Metric } from '../base/metrics.ts';
import type { Problem } from '../base/problem.ts';
import type { FlowMetrics } from '../flows/metrics/flow-metrics.ts';
import type { Flows } from './flows.ts';

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

/** What the page has. */
export function flowPageMetrics({ ring, losses, counted }: Pick<Flows, 'ring' | 'losses' | 'counted'>): readonly Metric[] {
  const lost = (of: (loss: ReturnType<typeof losses>[number]) => number) => losses().reduce((sum, loss) => sum + of(loss), 0);
  return [
    ...counted.metrics,
    {
      name: 'hubble_lost_events_total',
      type: 'counter',
      help: 'Number of lost events',
      samples: () => [
        { labels: { source: 'perf_event_ring_buffer' }, value: lost(({ full }) => full) },
        { labels: { source: 'observer_events_queue' }, value: lost(({ limited }) => limited) },
        { labels: { source: 'hubble_ring_buffer' }, value: ring.missed },
      ],
    },
  ];
}
