// SPDX-License-Identifier: Apache-2.0
// Everything that writes facts into tables: Kubernetes watches, the node's network, and what the agent knows from its start.

import { systemClock } from '../base/clock.ts';
import type { Histogram } from '../base/metrics.ts';
import type { Writer } from '../base/table.ts';
import { watchNetwork } from '../datapath/network.ts';
import type { EndpointRow } from '../endpoints/endpoint.ts';
import { exemptPodRows } from '../endpoints/sockets.ts';
import { podRows } from '../identities/facts.ts';
import { nodeObjects } from '../identities/objects.ts';
import { AttachType } from '../kernel/link.ts';
import { resources } from '../kube/resources.ts';
import { kubeSource, sink } from '../kube/source.ts';
import type { Source } from '../kube/source.ts';
import { stopwatch } from '../kube/stopwatch.ts';
import type { CiliumL2AnnouncementPolicy, EndpointSlice, Node, Pod, Service } from '../kube/types.ts';
import { announcerRows } from '../l2/announcers.ts';
import { policyRows } from '../l2/policy.ts';
import { nodeRows } from '../nodes/node.ts';
import { hostPortRows } from '../services/host-ports.ts';
import { serviceRows, sliceRows } from '../services/service.ts';
import { ownNodeRows } from '../services/topology.ts';
import type { Ground } from './ground.ts';
import { identityKinds, ownIdentityObjects } from './identities.ts';
import { redirectKinds } from './redirects.ts';
import type { AgentTables } from './tables.ts';
import type { AgentTargets } from './targets.ts';

export type AgentSources = {
  /** Without them the agent cannot serve. */
  readonly needed: readonly Source[];
  /** For identities, announcements and redirects: they may come later, or not at all. */
  readonly kinds: readonly Source[];
  /** How long it takes until what a CiliumLocalRedirectPolicy asks for is so. */
  readonly redirectTimes: Histogram;
  /** Where CNI calls write. */
  readonly endpoints: Writer<string, EndpointRow>;
};

export function agentSources(ground: Ground, tables: AgentTables, { machine, objects, lost, afterwards }: AgentTargets): AgentSources {
  const { client, netlink, problems, self, config, signal } = ground;
  const { known, nodes, services, l2 } = tables;
  const endpoints = tables.endpoints.endpoints.writer('cni');
  for (const row of tables.found) endpoints.put(row.hostInterface, row);
  endpoints.complete();
  hookSockets(ground, tables);
  const changed = machine.schedule;
  watchNetwork({ socket: netlink, writer: nodes.interfaces.writer('netlink'), node: self, problems, changed, lost, signal });
  const nodeSinks = [
    sink(nodes.nodes.writer('kubernetes'), nodeRows, problems),
    sink(known.nodeObjects.writer('kubernetes'), (one: Node) => nodeObjects(one, self)),
    sink(services.ownNode.writer('kubernetes'), (one: Node) => ownNodeRows(one, self)),
    sink(l2.announcers.writer('kubernetes'), announcerRows),
  ];
  const rowsOf = (one: Service) => serviceRows(one, config.serviceProxyName);
  const serviceSink = sink(services.services.writer('kubernetes'), rowsOf, problems);
  const sliceSink = sink(services.slices.writer('kubernetes'), sliceRows, problems);
  const watch = stopwatch(systemClock);
  afterwards(watch.derived);
  const redirects = redirectKinds({ tables: tables.redirects, client, changed, problems, watch, config });
  const podSinks = [
    sink(known.pods.writer('kubernetes'), podRows, problems),
    sink(tables.endpoints.exemptPods.writer('kubernetes'), exemptPodRows, problems),
    sink(services.hostPorts.writer('kubernetes'), hostPortRows, problems),
    ...redirects.podSinks,
  ];
  const needed = [
    kubeSource<Pod>({ client, changed, resource: resources.pods, fieldSelector: `spec.nodeName=${self}`, sinks: podSinks }),
    kubeSource<Node>({ client, changed, resource: resources.nodes, sinks: nodeSinks }),
    kubeSource<Service>({ client, changed, resource: resources.services, sinks: [serviceSink] }),
    kubeSource<EndpointSlice>({ client, changed, resource: resources.endpointSlices, sinks: [sliceSink] }),
  ];
  const own = ownIdentityObjects(objects, tables, self);
  const policies = sink(l2.policies.writer('kubernetes'), policyRows, problems);
  const kinds = [
    ...identityKinds({ tables: known, client, changed, self, problems, own }),
    ...(config.l2announcements
      ? [kubeSource<CiliumL2AnnouncementPolicy>({ client, changed, resource: resources.l2Policies, sinks: [policies] })]
      : []),
    ...redirects.kinds,
  ];
  return { needed, kinds, endpoints, redirectTimes: watch.times };
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
  sock_release: AttachType.cgroupInetSockRelease,
} as const;

const bindHooks = { sock_post_bind4: AttachType.cgroupInet4PostBind, sock_post_bind6: AttachType.cgroupInet6PostBind } as const;

/** The socket programs, on the cgroup of all processes of the node. */
function hookSockets({ config, datapath }: Ground, { nodes: { hooks } }: AgentTables): void {
  const wanted = { ...(config.kubeProxyReplacement && { ...socketHooks, ...(config.nodePort.bindProtection && bindHooks) }) };
  for (const [name, type] of Object.entries(wanted))
    hooks.put(name, { kind: 'cgroup', path: config.cgroupRoot, type, program: datapath.program(name).id });
  hooks.complete();
}
