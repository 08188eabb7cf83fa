// SPDX-License-Identifier: Apache-2.0
// Everything that answers: CNI calls, the command line, and those who ask for health.

import type { CniCall } from '../endpoints/cni-protocol.ts';
import type { CniReply } from '../endpoints/cni-reply.ts';
import { systemClock } from '../base/clock.ts';
import { metricsOf } from '../base/metrics.ts';
import { certificateMetrics } from '../kube/certificate-metrics.ts';
import { identitySecret } from '../kube/identity-secret.ts';
import type { Problem } from '../base/problem.ts';
import { API_SOCKET } from './api-types.ts';
import { callCounts } from './call-counts.ts';
import type { CallCounts } from './call-counts.ts';
import { serveApi } from './api.ts';
import { cniQueue } from './cni-queue.ts';
import { CNI_SOCKET, serveCni } from './cni-server.ts';
import { cniHandler } from './cni.ts';
import type { CniOptions } from './cni.ts';
import type { Drops } from './drops.ts';
import type { Exporter } from './exporter.ts';
import type { Flows } from './flows.ts';
import type { Ground } from './ground.ts';
import { serveHealthChecks } from './health-checks.ts';
import { serveHealth } from './healthz.ts';
import { serveHubble } from './hubble.ts';
import { callCounts as rpcCounts } from '../grpc/call-metrics.ts';
import { agentMetrics } from './metrics.ts';
import { metricPages } from './metric-pages.ts';
import { problemsOfOperator } from './operator-problems.ts';
import { mtuOf, podRanges } from './pod-network.ts';
import { providersOf } from './providers.ts';
import { readinessOf } from './readiness.ts';
import type { Readiness } from './readiness.ts';
import type { AgentSources } from './sources.ts';
import type { AgentTables } from './tables.ts';
import type { AgentTargets } from './targets.ts';
import { vipsOf } from './vips.ts';
import type { Vips } from './vips.ts';
import type { Watched } from './rounds.ts';

/** As Cilium's chart calls it. */
const HUBBLE_SECRET = 'hubble-server-certs';

export type Parts = {
  readonly ground: Ground;
  readonly tables: AgentTables;
  readonly targets: AgentTargets;
  readonly sources: AgentSources;
  readonly watched: Watched;
  readonly drops: Drops;
  /** Undefined where hubble.enabled is false. */
  readonly flows: Flows | undefined;
  /** Undefined where no flows go into files. */
  readonly exporter: Exporter | undefined;
};

/** Serves until `end`. Throws SocketError when one of the sockets cannot be had. */
export async function serve(
  { ground, tables, targets, sources, watched, drops, flows, exporter }: Parts,
  end: AsyncDisposableStack,
): Promise<Readiness> {
  const { config, problems, client } = ground;
  const { machine, walks } = targets;
  const ready = readinessOf({ ...ground, ...targets, sources: sources.needed, nodes: tables.nodes, build: ground.options.build });
  const { health, cni } = ready;
  const vips = vipsIn(ground, tables, watched, targets.afterwards);
  const inside = {
    vips,
    ...ground,
    ...targets,
    ...tables,
    hostCookie: ground.netlink.netnsCookie,
    reconcilers: walks.flat(),
    sources: [...sources.needed, ...sources.kinds],
    maps: ground.datapath.maps,
    drops,
    flows,
    ...watched,
    health,
    kubernetes: () => ready.kubernetes(client),
    operatorProblems: () => problemsOfOperator(client),
    cni,
  };
  const calls = callCounts();
  end.use(await serveApi({ path: API_SOCKET, providers: providersOf(inside) }));
  const reporting = (owner: string) => (rows: readonly Problem[]) => {
    problems.report(owner, rows);
    machine.schedule();
  };
  const rpc = rpcOf(ground);
  const own = {
    agent: agentMetrics({ ...inside, calls, redirectTimes: sources.redirectTimes, engine: machine }),
    hubble: [...rpc.metrics, ...(exporter?.metrics ?? [])],
  };
  const more = metricPages({ ...ground, flows, clock: systemClock, report: reporting('flow metrics') }, own);
  const report = reporting('health servers');
  end.use(await serveHealth({ healthPort: config.healthPort, proxy: config.healthzBindAddress, health, more, report }));
  const { healthChecks: checks } = tables.services;
  const { afterwards } = targets;
  end.use(serveHealthChecks({ checks, healthy: () => health().healthy, report: reporting('health check ports'), afterwards }));
  if (flows) observe({ ground, tables, targets }, flows, rpc, reporting('hubble'));
  const handle = cniHandler({ ...callOptions({ ground, tables, targets, sources, watched }), unready: () => health().reason });
  await serveCalls(handle, { ...ground, calls }, end);
  return ready;
}

