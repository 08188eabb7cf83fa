// SPDX-License-Identifier: Apache-2.0
// `hubble-ui`: serves the web page.

import { readFileSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { version } from '../agent/version.ts';
import { parseCidr } from '../base/ip.ts';
import type { GrpcClientOptions } from '../grpc/client.ts';
import type { AuthOptions } from '../hubble-ui/guards.ts';
import type { HubbleUiOptions } from '../hubble-ui/main.ts';
import { argumentsOf, UsageError } from './command.ts';
import type { Io } from './command.ts';
import { addressIn } from './hubble/address.ts';

export const help = `Usage: NAME hubble-ui [OPTIONS]

Serves the web page with the service map and the flows of the cluster, until it is told to stop (SIGTERM, SIGINT). Several may run.

  --host ADDRESS         where it listens, ::
  --port PORT            8081
  --relay SERVER         Hubble's server: host:port, tls://host:port or unix:///path; $FLOWS_API_ADDR, or hubble-relay:80
  --tls-ca-cert-file, --tls-client-cert-file, --tls-client-key-file PATH, --tls-server-name NAME   for a server at tls://
  --agent-socket PATH    of an agent, for the page of load balancer addresses
  --cluster NAME         default
  --auth HOW             who may see what: none (everybody everything, the default); token (of the cluster, asked for by the page);
                         header (a proxy in front says who it is). A namespace is seen by who may list its pods
  --auth-proxy PREFIX    with header: where the proxy is, as often as there are some; nobody else may ask
  --auth-user-header, --auth-groups-header NAME   X-Forwarded-User and X-Forwarded-Groups
  --kubeconfig PATH      credentials for the Kubernetes API, in place of those of a pod

Exit code 0: stopped; 1: it could not run; 2: called wrongly.

Examples:
  NAME hubble-ui --relay 127.0.0.1:4245
  NAME hubble-ui --relay unix:///var/run/cilium/hubble.sock --agent-socket /var/run/cilium/cilium.sock --port 8080
`;

const text = { type: 'string' } as const;
const options = {
  host: text,
  port: text,
  relay: text,
  'tls-ca-cert-file': text,
  'tls-client-cert-file': text,
  'tls-client-key-file': text,
  'tls-server-name': text,
  'agent-socket': text,
  cluster: text,
  auth: text,
  'auth-proxy': { type: 'string', multiple: true },
  'auth-user-header': text,
  'auth-groups-header': text,
  kubeconfig: text,
} as const;
type Values = { readonly [Name in Exclude<keyof typeof options, 'auth-proxy'>]?: string } & { readonly 'auth-proxy'?: readonly string[] };

export async function run(args: readonly string[], _io: Io): Promise<number> {
  const { values } = argumentsOf(args, options);
  const found = optionsOf(values);
  const { main } = await import('../hubble-ui/main.ts');
  flushCompileCache();
  await main(found);
  return 0;
}

/** Throws UsageError. */
function optionsOf(values: Values): HubbleUiOptions {
  const name = values.relay ?? (process.env['FLOWS_API_ADDR'] || 'hubble-relay:80');
  const address = addressIn(name);
  const host = 'host' in address ? address.host : 'localhost';
  const port = Number(values.port ?? '8081');
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new UsageError(`Cannot use --port ${values.port}, wanted a port`);
  return {
    host: values.host ?? '::',
    port,
    relay: { name, address, tls: name.startsWith('tls://') ? tlsOf(values, host) : undefined },
    agentSocket: values['agent-socket'],
    auth: authOf(values),
    version: version(),
    cluster: values.cluster ?? 'default',
  };
}

function authOf(values: Values): AuthOptions {
  const { auth: kind = 'none', kubeconfig, 'auth-proxy': proxies = [] } = values;
  if (kind !== 'none' && kind !== 'token' && kind !== 'header')
    throw new UsageError(`Cannot use --auth ${kind}, wanted none, token or header`);
  if (proxies.length > 0 && kind !== 'header') throw new UsageError('Cannot use --auth-proxy without --auth header');
  if (kind !== 'header') return kind === 'none' ? { kind } : { kind, kubeconfig };
  if (proxies.length === 0) throw new UsageError('Cannot believe a header of anybody: --auth header wants --auth-proxy PREFIX');
  const wrong = proxies.find((prefix) => parseCidr(prefix) === undefined);
  if (wrong !== undefined) throw new UsageError(`Cannot use --auth-proxy ${wrong}, wanted a prefix such as 10.0.0.0/8`);
  const names = { user: values['auth-user-header'] ?? 'X-Forwarded-User', groups: values['auth-groups-header'] ?? 'X-Forwarded-Groups' };
  return { kind, kubeconfig, names, proxies };
}

function tlsOf(values: Values, host: string): GrpcClientOptions['tls'] {
  const file = (option: 'tls-ca-cert-file' | 'tls-client-cert-file' | 'tls-client-key-file'): string | undefined => {
    const path = values[option];
    if (path === undefined) return undefined;
    try {
      return readFileSync(path, 'utf8');
    } catch (error) {
      throw new UsageError(`Cannot read --${option} ${path}`, { cause: error });
    }
  };
  const [ca, cert, key] = [file('tls-ca-cert-file'), file('tls-client-cert-file'), file('tls-client-key-file')];
  if (ca === undefined) throw new UsageError('Cannot ask a server at tls:// without --tls-ca-cert-file');
  return { ca, ...(cert !== undefined && key !== undefined && { cert, key }), serverName: values['tls-server-name'] ?? host };
}
