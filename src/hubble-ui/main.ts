// SPDX-License-Identifier: Apache-2.0
// The server of the web page: flows of the relay in, maps and pages of flows out. Several may run; none knows of the others.

import { resolve } from 'node:path';
import { logTo } from '../base/log.ts';
import { grpcClient } from '../grpc/client.ts';
import type { GrpcClientOptions } from '../grpc/client.ts';
import { vipsOf } from './agent-vips.ts';
import { assetsIn } from './assets.ts';
import { guardFor } from './guards.ts';
import type { AuthOptions } from './guards.ts';
import { grpcSource } from './grpc-source.ts';
import { servePage } from './server.ts';

export type HubbleUiOptions = {
  readonly host: string;
  readonly port: number;
  /** Of Hubble's server, and for people. */
  readonly relay: Pick<GrpcClientOptions, 'address' | 'tls'> & { readonly name: string };
  /** The socket of this node's agent, which knows of load balancer addresses; undefined: the page does not show them. */
  readonly agentSocket: string | undefined;
  readonly auth: AuthOptions;
  readonly version: string;
  readonly cluster: string;
};

/** Where the build puts the page. */
const PAGE = resolve(import.meta.dirname, '../../build/ui');
const KEEPALIVE_MS = 10_000;

/** Runs until SIGTERM or SIGINT. Throws when it cannot listen. */
export async function main({ host, port, relay, agentSocket, auth, version, cluster }: HubbleUiOptions): Promise<void> {
  const stopped = new Promise<string>((done) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, done);
  });
  await using end = new AsyncDisposableStack();
  const log = logTo((line) => process.stderr.write(line));
  const client = end.use(grpcClient({ address: relay.address, tls: relay.tls, keepaliveMs: KEEPALIVE_MS }));
  const source = grpcSource(client, relay.name);
  const assets = await assetsIn(PAGE);
  const vips = vipsOf(agentSocket);
  const guard = await guardFor(auth, end);
  const server = await servePage({ host, port, version, cluster, assets, source, vips, losses: source.losses, guard, log });
  end.use(server);
  log.info('Page served', { host, port: server.port, relay: relay.name, auth: auth.kind, pid: process.pid });
  await stopped;
}
