// SPDX-License-Identifier: Apache-2.0
// What a relay counts, for Prometheus: how it is connected with the agents, what it was asked, and until when it is let in.

import { metricKinds, metricsOf } from '../base/metrics.ts';
import type { Metric, MetricOf } from '../base/metrics.ts';
import type { CallCounts } from '../grpc/call-metrics.ts';
import { certificateMetrics } from '../kube/certificate-metrics.ts';
import type { IdentitySecret } from '../kube/identity-secret.ts';
import type { Peer, Pool } from './pool.ts';

export type Measured = {
  readonly pool: Pick<Pool, 'peers' | 'connected'>;
  readonly identity: Pick<IdentitySecret, 'until'> | undefined;
  readonly secret: string;
};

export const relayMetrics = (measured: Measured, counts: CallCounts): readonly Metric[] => [
  ...metricsOf(allOfRelay, measured),
  ...counts.metrics,
];

/** As gRPC names states of a connection. */
const STATES = ['IDLE', 'CONNECTING', 'READY', 'TRANSIENT_FAILURE', 'SHUTDOWN', 'NIL_CONNECTION'] as const;

const stateOf = ({ trouble, status }: Pick<Peer, 'trouble' | 'status'>): (typeof STATES)[number] =>
  trouble !== undefined ? 'TRANSIENT_FAILURE' : status === undefined ? 'CONNECTING' : 'READY';

const started = Date.now() / 1000 - process.uptime();
const { gauge, counter } = metricKinds<Measured>();

export const allOfRelay: readonly MetricOf<Measured>[] = [
  gauge('hubble_relay_pool_peer_connection_status', 'Agents by the state of the connection with them', ['status'], ({ pool }) => {
    const states = pool.peers().map(stateOf);
    return STATES.map((status) => ({ labels: { status }, value: states.filter((one) => one === status).length }));
  }),
  gauge('stentor_relay_peer_service_connected', '1: the agent that knows the others is connected', [], ({ pool }) => [
    { value: Number(pool.connected) },
  ]),
  ...certificateMetrics,
  gauge('process_resident_memory_bytes', 'Resident memory size in bytes.', [], () => [{ value: process.memoryUsage.rss() }]),
  counter('process_cpu_seconds_total', 'Total user and system CPU time spent in seconds.', [], () => {
    const { user, system } = process.cpuUsage();
    return [{ value: (user + system) / 1e6 }];
  }),
  gauge('process_start_time_seconds', 'Start time of the process since unix epoch in seconds.', [], () => [{ value: started }]),
];
