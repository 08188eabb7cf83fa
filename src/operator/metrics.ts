// SPDX-License-Identifier: Apache-2.0
// What an operator counts, for Prometheus.

import { metricKinds, metricsOf } from '../base/metrics.ts';
import type { Metric, MetricOf } from '../base/metrics.ts';
import type { LeaseHolder } from '../kube/lease.ts';
import { lbipamMetrics } from './lbipam.ts';
import type { Counts } from './term.ts';

type Measured = { readonly lease: Pick<LeaseHolder, 'status'>; readonly counts: Counts };

export const operatorMetrics = (lease: LeaseHolder, counts: Counts): readonly Metric[] => metricsOf(allOfOperator, { lease, counts });

const { gauge, counter } = metricKinds<Measured>();

export const allOfOperator: readonly MetricOf<Measured>[] = [
  gauge('stentor_operator_leads', 'Whether this operator holds the Lease', [], ({ lease }) => [{ value: Number(lease.status.leads) }]),
  gauge(
    'cilium_operator_identity_gc_entries',
    'CiliumIdentities that there are, and that this process has removed',
    ['status'],
    ({ counts }) => [
      { labels: { status: 'alive' }, value: counts.identities },
      { labels: { status: 'deleted' }, value: counts.identitiesDeleted },
    ],
  ),
  counter(
    'cilium_operator_identity_gc_runs',
    'Passes over identities; fail: one that had to wait for a watch that failed',
    ['outcome'],
    ({ counts }) => [
      { labels: { outcome: 'success' }, value: counts.passes },
      { labels: { outcome: 'fail' }, value: counts.passesLate },
    ],
  ),
  counter('cilium_operator_endpoint_gc_objects', 'CiliumEndpoints removed because their pod is gone', ['outcome'], ({ counts }) => [
    { labels: { outcome: 'success' }, value: counts.endpointsDeleted },
    { labels: { outcome: 'fail' }, value: counts.endpointsFailed },
  ]),
  ...lbipamMetrics,
  gauge('cilium_operator_process_resident_memory_bytes', 'Resident memory', [], () => [{ value: process.memoryUsage.rss() }]),
  counter('cilium_operator_process_cpu_seconds_total', 'CPU time', [], () => {
    const { user, system } = process.cpuUsage();
    return [{ value: (user + system) / 1e6 }];
  }),
];
