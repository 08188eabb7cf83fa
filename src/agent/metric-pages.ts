// SPDX-License-Identifier: Apache-2.0
// Where Prometheus comes: the agent's own metrics on 9962 (prometheus.enabled), those of flows and of Hubble itself on 9965
// (hubble.metrics.enabled). Where no flows are counted, Hubble's own are among the agent's.

import type { Clock } from '../base/clock.ts';
import { ip } from '../base/ip.ts';
import type { Port } from '../base/ip.ts';
import { histogram, metricKinds, metricsOf } from '../base/metrics.ts';
import type { Histogram, Metric } from '../base/metrics.ts';
import { metricsPage } from '../base/metrics-page.ts';
import type { Problem } from '../base/problem.ts';
import type { Config } from './config.ts';
import { flowPageMetrics, turnFlowMetrics } from './flow-metrics.ts';
import type { Flows } from './flows.ts';
import type { Listener } from './healthz.ts';

export type PageOptions = {
  readonly config: Pick<Config, 'prometheus'> & { readonly hubble: Pick<Config['hubble'], 'metrics' | 'metricsPort'> };
  /** Undefined where hubble.enabled is false. */
  readonly flows: Pick<Flows, 'ring' | 'losses' | 'history' | 'counted'> | undefined;
  readonly clock: Clock;
  readonly report: (problems: readonly Problem[]) => void;
  readonly signal: AbortSignal;
};

/** `own`: of the agent, and of Hubble's servers. */
export function metricPages(
  { config: { prometheus, hubble }, flows, clock, report, signal }: PageOptions,
  own: { readonly agent: readonly Metric[]; readonly hubble: readonly Metric[] },
): readonly Listener[] {
  const ofFlows = flows ? [...flowPageMetrics(flows, clock), ...own.hubble] : [];
  const counts = hubble.metrics.length > 0;
  const agent = prometheus ? [listener(prometheus.port, 'prometheus.port', [...own.agent, ...(counts ? [] : ofFlows)])] : [];
  if (!flows || !counts) return agent;
  turnFlowMetrics(flows.counted, { clock, report, signal });
  const scrapes = { count: new Map<string, number>(), times: histogram() };
  const page = listener(hubble.metricsPort, 'hubble.metrics.port', [...ofFlows, ...metricsOf(scrapeMetrics, scrapes)]);
  return [...agent, counted(page, scrapes)];
}

const listener = (number: Port, setting: string, metrics: readonly Metric[]): Listener => ({
  ...metricsPage({ host: ip('::'), port: number }, metrics),
  setting,
  page: '/metrics',
});

type Scrapes = { readonly count: Map<string, number>; readonly times: Histogram };

const { counter, histogram: times } = metricKinds<Scrapes>();

export const scrapeMetrics = [
  counter('hubble_metrics_http_handler_requests_total', 'A counter for requests to the Hubble metrics handler.', ['code'], ({ count }) =>
    Array.from(count, ([code, value]) => ({ labels: { code }, value })),
  ),
  times(
    'hubble_metrics_http_handler_request_duration_seconds',
    'A histogram of latencies for requests to the Hubble metrics handler.',
    ['code'],
    (scrapes) => scrapes.times,
  ),
];

function counted(page: Listener, { count, times: took }: Scrapes): Listener {
  return {
    ...page,
    answer(path) {
      const started = performance.now();
      const answer = page.answer(path);
      const code = String(answer.status);
      count.set(code, (count.get(code) ?? 0) + 1);
      took.observe({ code }, (performance.now() - started) / 1000);
      return answer;
    },
  };
}