/** How Hubble's servers are known, and what they count. */
function rpcOf({ client, config }: Ground) {
  const namespace = process.env['CILIUM_K8S_NAMESPACE'] || 'kube-system';
  const identity = config.hubble.tls ? identitySecret({ client, namespace, name: HUBBLE_SECRET }) : undefined;
  const counts = rpcCounts();
  return { identity, counts, metrics: [...counts.metrics, ...metricsOf(certificateMetrics, { secret: HUBBLE_SECRET, identity })] };
}

/** Serves the flows of this node. Relays are let in by certificates that the operator makes. */
function observe(
  { ground: { config, self, log, signal }, tables, targets }: Pick<Parts, 'ground' | 'tables' | 'targets'>,
  { ring, history: past }: Flows,
  { identity, counts }: ReturnType<typeof rpcOf>,
  report: (rows: readonly Problem[]) => void,
): void {
  const { nodes } = tables.nodes;
  const { endpoints } = tables.endpoints;
  const { afterwards } = targets;
  serveHubble({ config, self, ring, past, nodes, endpoints, identity, counts, clock: systemClock, log, report, afterwards }, signal);
}

function vipsIn(
  { self, datapath, log }: Ground,
  { l2, services }: AgentTables,
  { sweep }: Watched,
  afterwards: AgentTargets['afterwards'],
): Vips {
  const visits = () => sweep.last?.visits ?? [];
  const vips = vipsOf({ l2, self, asked: datapath.map('l2_asked'), services, visits, clock: systemClock, log });
  afterwards(vips.look);
  return vips;
}

function callOptions({
  ground: { self, config },
  tables: { nodes },
  targets,
  sources,
  watched,
}: Omit<Parts, 'drops' | 'flows' | 'exporter'>): Omit<CniOptions, 'unready'> {
  const { machine: engine, needs, leaving } = targets;
  const ranges = () => podRanges(nodes, self, config);
  const mtu = () => mtuOf(nodes, config).mtu;
  return { endpoints: sources.endpoints, engine, needs, leaving, ranges, mtu, disk: () => watched.disk.ask() };
}

/** Listens, does what was left undone, and only then answers: a plugin that finds no socket leaves its DEL in the queue. */
async function serveCalls(
  handle: (request: CniCall) => Promise<CniReply>,
  { log, problems, calls }: Ground & { readonly calls: CallCounts },
  end: AsyncDisposableStack,
): Promise<void> {
  const queue = cniQueue(CNI_SOCKET);
  const { promise: replayed, resolve } = Promise.withResolvers<void>();
  const answer = async (request: CniCall) => {
    await replayed;
    const started = performance.now();
    const reply = await handle(request);
    calls.add(request.kind.toUpperCase(), reply.kind === 'failed' ? reply.failure.code : 0, (performance.now() - started) / 1000);
    if (request.kind === 'add' && reply.kind === 'added') queue.forget(request);
    return reply;
  };
  end.use(await serveCni({ path: CNI_SOCKET, handle: answer }));
  const { done, problems: undone } = await queue.replay(handle);
  problems.report('cni queue', undone);
  if (done > 0) log.info('Did the DELs that were left while there was no agent', { deletes: done });
  resolve();
}
