// SPDX-License-Identifier: Apache-2.0
// The agent of one node: sources fill tables, derivations compute tables from tables, reconcilers make targets equal to tables.
//
//   Kubernetes ─▶ services, slices ─▶ frontends, sets ─▶ slots, backends ─▶ lb_* ────────▶ kernel
//   Kubernetes ─▶ nodes ─┬──────────▶ ipcache, routes ──────────────────────────────────▶ kernel, netlink
//   netlink ────▶ interfaces ───────▶ uplinks ─▶ devices, attachments ──────────────────▶ kernel, tcx and cgroup links
//   Kubernetes ─▶ pods, namespaces, identities ─▶ labels ─▶ endpoint identities ───────▶ kernel, Kubernetes
//   CNI ────────▶ endpoints ────────▶ files, pod_links, pod_filters, endpoints, routes ──▶ disk, netlink, tc, kernel
//   ring buffer ▶ flows ─▶ those who observe them
//   ring buffer ▶ drops ─▶ conntrack: who holds the ports that were missing?

import { systemClock as clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import type { Problem } from '../base/problem.ts';
import { configDefaults } from '../datapath/schema.gen.ts';
import { flowMetrics } from '../flows/metrics/flow-metrics.ts';
import { announcing } from './announcing.ts';
import { deadServers } from './api-servers.ts';
import { readDrops } from './drops.ts';
import type { Drops } from './drops.ts';
import { readEvents } from './events.ts';
import { flowExporter } from './exporter.ts';
import type { Exporter } from './exporter.ts';
import { watchFlows } from './flows.ts';
import type { Flows } from './flows.ts';
import { flowHistory } from './history.ts';
import type { FlowHistory } from './history.ts';
import { groundOf } from './ground.ts';
import type { Ground } from './ground.ts';
import { unwatched } from './identities.ts';
import { optionProbe } from './option-probe.ts';
import { mtuTroubles } from './pod-network.ts';
import { watchPortExhaustion } from './port-exhaustion.ts';
import { rounds, watched } from './rounds.ts';
import { serve } from './servers.ts';
import { agentSources } from './sources.ts';
import { staleSockets } from './stale-sockets.ts';
import { succession } from './succession.ts';
import { agentTables } from './tables.ts';
import type { AgentTables } from './tables.ts';
import { agentTargets } from './targets.ts';
import type { AgentTargets } from './targets.ts';

/** 'renew': whoever started it is asked to start another in its place. */
export type Ending = 'stopped' | 'renew';

/** Runs until SIGTERM or SIGINT. The data plane goes on without it. */
export async function main(args: readonly string[]): Promise<Ending> {
  const stop = new AbortController();
  let ending: Ending = 'renew';
  const told = () => {
    ending = 'stopped';
    stop.abort();
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, told);
  await using end = new AsyncDisposableStack();
  const ground = await groundOf(args, end, stop.signal);
  end.defer(() => stop.abort()); // whatever ends it: what watches must stop before what it looks at is closed, or the process stays

  const tables = agentTables(ground);
  const targets = agentTargets(ground, tables);
  const { machine, walks, slow } = targets;
  end.defer(() => machine.close());
  const sources = agentSources(ground, tables, targets);
  targets.afterwards(() => ground.problems.report('identities', unwatched(sources.kinds)));
  targets.afterwards(() => lookAtServers(ground, tables));
  targets.afterwards(() => ground.problems.report('mtu', mtuTroubles(tables.nodes, ground.self, ground.config)));
  if (ground.config.kubeProxyReplacement) {
    const { services, endpoints } = tables;
    const map = ground.datapath.map('sock_reverse');
    targets.afterwards(staleSockets({ ...ground, services, endpoints: endpoints.endpoints, map }));
  }
  const announced = announces(ground, tables, targets);
  const { flows, drops } = eventsOf(ground, tables, machine.schedule);
  const watches = watched(ground, tables, targets, flows);
  const exporter = exporterOf(ground, flows, machine.schedule);
  if (exporter) end.use(exporter);
  const ready = await serve({ ground, tables, targets, sources, watched: watches, drops, flows, exporter }, end);

  const { log, options } = ground;
  log.info('Agent started', { pid: process.pid, values: options.values, endpoints: tables.found.length });
  const renew = (why: string) => {
    log.info('Agent begins anew', { why });
    stop.abort();
  };
  const loops = [...sources.needed, ...sources.kinds, ...slow, ready, ...(flows ? [flows.history] : [])].map((one) => one.run(stop.signal));
  machine.schedule();
  const unready = () => ready.health().reason ?? walks.flat().find((one) => one.pending > 0)?.name;
  const rest = succession({ datapath: ground.datapath, unready, log }, stop.signal);
  const looks = rounds({ ground, tables, targets, sources, watched: watches, renew }, stop.signal);
  const exhaustion = exhaustionWatch(ground, tables, { drops, changed: machine.schedule });
  const optionPaths = optionWatch(ground, tables, machine.schedule);
  await Promise.all([looks, rest, exhaustion, optionPaths, announced(), ...loops]).catch((error: unknown) => {
    log.error('Agent ends', { error: messageOf(error) });
    throw error;
  });
  log.info('Agent stopped; the data plane goes on');
  return ending;
}

/** Makes this node one of those that announce addresses; what is returned runs until the end. */
function announces(
  ground: Ground,
  tables: AgentTables,
  { machine, answers, announcements, afterwards }: AgentTargets,
): () => Promise<void> {
  if (!ground.config.l2announcements) return () => Promise.resolve();
  const { look, run } = announcing({ ground, tables, before: tables.answering, changed: machine.schedule, answers, announcements });
  afterwards(look);
  return run;
}

/** What the data plane tells of packets. Flows are undefined where nobody wants them. */
function eventsOf(ground: Ground, tables: AgentTables, changed: () => void): { readonly drops: Drops; readonly flows: Flows | undefined } {
  const { datapath, config, self, signal } = ground;
  const { known, endpoints, identities, nodes, services } = tables;
  const events = readEvents(datapath.map('events'), signal);
  const drops = readDrops({ events, endpoints: endpoints.endpoints, signal });
  if (!config.hubble.enabled) return { drops, flows: undefined };
  const { clusterName } = config;
  const { interfaces } = nodes;
  const about = { ...known, ...identities, endpoints: endpoints.endpoints, interfaces, nodes: nodes.nodes, self, services, clusterName };
  const losses = datapath.map('event_losses');
  const { capacity, redaction } = config.hubble;
  const counted = flowMetrics(config.hubble.metrics);
  const nodeName = `${clusterName}/${self}`;
  const history = historyOf(ground, nodeName, changed);
  return { drops, flows: watchFlows({ events, losses, tables: about, nodeName, capacity, redaction, counted, history, signal }) };
}

/** Flows on disk; what is wrong with that is told as any Problem is. */
function historyOf({ config, options, problems, log }: Ground, node: string, changed: () => void): FlowHistory {
  const report = (rows: readonly Problem[]) => {
    problems.report('history', rows);
    changed();
  };
  return flowHistory({ directory: options.history, node, maxBytes: config.hubble.historyBytes, clock, log, report });
}

/** A ConfigMap that the kubelet puts there. */
const DYNAMIC_EXPORTS = '/flowlog-config/flowlogs.yaml';

function exporterOf({ config, self, problems }: Ground, flows: Flows | undefined, changed: () => void): Exporter | undefined {
  const { enabled, static: fixed, dynamic } = config.hubble.export;
  if (!flows || !(enabled || dynamic)) return undefined;
  return flowExporter({
    ring: flows.ring,
    nodeName: `${config.clusterName}/${self}`,
    static: enabled ? fixed : undefined,
    dynamic: dynamic ? DYNAMIC_EXPORTS : undefined,
    clock,
    report(rows) {
      problems.report('flow exports', rows);
      changed();
    },
  });
}

/** Says which pod has the ports that others find none of. */
function exhaustionWatch(
  { datapath, problems, self, config, options, signal }: Ground,
  { endpoints: { endpoints } }: AgentTables,
  { drops, changed }: { readonly drops: Drops; readonly changed: () => void },
): Promise<void> {
  const report: Parameters<typeof watchPortExhaustion>[0]['report'] = (rows) => {
    problems.report('masquerade ports', rows);
    changed();
  };
  const natPortFirst = config.nodePort.last + 1;
  const map = datapath.map('conntrack');
  return watchPortExhaustion({ drops, map, endpoints, self, natPortFirst, report, clock, quietMs: options.refreshMs }, signal);
}

/** Finds out which nodes would not hear of a frontend by IP option. */
function optionWatch(
  { problems, self, config, log, signal }: Ground,
  { nodes: { nodes, optionLosses }, services: { frontends } }: AgentTables,
  changed: () => void,
): Promise<void> {
  const report = (rows: readonly Problem[]) => {
    problems.report('option paths', rows);
    changed();
  };
  const losses = optionLosses.writer('option probe');
  const wanted = () => config.loadBalancer.dispatch === 'opt' && Array.from(frontends.entries()).some(([, { dsr }]) => dsr);
  return optionProbe({ self, nodes, losses, wanted, port: configDefaults.optionProbePort, report, log }, signal);
}

/** Learns where else the API is, and says which address does not answer. */
function lookAtServers({ learned, client, problems, config }: Ground, { services }: AgentTables): void {
  learned.learn(services.slices);
  problems.report('api servers', [...learned.problems, ...deadServers(client.failing(), client.server, config.apiServers)]);
}
