// SPDX-License-Identifier: Apache-2.0
// The operator: what is done once for a whole cluster. Several may run; the one that holds the Lease does it (term.ts).

import { systemClock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import { logTo } from '../base/log.ts';
import type { Log } from '../base/log.ts';
import { metricsText } from '../base/metrics.ts';
import type { Metric } from '../base/metrics.ts';
import { servePages } from '../base/pages.ts';
import type { Page, Refused } from '../base/pages.ts';
import { kubeClient } from '../kube/client.ts';
import { kubeAccess } from '../kube/config.ts';
import { leaseHolder } from '../kube/lease.ts';
import type { LeaseHolder } from '../kube/lease.ts';
import { lbipamMetrics } from './lbipam.ts';
import type { OperatorOptions } from './options.ts';
import { serveTerm } from './term.ts';
import type { Counts } from './term.ts';

/** As Cilium's operator names it, so that the two never work side by side. */
const LEASE = 'cilium-operator-resource-lock';

/** Runs until SIGTERM or SIGINT. */
export async function main(options: OperatorOptions): Promise<void> {
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop.abort());
  await using end = new AsyncDisposableStack();
  const { kubeconfig, apiServers, namespace, identity } = options;
  const log = logTo((line) => process.stderr.write(line), { operator: identity });
  const access = await kubeAccess({ servers: apiServers, ...(kubeconfig !== undefined && { kubeconfig }) });
  const client = end.adopt(kubeClient({ access }), (one) => one.close());
  const times = { durationMs: options.leaseDuration, renewMs: options.leaseRenew, retryMs: options.leaseRetry };
  const lease = leaseHolder({ client, namespace, name: LEASE, identity, clock: systemClock, ...times });
  const counts: Counts = { passes: 0, passesLate: 0, identities: 0, identitiesDeleted: 0, endpointsDeleted: 0, endpointsFailed: 0 };
  end.use(await servePages({ pages: pagesOf(options, lease, metricsOf(lease, counts)), report: reporter(log) }));
  log.info('Operator started', { pid: process.pid, lease: `${namespace}/${LEASE}` });
  await lease.run(async (term) => {
    log.info('Operator leads');
    await serveTerm({ client, options, clock: systemClock, counts, log }, term);
    log.info('Operator does not lead any more');
  }, stop.signal);
  log.info('Operator stopped');
}

const TEXT = 'text/plain; charset=utf-8';

function pagesOf({ healthPort, metricsPort }: OperatorOptions, lease: LeaseHolder, metrics: readonly Metric[]): readonly Page[] {
  const health = () => {
    const { error } = lease.status;
    return error === undefined ? { status: 200, body: 'ok\n' } : { status: 503, body: `${error}\n` };
  };
  const only = (wanted: string, answer: Page['answer']) => (path: string) =>
    path === wanted ? answer(path) : { status: 404, body: `${wanted} is what there is\n` };
  const healthz = { host: '127.0.0.1', port: healthPort, contentType: TEXT, answer: only('/healthz', health) };
  if (metricsPort === undefined) return [healthz];
  const scrape = only('/metrics', () => ({ status: 200, body: metricsText(metrics) }));
  return [healthz, { host: '::', port: metricsPort, contentType: 'text/plain; version=0.0.4; charset=utf-8', answer: scrape }];
}

/** A line for each page when it cannot be served and when it can again; the work goes on without it. */
function reporter(log: Log): (refused: readonly Refused<Page>[]) => void {
  const missing = new Set<Page>();
  return (refused) => {
    for (const { page, error } of refused) {
      const { host, port } = page;
      if (!missing.has(page)) log.error('Cannot serve a page', { host, port, error: messageOf(error) });
      missing.add(page);
    }
    for (const page of missing) {
      const { host, port } = page;
      if (!refused.some((one) => one.page === page) && missing.delete(page)) log.info('Serves the page after all', { host, port });
    }
  };
}

function metricsOf(lease: LeaseHolder, counts: Counts): readonly Metric[] {
  const one = (type: Metric['type'], name: string, help: string, samples: Metric['samples']): Metric => ({ type, name, help, samples });
  return [
    one('gauge', 'stentor_operator_leads', 'Whether this operator holds the Lease', () => [{ value: Number(lease.status.leads) }]),
    one('gauge', 'cilium_operator_identity_gc_entries', 'CiliumIdentities that there are, and that this process has removed', () => [
      { labels: { status: 'alive' }, value: counts.identities },
      { labels: { status: 'deleted' }, value: counts.identitiesDeleted },
    ]),
    one('counter', 'cilium_operator_identity_gc_runs', 'Passes over identities; fail: one that had to wait for a watch that failed', () => [
      { labels: { outcome: 'success' }, value: counts.passes },
      { labels: { outcome: 'fail' }, value: counts.passesLate },
    ]),
    one('counter', 'cilium_operator_endpoint_gc_objects', 'CiliumEndpoints removed because their pod is gone', () => [
      { labels: { outcome: 'success' }, value: counts.endpointsDeleted },
      { labels: { outcome: 'fail' }, value: counts.endpointsFailed },
    ]),
    ...lbipamMetrics(() => counts.lbipam),
    one('gauge', 'cilium_operator_process_resident_memory_bytes', 'Resident memory', () => [{ value: process.memoryUsage.rss() }]),
    one('counter', 'cilium_operator_process_cpu_seconds_total', 'CPU time', () => {
      const { user, system } = process.cpuUsage();
      return [{ value: (user + system) / 1e6 }];
    }),
  ];
}
