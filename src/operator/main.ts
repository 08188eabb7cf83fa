// SPDX-License-Identifier: Apache-2.0
// The operator: what is done once for a whole cluster. Several may run; the one that holds the Lease does it (term.ts).

import { systemClock } from '../base/clock.ts';
import { logTo } from '../base/log.ts';
import type { Metric } from '../base/metrics.ts';
import { metricsPage } from '../base/metrics-page.ts';
import { saysRefused, servePages } from '../base/pages.ts';
import type { Page } from '../base/pages.ts';
import { kubeClient } from '../kube/client.ts';
import { kubeAccess } from '../kube/config.ts';
import { leaseHolder } from '../kube/lease.ts';
import type { LeaseHolder } from '../kube/lease.ts';
import { operatorMetrics } from './metrics.ts';
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
  end.use(await servePages({ pages: pagesOf(options, lease, operatorMetrics(lease, counts)), report: saysRefused(log) }));
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
  const answer = (path: string) => (path === '/healthz' ? health() : { status: 404, body: '/healthz is what there is\n' });
  const healthz = { host: '127.0.0.1', port: healthPort, contentType: TEXT, answer };
  if (metricsPort === undefined) return [healthz];
  return [healthz, metricsPage({ port: metricsPort }, metrics)];
}
