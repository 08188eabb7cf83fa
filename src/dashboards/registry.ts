// SPDX-License-Identifier: Apache-2.0
// Every metric that a process of ours can have, out of the declarations by which it counts.

import { exporterMetrics } from '../agent/exporter.ts';
import { hubbleMetrics } from '../agent/flow-metrics.ts';
import { scrapeMetrics } from '../agent/metric-pages.ts';
import { allOfAgent } from '../agent/metrics.ts';
import type { MetricFacts } from '../base/metrics.ts';
import { flowMetrics } from '../flows/metrics/flow-metrics.ts';
import { callMetrics } from '../grpc/call-metrics.ts';
import { certificateMetrics } from '../kube/certificate-metrics.ts';
import { allOfOperator } from '../operator/metrics.ts';
import { allOfRelay } from '../relay/metrics.ts';

export type Registry = ReadonlyMap<string, Pick<MetricFacts, 'type' | 'labels'>>;

/** Lines of hubble.metrics.enabled: dashboards want no more than these count. http and httpV2 cannot stand together. */
const LINES = ['dns:query', 'drop', 'tcp', 'flow', 'port-distribution', 'icmp', 'flows-to-world', 'policy'];

/** What Prometheus adds to every series, `node` by way of the ServiceMonitors of the chart. */
export const SCRAPE_LABELS: readonly string[] = ['instance', 'job', 'node'];

export function registry(): Registry {
  const flows = ['http', 'httpV2'].flatMap((http) => flowMetrics([...LINES, http]).metrics);
  const declared = [
    allOfAgent,
    allOfOperator,
    allOfRelay,
    hubbleMetrics,
    scrapeMetrics,
    exporterMetrics,
    callMetrics,
    certificateMetrics,
    flows,
  ];
  const found = new Map<string, Pick<MetricFacts, 'type' | 'labels'>>();
  for (const { name, type, labels } of declared.flat())
    found.set(name, { type, labels: [...new Set([...(found.get(name)?.labels ?? []), ...labels])] });
  return found;
}
