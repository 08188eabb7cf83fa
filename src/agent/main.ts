// SPDX-License-Identifier: Apache-2.0
// The agent of one node: sources fill tables, derivations compute tables from tables, reconcilers make targets equal to tables.
//
//   Kubernetes ─▶ services, slices ─▶ frontends, sets ─▶ slots, backends ─▶ lb_* ────────▶ kernel
//   Kubernetes ─▶ nodes ─┬──────────▶ ipcache, routes ──────────────────────────────────▶ kernel, netlink
//   netlink ────▶ interfaces ───────▶ uplinks ─▶ devices, attachments ──────────────────▶ kernel, tcx and cgroup links
//   Kubernetes ─▶ pods, namespaces, identities ─▶ labels ─▶ endpoint identities ───────▶ kernel, Kubernetes
//   CNI ────────▶ endpoints ────────▶ files, pod_links, pod_filters, endpoints, routes ──▶ disk, netlink, tc, kernel
//   ring buffer ▶ drops

import { join } from 'node:path';
import { systemClock } from '../base/clock.ts';
import { engine } from '../base/commit.ts';
import { messageOf } from '../base/errors.ts';
import { logTo } from '../base/log.ts';
import { problemBook } from '../base/problem.ts';
import type { Problem } from '../base/problem.ts';
import { asyncReconciler } from '../base/reconcile-async.ts';
import { refreshInTurn } from '../base/refresh.ts';
import { mapKinds, mapTarget } from '../datapath/maps.ts';
import { watchNetwork } from '../datapath/network.ts';
import { podLinkTarget } from '../datapath/pod-links.ts';
import { loadDatapath } from '../datapath/programs.ts';
import type { Datapath } from '../datapath/programs.ts';
import { adoptedEndpoints } from '../endpoints/adopt.ts';
import { endpointTables } from '../endpoints/tables.ts';
import { rangeOf } from '../identities/numbers.ts';
import { nodeObjects } from '../identities/objects.ts';
import { identitySources, identityTables } from '../identities/tables.ts';
import { AttachType } from '../kernel/link.ts';
import { NetlinkSocket } from '../kernel/socket.ts';
import { kubeClient } from '../kube/client.ts';
import { kubeAccess } from '../kube/config.ts';
import { eventsTarget } from '../kube/events.ts';
import { resources } from '../kube/resources.ts';
import { kubeSource, sink } from '../kube/source.ts';
import type { EndpointSlice, Node, Service } from '../kube/types.ts';
import { nodeRows } from '../nodes/node.ts';
import { nodeTables } from '../nodes/tables.ts';
import type { NodeTables } from '../nodes/tables.ts';
import { servicesBefore } from '../services/before.ts';
import { serviceRows, sliceRows } from '../services/service.ts';
import { serviceTables } from '../services/tables.ts';
import { API_SOCKET } from './api-types.ts';
import { serveApi } from './api.ts';
import { CNI_SOCKET, serveCni } from './cni-server.ts';
import { cniHandler } from './cni.ts';
import { readConfig } from './config.ts';
import type { Config } from './config.ts';
import { readDrops } from './drops.ts';
import { readEndpoints } from './endpoint-files.ts';
import { serveHealth } from './healthz.ts';
import { identitiesBefore, identityKinds, identityObjects, unwatched } from './identities.ts';
import { agentOptions } from './options.ts';
import { mtuOf, podRanges } from './pod-network.ts';
import { providersOf } from './providers.ts';
import { readinessOf } from './readiness.ts';
import { reconcilersOf } from './reconcilers.ts';
import { requireNode } from './requirements.ts';
import { troublesOf } from './troubles.ts';
import { requireNobodyAt } from './unix-socket.ts';

