// SPDX-License-Identifier: Apache-2.0
// A server that speaks the protocol over a real socket and says what a test wants, and the real command that asks it.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AgentEventType } from '../../../flows/flow-enums.ts';
import { streaming, unary } from '../../../grpc/handler.ts';
import { healthHandlers } from '../../../grpc/health.ts';
import { grpcServer } from '../../../grpc/server.ts';
import { RpcError, Status } from '../../../grpc/status.ts';
import { observer } from '../../../hubble/observer.ts';
import type { GetFlowsRequest, GetFlowsResponse, GetNodesResponse } from '../../../hubble/observer.ts';
import { notify } from '../../../hubble/peer.ts';
import type { ChangeNotification } from '../../../hubble/peer.ts';

const folder = mkdtempSync(join(tmpdir(), 'stentor-hubble-'));
const socket = join(folder, 'hubble.sock');
const hubble = fileURLToPath(new URL('../../../../bin/hubble', import.meta.url));

/** What the server says, and what it was asked. `old`: it knows no field mask. */
export const world = {
  requests: new Array<GetFlowsRequest>(),
  responses: new Array<GetFlowsResponse>(),
  serving: true,
  old: false,
};

const handlers = [
  ...healthHandlers((name) => (name === 'hubble.server.Observer' || name === '' ? world.serving : undefined)),
  streaming(observer.getFlows, (asked, { signal }) => {
    world.requests.push(asked);
    if (world.old && asked.fieldMask) throw new RpcError(Status.INVALID_ARGUMENT, 'invalid field mask path');
    if (asked.whitelist?.some(({ httpPath }) => httpPath)) throw new RpcError(Status.INVALID_ARGUMENT, 'whitelist[0].http_path: bad');
    return (async function* () {
      yield world.responses;
      if (asked.follow && !signal.aborted) await once(signal, 'abort');
    })();
  }),
  streaming(observer.getAgentEvents, async function* () {
    yield [
      {
        agentEvent: { type: AgentEventType.AGENT_STARTED, notification: { kind: 'agentStart', time: 5_000_000_000n } },
        nodeName: 'default/node1',
        time: 6_000_000_000n,
      },
    ] as const;
  }),
  unary(observer.serverStatus, () => ({
    numFlows: 8190,
    maxFlows: 8190,
    seenFlows: 100_000,
    uptimeNs: 3_723_500_000_000,
    numConnectedNodes: 2,
    numUnavailableNodes: 1,
    unavailableNodes: ['node3'],
    version: 'v1',
    flowsRate: 23.456,
  })),
  unary(observer.getNodes, (): GetNodesResponse => ({
    nodes: [
      {
        name: 'foo',
        version: 'v1',
        address: '1.2.3.4:4244',
        state: 1,
        tls: { enabled: true },
        uptimeNs: 1_000_000_000_000,
        numFlows: 500,
        maxFlows: 1000,
      },
      { name: 'bar', state: 2 },
    ],
  })),
  unary(observer.getNamespaces, () => ({ namespaces: [{ cluster: 'default', namespace: 'shop' }] })),
  streaming(notify, async function* (): AsyncIterable<readonly ChangeNotification[]> {
    yield [
      { name: 'foo.bar', address: '1.2.3.4:4244', type: 1, tls: { serverName: 'foo.default.hubble-grpc.cilium.io' } },
      { name: 'baz', address: '1.2.3.5:4244', type: 2 },
    ];
  }),
];
const servers = [grpcServer({ handlers }), grpcServer({ handlers })] as const;

export { folder, socket };

export const listen = (): Promise<void> => servers[0].listen({ path: socket });
/** On a port too, as a relay has one. */
export async function listenOnPort(): Promise<number> {
  await servers[1].listen({ host: '127.0.0.1', port: 0 });
  return servers[1].port;
}
export async function leave(): Promise<void> {
  for (const server of servers) await server[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
}

export function start(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const given = { PATH: process.env['PATH'], HOME: folder, HUBBLE_SERVER: `unix://${socket}`, ...env };
  return spawn(hubble, args, { env: given, stdio: ['ignore', 'pipe', 'pipe'] });
}
export async function run(line: string, env: Readonly<Record<string, string>> = {}) {
  const child = start(
    line.split(' ').filter((word) => word !== ''),
    env,
  );
  let [out, err] = ['', ''];
  child.stdout.on('data', (chunk) => (out += chunk));
  child.stderr.on('data', (chunk) => (err += chunk));
  await once(child, 'close');
  return { code: child.exitCode, out, err };
}
