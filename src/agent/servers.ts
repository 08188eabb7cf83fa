// SPDX-License-Identifier: Apache-2.0
// Everything that answers: CNI calls, the command line, and those who ask for health.

import { systemClock } from '../base/clock.ts';
import { API_SOCKET } from './api-types.ts';
import { serveApi } from './api.ts';
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
  const handle = cniHandler({ endpoints: sources.endpoints, engine: machine, needs, ranges, mtu });
  end.use(await serveCni({ path: CNI_SOCKET, handle }));
  return ready;
}
