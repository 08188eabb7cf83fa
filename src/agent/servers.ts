// SPDX-License-Identifier: Apache-2.0
// Everything that answers: CNI calls, the command line, and those who ask for health.

import { systemClock } from '../base/clock.ts';
import type { CniCall } from '../endpoints/cni-protocol.ts';
import type { CniReply } from '../endpoints/cni-reply.ts';
import { API_SOCKET } from './api-types.ts';
import { serveApi } from './api.ts';
import { cniQueue } from './cni-queue.ts';
import { CNI_SOCKET, serveCni } from './cni-server.ts';
import { cniHandler } from './cni.ts';
import { readDrops } from './drops.ts';
import type { Ground } from './ground.ts';
import { serveHealth } from './healthz.ts';
import { mtuOf, podRanges } from './pod-network.ts';
import { providersOf } from './providers.ts';
import { readinessOf } from './readiness.ts';
import type { Readiness } from './readiness.ts';
import type { AgentSources } from './sources.ts';
import type { AgentTables } from './tables.ts';
import type { AgentTargets } from './targets.ts';

export type Parts = {
  readonly ground: Ground;
  readonly tables: AgentTables;
  readonly targets: AgentTargets;
  readonly sources: AgentSources;
};

/** Serves until `end`. Throws SocketError when one of the sockets cannot be had. */
export async function serve({ ground, tables, targets, sources }: Parts, end: AsyncDisposableStack): Promise<Readiness> {
  const { config, self, problems, client, datapath, options, signal } = ground;
  const { nodes } = tables;
  const { machine, walks, slow, needs } = targets;
  const drops = readDrops({ events: datapath.map('events'), endpoints: tables.endpoints.endpoints, clock: systemClock, signal });
  const ready = readinessOf({ ...ground, ...targets, sources: sources.needed, nodes, build: options.build });
  const { health, cni } = ready;
  const watches = [...sources.needed, ...sources.kinds];
  const kubernetes = () => ready.kubernetes(client);
  const inside = { ...ground, ...tables, reconcilers: walks.flat(), slow, sources: watches, maps: datapath.maps, drops };
  end.use(await serveApi({ path: API_SOCKET, providers: providersOf({ ...inside, health, kubernetes, cni }) }));
  const report: Parameters<typeof serveHealth>[0]['report'] = (rows) => {
    problems.report('health servers', rows);
    machine.schedule();
  };
  end.use(await serveHealth({ healthPort: config.healthPort, proxy: config.healthzBindAddress, health, report }));
  const ranges = () => podRanges(nodes, self, config);
  const mtu = () => mtuOf(nodes, config);
  const unready = () => health().reason;
  const handle = cniHandler({ endpoints: sources.endpoints, engine: machine, needs, ranges, mtu, unready });
  await serveCalls(handle, ground, end);
  return ready;
}

/** Listens, does what was left undone, and only then answers: a plugin that finds no socket leaves its DEL in the queue. */
async function serveCalls(
  handle: (request: CniCall) => Promise<CniReply>,
  { log, problems }: Ground,
  end: AsyncDisposableStack,
): Promise<void> {
  const queue = cniQueue(CNI_SOCKET);
  const { promise: replayed, resolve } = Promise.withResolvers<void>();
  const answer = async (request: CniCall) => {
    await replayed;
    const reply = await handle(request);
    if (request.kind === 'add' && reply.kind === 'added') queue.forget(request);
    return reply;
  };
  end.use(await serveCni({ path: CNI_SOCKET, handle: answer }));
  const { done, problems: undone } = await queue.replay(handle);
  problems.report('cni queue', undone);
  if (done > 0) log.info('Did the DELs that were left while there was no agent', { deletes: done });
  resolve();
}
