// SPDX-License-Identifier: Apache-2.0
// The agent of one node: sources fill tables, derivations compute tables from tables, reconcilers make targets equal to tables.
//
//   Kubernetes ─▶ services, slices ─▶ frontends, sets ─▶ slots, backends ─▶ lb_* ────────▶ kernel
//   Kubernetes ─▶ nodes ─┬──────────▶ ipcache, routes ──────────────────────────────────▶ kernel, netlink
//   netlink ────▶ interfaces ───────▶ uplinks ─▶ devices, attachments ──────────────────▶ kernel, tcx and cgroup links
//   Kubernetes ─▶ pods, namespaces, identities ─▶ labels ─▶ endpoint identities ───────▶ kernel, Kubernetes
//   CNI ────────▶ endpoints ────────▶ files, pod_links, pod_filters, endpoints, routes ──▶ disk, netlink, tc, kernel
//   ring buffer ▶ drops

import { systemClock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import { refreshInTurn } from '../base/refresh.ts';
import { groundOf } from './ground.ts';
import { unwatched } from './identities.ts';
import { orphans } from './orphans.ts';
import { serve } from './servers.ts';
import { agentSources } from './sources.ts';
import { staleSockets } from './stale-sockets.ts';
import { succession } from './succession.ts';
import { agentTables } from './tables.ts';
import { agentTargets } from './targets.ts';

/** Runs until SIGTERM or SIGINT. The data plane goes on without it. */
export async function main(args: readonly string[]): Promise<void> {
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop.abort());
  await using end = new AsyncDisposableStack();
  const ground = await groundOf(args, end, stop.signal);
  end.defer(() => stop.abort()); // whatever ends it: what watches must stop before what it looks at is closed, or the process stays

  const tables = agentTables(ground);
  const targets = agentTargets(ground, tables);
  const { machine, walks, attachments, slow } = targets;
  end.defer(() => machine.close());
  const sources = agentSources(ground, tables, targets);
  targets.afterwards(() => ground.problems.report('identities', unwatched(sources.kinds)));
  if (ground.config.kubeProxyReplacement) {
    const { services, endpoints } = tables;
    const map = ground.datapath.map('sock_reverse');
    targets.afterwards(staleSockets({ ...ground, services, endpoints: endpoints.endpoints, map }));
  }
  const ready = await serve({ ground, tables, targets, sources }, end);

  const { log, options } = ground;
  log.info('Agent started', { pid: process.pid, values: options.values, endpoints: tables.found.length });
  const links = {
    pending: 0, // its own loop writes what differs
    look() {
      attachments.refresh();
      return true;
    },
  };
  const endOrphans = orphans({ endpoints: sources.endpoints, pods: tables.known.pods, log });
  const endpoints = { pending: 0, look: () => (endOrphans() && machine.schedule(), true) };
  const inTurn = {
    reconcilers: [...walks.flat(), links, endpoints],
    changed: machine.schedule,
    clock: systemClock,
    roundMs: options.refreshMs,
  };
  const loops = [...sources.needed, ...sources.kinds, ...slow, ready].map((one) => one.run(stop.signal));
  machine.schedule();
  const unready = () => ready.health().reason ?? walks.flat().find((one) => one.pending > 0)?.name;
  const rest = succession({ datapath: ground.datapath, unready, log }, stop.signal);
  await Promise.all([refreshInTurn(inTurn, stop.signal), rest, ...loops]).catch((error: unknown) => {
    log.error('Agent ends', { error: messageOf(error) });
    throw error;
  });
  log.info('Agent stopped; the data plane goes on');
}
