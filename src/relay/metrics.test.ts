// SPDX-License-Identifier: Apache-2.0

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { metricsText } from '../base/metrics.ts';
import { callCounts } from '../grpc/call-metrics.ts';
import { observer } from '../hubble/observer.ts';
import { relayMetrics } from './metrics.ts';
import type { Measured } from './metrics.ts';
import type { Peer } from './pool.ts';

const peer = (status: Peer['status'], trouble?: string): Peer => ({
  name: 'node',
  address: '192.0.2.1:4244',
  serverName: undefined,
  client: {} as Peer['client'], // as: nobody asks it
  gone: new AbortController().signal,
  status,
  trouble,
  doubt: () => undefined,
});

const linesOf = (measured: Partial<Measured>) => {
  const counts = callCounts();
  counts.of(observer.getFlows).sent = 7;
  const pool = { peers: () => [], connected: true };
  return metricsText(relayMetrics({ pool, identity: undefined, secret: 'certs', ...measured }, counts)).split('\n');
};

test('agents are counted by the state of their connection, also where there is none of a state', () => {
  const peers = [peer({}), peer({}), peer(undefined), peer({}, 'refused')];
  const lines = linesOf({ pool: { peers: () => peers, connected: false } });
  for (const [status, count] of Object.entries({ READY: 2, CONNECTING: 1, TRANSIENT_FAILURE: 1, IDLE: 0 }))
    assert.ok(lines.includes(`hubble_relay_pool_peer_connection_status{status="${status}"} ${count}`), lines.join('\n'));
  assert.ok(lines.includes('stentor_relay_peer_service_connected 0'));
});

test('calls and the end of the certificate are told, and of no certificate nothing', () => {
  assert.ok(
    linesOf({ identity: { until: 1_764_000_000_000 } }).includes('stentor_certificate_expiry_timestamp_seconds{secret="certs"} 1764000000'),
  );
  const lines = linesOf({});
  assert.ok(!lines.some((line) => line.startsWith('stentor_certificate_expiry_timestamp_seconds{')));
  assert.ok(
    lines.includes('grpc_server_msg_sent_total{grpc_type="server_stream",grpc_service="observer.Observer",grpc_method="GetFlows"} 7'),
  );
});
