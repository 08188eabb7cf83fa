// SPDX-License-Identifier: Apache-2.0
// The relay: what all agents have seen, at one address. It holds nothing: it asks, puts in order and hands on.
//
//   peer service of an agent ─▶ pool: who there is, and how each is
//   client ─▶ 4245 ─▶ every agent's 4244 ─▶ merge: by time ─▶ client

import { hostname } from 'node:os';
import { messageOf } from '../base/errors.ts';
import { logTo } from '../base/log.ts';
import { metricsPage } from '../base/metrics-page.ts';
import { saysRefused, servePages } from '../base/pages.ts';
import { callCounts } from '../grpc/call-metrics.ts';
import { healthHandlers } from '../grpc/health.ts';
import { reflectionHandlers } from '../grpc/reflection.ts';
import { grpcServer } from '../grpc/server.ts';
import { serverNameOf } from '../hubble/peer.ts';
import { kubeClient } from '../kube/client.ts';
import { kubeAccess } from '../kube/config.ts';
import { identitySecret } from '../kube/identity-secret.ts';
import type { IdentitySecret } from '../kube/identity-secret.ts';
import { relayHandlers } from './handlers.ts';
import { relayMetrics } from './metrics.ts';
import type { RelayOptions } from './options.ts';
import { pool } from './pool.ts';

/** Under which clients ask whether it is well; '' is the server as a whole. */
const HEALTH_NAMES: ReadonlySet<string> = new Set(['', 'hubble.server.Observer', 'observer.Observer']);

/** As Cilium's chart calls it. */
const SECRET = 'hubble-relay-client-certs';

/** Runs until SIGTERM or SIGINT. */
export async function main(options: RelayOptions): Promise<void> {
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop.abort());
  await using end = new AsyncDisposableStack();
  const log = logTo((line) => process.stderr.write(line), { relay: hostname() });
  const identity = options.tls ? await identityOf(options, end) : undefined;
  const peers = pool({
    peerService: options.peerService,
    peerServerName: serverNameOf(options.cluster),
    tls: identity && (() => identity.identity),
    log: (message, facts) => log.warn(message, facts),
  });
  const well = () => peers.connected && peers.peers().some(({ trouble }) => trouble === undefined);
  const health = healthHandlers((service) => (HEALTH_NAMES.has(service) ? well() : undefined));
  const failed = (path: string, error: unknown) => log.error('A call failed', { path, error: messageOf(error) });
  const facts = {
    pool: peers,
    nodeName: hostname(),
    version: `hubble-relay v${options.version} (Stentor)`,
    certificate: () => identity?.until,
  };
  const services = [...relayHandlers(facts), ...health];
  const counts = callCounts();
  const server = end.use(grpcServer({ handlers: [...services, ...reflectionHandlers(services)], failed, counts }));
  await server.listen(options.listen);
  const probes = end.use(grpcServer({ handlers: health, failed }));
  await probes.listen(options.health);
  const metrics = relayMetrics({ pool: peers, identity, secret: SECRET }, counts);
  const pages = options.metrics ? [metricsPage(options.metrics, metrics)] : [];
  end.use(await servePages({ pages, report: saysRefused(log) }));
  log.info('Relay started', { pid: process.pid, port: server.port, health: probes.port });
  const renewed = () => log.info('Relay has a certificate', { until: identity?.until });
  await Promise.all([peers.run(stop.signal), identity?.run(renewed, stop.signal)]);
  log.info('Relay stopped');
}

async function identityOf({ kubeconfig, apiServers, namespace }: RelayOptions, end: AsyncDisposableStack): Promise<IdentitySecret> {
  const access = await kubeAccess({ servers: apiServers, ...(kubeconfig !== undefined && { kubeconfig }) });
  const client = end.adopt(kubeClient({ access }), (one) => one.close());
  return identitySecret({ client, namespace, name: SECRET });
}
