// SPDX-License-Identifier: Apache-2.0
// Reaches the server that a hubble command asks.

import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { rootCertificates } from 'node:tls';
import { promisify } from 'node:util';
import { parseDuration } from '../../base/duration.ts';
import { messageOf, StentorError } from '../../base/errors.ts';
import { grpcClient } from '../../grpc/client.ts';
import type { CallOptions, GrpcClient, ServerAddress, TlsOptions } from '../../grpc/client.ts';
import { RpcError, Status } from '../../grpc/status.ts';
import { observer } from '../../hubble/observer.ts';
import type { GetFlowsRequest, GetFlowsResponse } from '../../hubble/observer.ts';
import { UsageError } from '../command.ts';
import { addressIn, DEFAULT_PORT } from './address.ts';
import { nearby, nearbyAgent } from './nearby.ts';
import type { Nearby } from './nearby.ts';
import type { Settings } from './settings.ts';

/** The server was not reached, or did not do what it was asked. */
export class ServerError extends StentorError {}

export type Server = AsyncDisposable & {
  /** As the user may have called it. */
  readonly name: string;
  /** '1/9 nodes', where it knows no more. */
  readonly nodes: string | undefined;
  readonly client: GrpcClient;
  /** For a call that is no stream. */
  readonly brief: CallOptions;
  readonly metadata: Readonly<Record<string, string>>;
};

/** Whom to ask when nobody said: all nodes, or an agent. `agentSocket`: where the API of an agent is, if there is one. */
export type Whom = { readonly agentSocket: string; readonly agent?: boolean };

/** Throws UsageError and ServerError. */
export async function serverOf(settings: Settings, { agentSocket, agent = false }: Whom): Promise<Server> {
  const end = new AsyncDisposableStack();
  const typed = settings.on('port-forward') ? await forwarded(settings, end) : settings.text('server');
  const { name, nodes }: Nearby = typed === undefined ? await (agent ? nearbyAgent() : nearby(agentSocket)) : { name: typed };
  const address = addressIn(name);
  const tls = settings.on('tls') || name.startsWith('tls://') ? tlsOf(settings, address) : undefined;
  const client = end.use(grpcClient({ address, tls, connectMs: milliseconds(settings, 'timeout') }));
  const metadata = credentials(settings, tls !== undefined);
  const brief = { deadlineMs: milliseconds(settings, 'request-timeout'), metadata };
  return { name, nodes, client, brief, metadata, [Symbol.asyncDispose]: () => end.disposeAsync() };
}

function milliseconds(settings: Settings, name: string): number {
  const text = settings.text(name) ?? '';
  const found = parseDuration(text);
  if (found === undefined || found === 0) throw new UsageError(`Cannot wait for --${name} '${text}', wanted a duration such as 5s`);
  return found;
}

function tlsOf(settings: Settings, address: ServerAddress): TlsOptions {
  const [ca, cert, key] = [
    fileOf(settings, 'tls-ca-cert-files'),
    fileOf(settings, 'tls-client-cert-file'),
    fileOf(settings, 'tls-client-key-file'),
  ];
  return {
    ca: ca ?? rootCertificates.join('\n'),
    ...(cert !== undefined && key !== undefined && { cert, key }),
    serverName: settings.text('tls-server-name') ?? ('host' in address ? address.host : 'localhost'),
    anybody: settings.on('tls-allow-insecure'),
  };
}

/** What the files of a flag say, one after another. Throws UsageError. */
function fileOf(settings: Settings, flag: string): string | undefined {
  const paths = settings.text(flag)?.split(',');
  try {
    return paths?.map((path) => readFileSync(path.trim(), 'utf8')).join('\n');
  } catch (error) {
    throw new UsageError(`Cannot read --${flag}: ${messageOf(error)}`);
  }
}

function credentials(settings: Settings, encrypted: boolean): Readonly<Record<string, string>> {
  const [name, password = ''] = [settings.text('basic-auth-username'), settings.text('basic-auth-password')];
  if (name === undefined) return {};
  if (!encrypted) throw new UsageError('Cannot send a password without --tls');
  return { authorization: `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}` };
}

/** Leads a port of this machine to the relay, until `end`. Throws ServerError with what kubectl says. */
async function forwarded(settings: Settings, end: AsyncDisposableStack): Promise<string> {
  const namespace = settings.text('kube-namespace') ?? 'kube-system';
  const port = settings.text('port-forward-port') ?? String(DEFAULT_PORT);
  const option = (name: string, flag: string) => (settings.text(flag) === undefined ? [] : [`--${name}=${settings.text(flag)}`]);
  const kubectl = [...option('kubeconfig', 'kubeconfig'), ...option('context', 'kube-context'), `--namespace=${namespace}`];
  const refused = (why: string) =>
    new ServerError('NoPortForward', `Cannot reach service hubble-relay in ${namespace} through kubectl: ${why}`);
  const get = [...kubectl, 'get', 'service', 'hubble-relay', '--output=jsonpath={.spec.ports[0].port}'];
  const relayPort = await promisify(execFile)('kubectl', get).catch((error: unknown) => {
    throw refused(messageOf(error));
  });
  const child = spawn('kubectl', [...kubectl, 'port-forward', 'service/hubble-relay', `${port}:${relayPort.stdout}`], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  end.defer(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill();
    await gone;
  });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  for await (const line of createInterface({ input: child.stdout })) {
    const at = /^Forwarding from \S+:(\d+) /.exec(line)?.[1]; // another than we asked for where that was 0
    if (at !== undefined) return `127.0.0.1:${at}`;
  }
  throw refused(said.trim() || 'it ended');
}

/** What went wrong with a call to `server`, in words that help. */
export function serverError(error: RpcError, { name }: Pick<Server, 'name'>): ServerError {
  if (error.status !== Status.UNAVAILABLE)
    return new ServerError('ServerRefused', `The server ${name} refuses: ${error.message}`, { cause: undefined });
  const hint = name.startsWith('unix:')
    ? 'Look at the log of the cilium pod of this node'
    : 'Say --server, or -P to reach the relay of a cluster through kubectl';
  return new ServerError('Unreachable', `Cannot reach the server ${name}: ${error.message}\n${hint}`);
}

/** Flows as they come. Throws RpcError. An older server that does not know a field of the mask is asked for all of them. */
export async function* flowsFrom(
  { client, metadata }: Server,
  request: GetFlowsRequest,
  signal: AbortSignal,
): AsyncIterable<readonly GetFlowsResponse[]> {
  let started = false;
  try {
    for await (const batch of client.stream(observer.getFlows, request, { signal, metadata })) {
      started = true;
      yield batch;
    }
  } catch (error) {
    const masked = request.fieldMask !== undefined && error instanceof RpcError && error.status === Status.INVALID_ARGUMENT;
    if (started || !masked || !/mask|path/i.test(error.message)) throw error;
    yield* client.stream(observer.getFlows, { ...request, fieldMask: undefined }, { signal, metadata });
  }
}
