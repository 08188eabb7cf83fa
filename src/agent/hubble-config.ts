// SPDX-License-Identifier: Apache-2.0
// What is done with flows, as the values say it.

import type { Port } from '../base/ip.ts';
import { isRingCapacity } from '../flows/flow-ring.ts';
import type { Redaction } from '../flows/redaction.ts';
import { exportFrom } from './export-config.ts';
import type { ExportConfig } from './export-config.ts';
import type { Complain } from './masquerade-config.ts';
import { redactionFrom } from './redact-config.ts';
import { absolute, portAt, texts } from './value-kinds.ts';
import type { Values } from './values.ts';

/** Of agents, and of relays. */
export type HubbleConfig = {
  readonly enabled: boolean;
  readonly metrics: readonly string[];
  readonly metricsPort: Port;
  readonly socketPath: string;
  readonly listenAddress: string;
  readonly capacity: number;
  /** Of flows on disk; 0: none are kept. */
  readonly historyBytes: number;
  readonly tls: boolean;
  /** Whether the operator makes the certificates for that. */
  readonly tlsAuto: boolean;
  readonly redaction: Redaction | undefined;
  /** Where a relay has its metrics; undefined: nowhere. */
  readonly relayMetricsPort: Port | undefined;
  readonly export: ExportConfig;
};

export function hubbleFrom(values: Values, complain: Complain): HubbleConfig {
  if (!isRingCapacity(Number(values.get('hubble.eventBufferCapacity'))))
    complain('hubble.eventBufferCapacity', 'one less than a power of two, from 1 to 65535');
  return {
    enabled: values.get('hubble.enabled') === true,
    metrics: texts(values.get('hubble.metrics.enabled')),
    metricsPort: portAt(values, 'hubble.metrics.port'),
    socketPath: absolute(values, 'hubble.socketPath', complain),
    listenAddress: String(values.get('hubble.listenAddress')),
    capacity: Number(values.get('hubble.eventBufferCapacity')),
    redaction: redactionFrom(values, complain),
    export: exportFrom(values, complain),
    historyBytes: historyBytes(values, complain),
    tls: values.get('hubble.tls.enabled') === true,
    tlsAuto: values.get('hubble.tls.auto.enabled') === true,
    relayMetricsPort: relayMetricsPort(values),
  };
}

function historyBytes(values: Values, complain: Complain): number {
  const mebibytes = Number(values.get('hubble.history.maxSizeMiB'));
  if (!(mebibytes >= 1 && mebibytes <= 1_048_576)) complain('hubble.history.maxSizeMiB', 'a number from 1 to 1048576');
  return values.get('hubble.history.enabled') === true ? mebibytes * 1024 * 1024 : 0;
}

/** Where a relay has its metrics: a ServiceMonitor alone is a wish for what it monitors. Undefined: nowhere. */
function relayMetricsPort(values: Values): Port | undefined {
  const wanted = ['enabled', 'serviceMonitor.enabled'].some((key) => values.get(`hubble.relay.prometheus.${key}`) === true);
  return wanted ? portAt(values, 'hubble.relay.prometheus.port') : undefined;
}
