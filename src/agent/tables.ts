// SPDX-License-Identifier: Apache-2.0
// All tables of the agent with their derivations, begun from what is durable: endpoint files and the kernel's maps.

import type { Derivation } from '../base/derive.ts';
import { sameRow } from '../base/same.ts';
import { table } from '../base/table.ts';
import { mapKinds, mapTarget } from '../datapath/maps.ts';
import { podLinkTarget } from '../datapath/pod-links.ts';
import type { Datapath } from '../datapath/programs.ts';
import { adoptedEndpoints } from '../endpoints/adopt.ts';
import type { EndpointRow } from '../endpoints/endpoint.ts';
import { endpointTables } from '../endpoints/tables.ts';
import type { EndpointTables } from '../endpoints/tables.ts';
import { rangeOf } from '../identities/numbers.ts';
import { identitySources, identityTables } from '../identities/tables.ts';
import type { IdentitySources, IdentityTables } from '../identities/tables.ts';
import type { PodMtu } from '../nodes/mtu.ts';
import { publishedNodes } from '../nodes/segments.ts';
import type { PublishedNodes } from '../nodes/segments.ts';
import { nodeTables } from '../nodes/tables.ts';
import { l2Tables } from '../l2/tables.ts';
import type { L2Tables } from '../l2/tables.ts';
import type { NodeTables } from '../nodes/tables.ts';
import { redirectTables, skipTables } from '../redirects/tables.ts';
import type { RedirectTables, SkipTables } from '../redirects/tables.ts';
import type { UplinkPrograms } from '../nodes/uplinks.ts';
import { servicesBefore } from '../services/before.ts';
import type { ServicesBefore } from '../services/before.ts';
import { serviceTables } from '../services/tables.ts';
import { serviceSources } from '../services/sources.ts';
import type { ServiceTables } from '../services/tables.ts';
import { KernelError } from '../kernel/errors.ts';
import { netnsCookie } from './cni.ts';
import { readEndpoints } from './endpoint-files.ts';
import type { Ground } from './ground.ts';
import { identitiesBefore } from './identities.ts';
import { l2Before } from './l2-before.ts';
import type { L2Before } from './l2-before.ts';

export type AgentTables = {
  readonly known: IdentitySources;
  readonly endpoints: EndpointTables;
  readonly nodes: NodeTables;
  readonly identities: IdentityTables;
  readonly services: ServiceTables;
  readonly l2: L2Tables;
  /** What this node answered for when the agent started. */
  readonly answering: L2Before;
  readonly redirects: RedirectTables;
  readonly skips: SkipTables;
  readonly published: PublishedNodes['published'];
  /** In dependency order. */
  readonly derivations: readonly Derivation[];
  /** The endpoints that there were when the agent started. */
  readonly found: readonly EndpointRow[];
};

export function agentTables(ground: Ground): AgentTables {
  const { config, self, problems, datapath, netlink } = ground;
  const idOf = (name: string) => datapath.program(name).id;
  const known = identitySources();
  const podMtu = table<'now', PodMtu>('pod_mtu', { same: sameRow });
  const endpoints = endpointTables({
    programs: { from: idOf('pod_from'), to: idOf('pod_to') },
    identities: known.endpointIdentities,
    podMtu,
  });
  const nativeRoutingCidrs = [...config.nativeRoutingCidrs, ...config.masquerade.except];
  const nodePortPrefixes = config.nodePort.addresses;
  const common = { ...config, nativeRoutingCidrs, nodePortPrefixes, podMtu, self, problems, endpoints: endpoints.endpoints };
  const programs = { from: idOf('host_from'), to: idOf('host_to'), xdp: xdpOf(config, idOf('xdp_from')) };
  const nodes = nodeTables({ ...common, remotePods: known.remotePods, programs });
  const found = endpointsFound(ground);
  const numbers = identitiesBefore(found, numbersBefore(datapath));
  const identities = identityTables({ ...common, ...known, range: rangeOf(config.clusterId), nodes: nodes.nodes, before: numbers });
  const { serviceTopology: topology, mode, externalClusterIp, trustExternalIps, rangesOfAllTypes, balance } = config.loadBalancer;
  const answersHealthChecks = config.nodePort.healthCheck && config.kubeProxyReplacement;
  const serving = {
    topology,
    answersHealthChecks,
    healthOnVips: config.nodePort.healthCheckOnVips,
    mode,
    externalClusterIp,
    trustExternalIps,
    rangesOfAllTypes,
    balance,
    nodeAddresses: nodes.addresses,
  };
  const sources = serviceSources();
  const redirects = redirectTables(sources, problems);
  const services = serviceTables({ ...serving, self, before: before(datapath), problems, sources, redirected: redirects });
  const skips = skipTables(redirects, services, { endpoints: endpoints.endpoints, hostCookie: netlink.netnsCookie });
  const answering = l2Before(datapath, ground.options.state);
  const l2 = l2Tables({ self, services, nodes, before: answering.claims, problems });
  const said = publishedNodes(known.nodeObjects, nodes.interfaces);
  const derivations = [identities, nodes, endpoints, redirects, services, skips, l2, said].flatMap((group) => group.derivations);
  return { known, endpoints, nodes, identities, services, redirects, skips, l2, answering, published: said.published, derivations, found };
}

function xdpOf({ loadBalancer: { acceleration } }: Ground['config'], program: number): UplinkPrograms['xdp'] {
  if (acceleration === 'disabled') return undefined;
  return { program, mode: acceleration === 'testing-only' ? 'generic' : 'native', optional: acceleration === 'best-effort' };
}

/** From their files, and where those are lost from the kernel. */
function endpointsFound({ options, problems, netlink, datapath, log }: Ground): readonly EndpointRow[] {
  const files = readEndpoints(options.state);
  problems.report('endpoint files', files.problems);
  const entries = mapTarget(mapKinds.endpoints, datapath.map('endpoints')).list();
  const adopted = adoptedEndpoints({ links: podLinkTarget(netlink).list(), entries }, files.rows);
  const interfaces = adopted.map((row) => row.hostInterface);
  if (interfaces.length > 0) log.warn('Endpoints without a file go on as the kernel has them', { interfaces });
  return [...files.rows, ...adopted].map((row) => (row.netnsCookie === '' ? { ...row, netnsCookie: cookieOf(row) } : row));
}

/** Of a row from before it was kept; empty where the namespace is not known, or gone. */
function cookieOf({ netns }: EndpointRow): string {
  try {
    return netns === '' ? '' : netnsCookie(netns);
  } catch (error) {
    if (error instanceof KernelError) return '';
    throw error;
  }
}

function before(datapath: Datapath): ServicesBefore {
  return servicesBefore({
    services: mapTarget(mapKinds.lbServices, datapath.map('lb_services')).list(),
    slots: mapTarget(mapKinds.lbSlots, datapath.map('lb_slots')).list(),
    backends: mapTarget(mapKinds.lbBackends, datapath.map('lb_backends')).list(),
  });
}

function numbersBefore(datapath: Datapath): ReadonlyMap<string, number> {
  const entries = mapTarget(mapKinds.endpoints, datapath.map('endpoints')).list();
  return new Map(Array.from(entries, ([address, { value }]) => [address, value.identity]));
}
