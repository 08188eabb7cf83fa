// SPDX-License-Identifier: Apache-2.0
// `operator`: becomes one of the cluster's operators.

import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import type { OperatorOptions } from '../operator/options.ts';
import { argumentsOf, UsageError } from './command.ts';
import type { Io } from './command.ts';

export const help = `Usage: NAME operator [OPTIONS]

Does what is done once for a cluster, until it is told to stop (SIGTERM, SIGINT): removes CiliumIdentities that no CiliumEndpoint refers
to, and CiliumEndpoints whose pod is gone. Several may run; the one that holds the Lease cilium-operator-resource-lock works.

  --kubeconfig PATH                   credentials for the Kubernetes API, in place of those of a pod
  --namespace NAME                    where the Lease is: $CILIUM_K8S_NAMESPACE, or kube-system
  --identity NAME                     holder of the Lease: the host's name and some digits unless said otherwise
  --identity-gc-interval TIME         between looks at identities, 15m
  --identity-heartbeat-timeout TIME   how long one has to be unused before it is retired, and retired before it is removed, 30m: longer
                                      than any agent may be cut off from the API
  --cilium-endpoint-gc-interval TIME  between looks at CiliumEndpoints, 5m
  --cilium-endpoint-gc-grace TIME     how long its pod has to be gone before one is removed, 5m
  --leader-election-lease-duration, --leader-election-renew-deadline, --leader-election-retry-period TIME   15s, 10s, 2s
  --health-port PORT, --metrics-port PORT   /healthz on 127.0.0.1, 9234; /metrics, 9963

TIME is a number with s, m or h. Exit code 0: stopped; 1: it could not run; 2: called wrongly.

Examples:
  NAME operator
  NAME operator --kubeconfig admin.conf --identity-gc-interval 5m
`;

const text = (value: string) => ({ type: 'string', default: value }) as const;

const options = {
  kubeconfig: { type: 'string' },
  namespace: { type: 'string' },
  identity: { type: 'string' },
  'identity-gc-interval': text('15m'),
  'identity-heartbeat-timeout': text('30m'),
  'cilium-endpoint-gc-interval': text('5m'),
  'cilium-endpoint-gc-grace': text('5m'),
  'leader-election-lease-duration': text('15s'),
  'leader-election-renew-deadline': text('10s'),
  'leader-election-retry-period': text('2s'),
  'health-port': text('9234'),
  'metrics-port': text('9963'),
} as const;

export async function run(args: readonly string[], _io: Io): Promise<number> {
  const { main } = await import('../operator/main.ts');
  await main(operatorOptions(args));
  return 0;
}

/** Throws UsageError. */
function operatorOptions(args: readonly string[]): OperatorOptions {
  const { values } = argumentsOf(args, options);
  const time = (name: keyof typeof options) => milliseconds(name, values[name] ?? '');
  const found: OperatorOptions = {
    kubeconfig: values.kubeconfig,
    namespace: values.namespace ?? (process.env['CILIUM_K8S_NAMESPACE'] || 'kube-system'),
    identity: values.identity ?? `${hostname()}-${randomBytes(5).toString('hex')}`,
    healthPort: port('health-port', values['health-port']),
    metricsPort: port('metrics-port', values['metrics-port']),
    identityInterval: time('identity-gc-interval'),
    identityGrace: time('identity-heartbeat-timeout'),
    endpointInterval: time('cilium-endpoint-gc-interval'),
    endpointGrace: time('cilium-endpoint-gc-grace'),
    leaseDuration: time('leader-election-lease-duration'),
    leaseRenew: time('leader-election-renew-deadline'),
    leaseRetry: time('leader-election-retry-period'),
  };
  if (found.leaseRetry < found.leaseRenew && found.leaseRenew < found.leaseDuration) return found;
  throw new UsageError('Cannot elect a leader with these times, wanted retry-period < renew-deadline < lease-duration');
}

const UNITS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000 };
const LONGEST_MS = 24 * 3_600_000;

function milliseconds(name: string, value: string): number {
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?)([smh])$/.exec(value) ?? [];
  const found = Number(number) * (UNITS[unit] ?? 0);
  if (found > 0 && found <= LONGEST_MS) return found;
  throw new UsageError(`Cannot use --${name} ${value}, wanted a time such as 30s, 15m or 1h, up to 24h`);
}

function port(name: string, value: string): number {
  const found = Number(value);
  if (/^\d+$/.test(value) && found > 0 && found < 65_536) return found;
  throw new UsageError(`Cannot use --${name} ${value}, wanted a port from 1 to 65535`);
}
