// SPDX-License-Identifier: Apache-2.0
// What the operator does, as the values say it. The agent reads it too, so that a mistake is said wherever the file is used.

import { parseDuration } from '../base/duration.ts';
import { port } from '../base/ip.ts';
import type { Port } from '../base/ip.ts';
import type { Complain } from './masquerade-config.ts';
import type { Values } from './values.ts';

/** Times are milliseconds; an interval of 0 is never. */
export type OperatorConfig = {
  readonly replicas: number;
  readonly identityInterval: number;
  /** How long an identity has to be unused before it is retired, and retired before it is removed. */
  readonly identityGrace: number;
  readonly endpointInterval: number;
  /** Which Services get addresses of CiliumLoadBalancerIPPools; undefined: none. */
  readonly lbClasses: { readonly unnamed: boolean; readonly named: readonly string[] } | undefined;
  /** Undefined: nowhere. */
  readonly metricsPort: Port | undefined;
};

/** A week: timers that are longer than 24 days go off at once. */
export const LONGEST_MS = 7 * 24 * 3_600_000;

export function operatorFrom(values: Values, complain: Complain): OperatorConfig {
  const time = (path: string, least: 0 | 1) => {
    const found = parseDuration(String(values.get(path)));
    if (found !== undefined && found <= LONGEST_MS && (found >= 1 || found === least)) return found;
    complain(path, least === 0 ? 'a time from 1ms to 168h, or 0s for never' : 'a time from 1ms to 168h');
    return 1;
  };
  const replicas = Number(values.get('operator.replicas'));
  if (!Number.isInteger(replicas)) complain('operator.replicas', 'a whole number');
  return {
    replicas,
    identityInterval: time('operator.identityGCInterval', 0),
    identityGrace: time('operator.identityHeartbeatTimeout', 1),
    endpointInterval: time('operator.endpointGCInterval', 0),
    lbClasses: values.get('enableLBIPAM') === true ? classesFrom(values) : undefined,
    metricsPort: values.get('operator.prometheus.enabled') === true ? port(Number(values.get('operator.prometheus.port'))) : undefined,
  };
}

function classesFrom(values: Values): OperatorConfig['lbClasses'] {
  const named = values.get('l2announcements.enabled') === true ? ['io.cilium/l2-announcer'] : [];
  return { unnamed: values.get('defaultLBServiceIPAM') === 'lbipam', named };
}
