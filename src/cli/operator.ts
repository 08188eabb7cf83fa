// SPDX-License-Identifier: Apache-2.0
// `operator`: becomes one of the cluster's operators.

import { randomBytes } from 'node:crypto';
import { flushCompileCache } from 'node:module';
import { hostname } from 'node:os';
import { configOf, readConfig } from '../agent/config.ts';
import { LONGEST_MS } from '../agent/operator-config.ts';
import { parseDuration } from '../base/duration.ts';
import { port } from '../base/ip.ts';
import type { Port } from '../base/ip.ts';
import type { OperatorOptions } from '../operator/options.ts';
import { argumentsOf, UsageError } from './command.ts';
import type { Io } from './command.ts';

export const help = `Usage: NAME operator [OPTIONS]

Does what is done once for a cluster, until it is told to stop (SIGTERM, SIGINT): removes CiliumIdentities that no CiliumEndpoint refers
to, and CiliumEndpoints whose pod is gone, gives Services of type LoadBalancer their addresses, and agents and relays of Hubble their certificates. Several may run; the one that holds the Lease cilium-operator-resource-lock works.

  --values FILE                       Helm values; options here go before them. In brackets the key, and what holds without either
  --kubeconfig PATH                   credentials for the Kubernetes API, in place of those of a pod
  --namespace NAME                    where the Lease is: $CILIUM_K8S_NAMESPACE, or kube-system
  --identity NAME                     holder of the Lease: the host's name and some digits unless said otherwise
  --identity-gc-interval TIME         between looks at identities, 0s for never [operator.identityGCInterval, 15m]
  --identity-heartbeat-timeout TIME   how long one has to be unused before it is retired, and retired before it is removed: longer than
                                      any agent may be cut off from the API [operator.identityHeartbeatTimeout, 30m]
  --cilium-endpoint-gc-interval TIME  between looks at CiliumEndpoints, 0s for never [operator.endpointGCInterval, 5m]
  --cilium-endpoint-gc-grace TIME     how long its pod has to be gone before one is removed, 5m
  --leader-election-lease-duration, --leader-election-renew-deadline, --leader-election-retry-period TIME   15s, 10s, 2s
  --health-port PORT                  /healthz on 127.0.0.1, 9234
  --metrics-port PORT                 /metrics on every address [operator.prometheus.port, 9963]

TIME is as in the values: 30s, 15m0s, 1h30m. Exit code 0: stopped; 1: it could not run; 2: called wrongly.

Examples:
  NAME operator --values values.yaml
  NAME operator --kubeconfig admin.conf --identity-gc-interval 5m
`;

const text = { type: 'string' } as const;

const options = {
  values: text,
  kubeconfig: text,
  namespace: text,
  identity: text,
  'identity-gc-interval': text,
  'identity-heartbeat-timeout': text,
  'cilium-endpoint-gc-interval': text,
  'cilium-endpoint-gc-grace': text,
  'leader-election-lease-duration': text,
  'leader-election-renew-deadline': text,
  'leader-election-retry-period': text,
  'health-port': text,
  'metrics-port': text,
} as const;

export async function run(args: readonly string[], _io: Io): Promise<number> {
  const found = operatorOptions(args);
  const { main } = await import('../operator/main.ts');
  flushCompileCache();
  await main(found);
  return 0;
}

/** Throws UsageError for the command line, ConfigError for the values. */
function operatorOptions(args: readonly string[]): OperatorOptions {
  const { values } = argumentsOf(args, options);
  const { config } = values.values === undefined ? configOf('', 'values') : readConfig(values.values);
  const said = config.operator;
  const time = (name: Exclude<keyof typeof options, 'values'>, byDefault: number, least: 0 | 1 = 1) =>
    milliseconds(name, values[name], { byDefault, least });
  const found: OperatorOptions = {
    kubeconfig: values.kubeconfig,
    apiServers: config.apiServers,
    namespace: values.namespace ?? (process.env['CILIUM_K8S_NAMESPACE'] || 'kube-system'),
    identity: values.identity ?? `${hostname()}-${randomBytes(5).toString('hex')}`,
    healthPort: portOf('health-port', values['health-port'] ?? '9234'),
    metricsPort: values['metrics-port'] === undefined ? said.metricsPort : portOf('metrics-port', values['metrics-port']),
    identityInterval: time('identity-gc-interval', said.identityInterval, 0),
    identityGrace: time('identity-heartbeat-timeout', said.identityGrace),
    endpointInterval: time('cilium-endpoint-gc-interval', said.endpointInterval, 0),
    endpointGrace: time('cilium-endpoint-gc-grace', 5 * 60_000),
    lbClasses: said.lbClasses,
    certificatesFor: config.hubble.enabled && config.hubble.tls && config.hubble.tlsAuto ? config.clusterName : undefined,
    leaseDuration: time('leader-election-lease-duration', 15_000),
    leaseRenew: time('leader-election-renew-deadline', 10_000),
    leaseRetry: time('leader-election-retry-period', 2000),
  };
  if (found.leaseRetry < found.leaseRenew && found.leaseRenew < found.leaseDuration) return found;
  throw new UsageError('Cannot elect a leader with these times, wanted retry-period < renew-deadline < lease-duration');
}

function milliseconds(
  name: string,
  value: string | undefined,
  { byDefault, least }: { readonly byDefault: number; readonly least: 0 | 1 },
): number {
  if (value === undefined) return byDefault;
  const found = parseDuration(value);
  if (found !== undefined && found <= LONGEST_MS && (found >= 1 || found === least)) return found;
  throw new UsageError(
    `Cannot use --${name} ${value}, wanted a time such as 30s, 15m or 1h, up to 168h${least === 0 ? ', or 0s for never' : ''}`,
  );
}

function portOf(name: string, value: string): Port {
  const found = Number(value);
  if (/^\d+$/.test(value) && found > 0 && found < 65_536) return port(found);
  throw new UsageError(`Cannot use --${name} ${value}, wanted a port from 1 to 65535`);
}