/** Runs until SIGTERM or SIGINT. The data plane goes on without it. */
export async function main(args: readonly string[]): Promise<void> {
  const options = agentOptions(args);
  const { config, warnings, planned } = readConfig(options.values);
  const self = options.node;
  const log = logTo((line) => process.stderr.write(line), { node: self });
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop.abort());
  await using end = new AsyncDisposableStack();

  requireNode(config);
  await requireNobodyAt(API_SOCKET);
  const pins = join(config.bpfRoot, 'stentor');
  const client = end.adopt(kubeClient({ access: await kubeAccess({ ...(options.kubeconfig !== undefined && { kubeconfig: options.kubeconfig }), ...(config.kubernetes && { server: config.kubernetes }) }) }), (one) => one.close());
  const datapath = end.use(await loadDatapath({ objectDirectory: join(options.build, 'bpf'), pinDirectory: join(pins, 'maps'), config: knobs(config) }));
  const netlink = end.use(NetlinkSocket.open());
  end.defer(() => stop.abort()); // whatever ends it: what watches must stop before what it looks at is closed, or the process stays

  // tables and derivations
  const problems = problemBook();
  problems.report('values', warnings);
  if (planned.length > 0) log.info('Values without effect in this version', { values: planned });
  const idOf = (name: string) => datapath.program(name).id;
  const known = identitySources();
  const endpoints = endpointTables({ from: idOf('pod_from'), to: idOf('pod_to') }, known.endpointIdentities);
  const nodes = nodeTables({ ...config, self, endpoints: endpoints.endpoints, problems, remotePods: known.remotePods, programs: { from: idOf('host_from'), to: idOf('host_to') } });
  const found = readEndpoints(options.state);
  const identities = identityTables({ ...known, clusterName: config.clusterName, range: rangeOf(config.clusterId), self, endpoints: endpoints.endpoints, nodes: nodes.nodes, before: identitiesBefore(found.rows, numbersBefore(datapath)), problems });
  const services = serviceTables(before(datapath), problems);

  // targets
  const { walks, attachments, needs, lost } = reconcilersOf({ datapath, netlink, services, nodes, endpoints, state: options.state, links: join(pins, 'links') });
  const derivations = [...identities.derivations, ...endpoints.derivations, ...nodes.derivations, ...services.derivations];
  const events = asyncReconciler(problems.table, eventsTarget({ client, controller: 'stentor-agent', instance: self, fallback: `Node ${self}` }));
  const objects = identityObjects(client, identities, self);
  const reconcilers = walks.flat();
  const troubles = troublesOf({ reconcilers: [...reconcilers, attachments, ...objects], endpoints: endpoints.endpoints, clock: systemClock });
  const afterwards = () => {
    problems.report('targets', troubles());
    problems.report('identities', unwatched(kinds));
    attachments.wake();
    for (const one of objects) one.wake();
    events.wake();
  };
  const machine = engine({ derivations, walks, clock: systemClock, afterwards });
  end.defer(() => machine.close());

  const reported = (owner: string, rows: readonly Problem[]) => {
    problems.report(owner, rows);
    machine.schedule();
  };

  // sources
  const cniRows = endpoints.endpoints.writer('cni');
  const adopted = adoptedEndpoints({ links: podLinkTarget(netlink).list(), entries: mapTarget(mapKinds.endpoints, datapath.map('endpoints')).list() }, found.rows);
  if (adopted.length > 0) log.warn('Endpoints without a file go on as the kernel has them', { interfaces: adopted.map((row) => row.hostInterface) });
  for (const row of [...found.rows, ...adopted]) cniRows.put(row.hostInterface, row);
  cniRows.complete();
  problems.report('endpoint files', found.problems);
  hookSockets(nodes, datapath, config);
  watchNetwork({ socket: netlink, writer: nodes.interfaces.writer('netlink'), changed: machine.schedule, lost, signal: stop.signal });
  const watch = { client, changed: machine.schedule };
  const sources = [
    kubeSource<Node>({ ...watch, resource: resources.nodes, sinks: [sink(nodes.nodes.writer('kubernetes'), nodeRows, problems), sink(known.nodeObjects.writer('kubernetes'), (one: Node) => nodeObjects(one, self))] }),
    kubeSource<Service>({ ...watch, resource: resources.services, sinks: [sink(services.services.writer('kubernetes'), (one: Service) => serviceRows(one, config.serviceProxyName), problems)] }),
    kubeSource<EndpointSlice>({ ...watch, resource: resources.endpointSlices, sinks: [sink(services.slices.writer('kubernetes'), sliceRows, problems)] }),
  ];
  const kinds = identityKinds({ tables: known, ...watch, self, problems });
  const drops = readDrops({ events: datapath.map('events'), endpoints: endpoints.endpoints, clock: systemClock, signal: stop.signal });

  // servers
  const ready = readinessOf({ sources, walks, attachments, nodes, self, config, build: options.build, log });
  const providers = providersOf({ config, self, services, nodes, endpoints, identities, problems, reconcilers, slow: [attachments, events, ...objects], sources: [...sources, ...kinds], maps: datapath.maps, drops, health: ready.health, kubernetes: () => ready.kubernetes(client), cni: ready.cni });
  end.use(await serveApi({ path: API_SOCKET, providers }));
  end.use(await serveHealth({ healthPort: config.healthPort, proxy: config.healthzBindAddress, health: ready.health, report: (rows) => reported('health servers', rows) }));
  const handle = cniHandler({ endpoints: cniRows, engine: machine, needs, ranges: () => podRanges(nodes, self, config), mtu: () => mtuOf(nodes, config) });
  end.use(await serveCni({ path: CNI_SOCKET, handle }));

  log.info('Agent started', { pid: process.pid, values: options.values, endpoints: found.rows.length });
  const slow = { pending: 0, look: () => attachments.refresh() === undefined };
  const refresh = refreshInTurn({ reconcilers: [...reconcilers, slow], changed: machine.schedule, clock: systemClock, roundMs: options.refreshMs }, stop.signal);
  const loops = [refresh, ...[...sources, ...kinds, ...objects, attachments, events, ready].map((one) => one.run(stop.signal))];
  machine.schedule();
  await Promise.all(loops).catch((error: unknown) => {
    log.error('Agent ends', { error: messageOf(error) });
    throw error;
  });
  log.info('Agent stopped; the data plane goes on');
}

