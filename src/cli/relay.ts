// SPDX-License-Identifier: Apache-2.0
// `relay`: becomes a relay of Hubble, which has the flows of all nodes.

import { flushCompileCache } from 'node:module';
import { configOf, readConfig } from '../agent/config.ts';
import { version } from '../agent/version.ts';
import type { ServerAddress } from '../grpc/client.ts';
import type { RelayOptions } from '../relay/options.ts';
import { argumentsOf, UsageError } from './command.ts';
import type { Io } from './command.ts';

export const help = `Usage: NAME relay [OPTIONS]

Gives clients of Hubble the flows of all nodes at one address, until it is told to stop (SIGTERM, SIGINT). It learns of the nodes from
the agent of its own, and is let in by the certificate in the Secret hubble-relay-client-certs.

  --values FILE                   Helm values. In brackets the key, and what holds without it
  --kubeconfig PATH               credentials for the Kubernetes API, in place of those of a pod
  --namespace NAME                where the Secret is: $CILIUM_K8S_NAMESPACE, or kube-system
  --peer-service ADDRESS          the agent that knows the others, unix:///var/run/cilium/hubble.sock
  --listen-address ADDRESS        for clients, :4245
  --health-listen-address ADDRESS for probes, :4222
  --metrics-listen-address ADDRESS for Prometheus; nowhere [hubble.relay.prometheus, which may say a port]
  --disable-client-tls            agents do not want a certificate [hubble.tls.enabled, true]

ADDRESS is HOST:PORT or :PORT; of an agent also unix:///PATH. Exit code 0: stopped; 1: it could not run; 2: called wrongly.

Examples:
  NAME relay --values values.yaml
  NAME relay --peer-service 192.168.0.11:4244 --listen-address 127.0.0.1:4245
`;

const text = { type: 'string' } as const;
const options = {
  values: text,
  kubeconfig: text,
  namespace: text,
  'peer-service': text,
  'listen-address': text,
  'health-listen-address': text,
  'metrics-listen-address': text,
  'disable-client-tls': { type: 'boolean' },
} as const;

export async function run(args: readonly string[], _io: Io): Promise<number> {
  const found = relayOptions(args);
  const { main } = await import('../relay/main.ts');
  flushCompileCache();
  await main(found);
  return 0;
}

/** Throws UsageError for the command line, ConfigError for the values. */
function relayOptions(args: readonly string[]): RelayOptions {
  const { values } = argumentsOf(args, options);
  const { config } = values.values === undefined ? configOf('', 'values') : readConfig(values.values);
  const { relayMetricsPort } = config.hubble;
  const metrics = values['metrics-listen-address'] ?? (relayMetricsPort && `:${relayMetricsPort}`);
  return {
    listen: placeIn('listen-address', values['listen-address'] ?? ':4245'),
    health: placeIn('health-listen-address', values['health-listen-address'] ?? ':4222'),
    metrics: metrics === undefined ? undefined : placeIn('metrics-listen-address', metrics),
    peerService: addressIn(values['peer-service'] ?? `unix://${config.hubble.socketPath}`),
    cluster: config.clusterName,
    tls: config.hubble.tls && values['disable-client-tls'] !== true,
    kubeconfig: values.kubeconfig,
    apiServers: config.apiServers,
    namespace: values.namespace ?? (process.env['CILIUM_K8S_NAMESPACE'] || 'kube-system'),
    version: version(),
  };
}

function placeIn(name: string, value: string): { readonly host?: string; readonly port: number } {
  const [, six, host = six, port] = /^(?:\[([0-9a-fA-F:.]+)\]|([^/:[\]]*)):(\d{1,5})$/.exec(value) ?? [];
  if (port === undefined || Number(port) > 65_535 || Number(port) === 0)
    throw new UsageError(`Cannot use --${name} ${value}, wanted HOST:PORT or :PORT`);
  return { ...(host !== undefined && host !== '' && { host }), port: Number(port) };
}

function addressIn(value: string): ServerAddress {
  const path = /^unix:(?:\/\/)?(\/.+)$/.exec(value)?.[1];
  if (path !== undefined) return { path };
  const { host = '127.0.0.1', port } = placeIn('peer-service', value);
  return { host, port };
}