function knobs(config: Config): Parameters<typeof loadDatapath>[0]['config'] {
  return {
    masqueradeIpv4: Number(config.masquerade.ipv4),
    masqueradeIpv6: Number(config.masquerade.ipv6),
    noBackendReject: Number(config.loadBalancer.noBackendResponse === 'reject'),
  };
}

function before(datapath: Datapath): ReturnType<typeof servicesBefore> {
  return servicesBefore({
    services: mapTarget(mapKinds.lbServices, datapath.map('lb_services')).list(),
    slots: mapTarget(mapKinds.lbSlots, datapath.map('lb_slots')).list(),
    backends: mapTarget(mapKinds.lbBackends, datapath.map('lb_backends')).list(),
  });
}

function numbersBefore(datapath: Datapath): ReadonlyMap<string, number> {
  return new Map(Array.from(mapTarget(mapKinds.endpoints, datapath.map('endpoints')).list(), ([address, { value }]) => [address, value.identity]));
}

const socketHooks = {
  sock_connect4: AttachType.cgroupInet4Connect,
  sock_connect6: AttachType.cgroupInet6Connect,
  sock_sendmsg4: AttachType.cgroupUdp4Sendmsg,
  sock_sendmsg6: AttachType.cgroupUdp6Sendmsg,
  sock_recvmsg4: AttachType.cgroupUdp4Recvmsg,
  sock_recvmsg6: AttachType.cgroupUdp6Recvmsg,
  sock_getpeername4: AttachType.cgroupInet4Getpeername,
  sock_getpeername6: AttachType.cgroupInet6Getpeername,
} as const;

/** The socket programs, on the cgroup of all processes of the node. */
function hookSockets({ hooks }: NodeTables, datapath: Datapath, config: Config): void {
  if (config.kubeProxyReplacement) for (const [name, type] of Object.entries(socketHooks)) hooks.put(name, { kind: 'cgroup', path: config.cgroupRoot, type, program: datapath.program(name).id });
  hooks.complete();
}
