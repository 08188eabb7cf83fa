// SPDX-License-Identifier: Apache-2.0
// Who has an address, and which service is where: what a flow says beside its numbers. The answers are made once and shared, so that
// those for the next flow of the same two cost two look-ups.

import type { Ip } from '../base/ip.ts';
import { addressPort } from '../base/ip.ts';
import type { Changes, Table } from '../base/table.ts';
import { protocolText } from '../datapath/protocols.ts';
import type { EndpointRow } from '../endpoints/endpoint.ts';
import type { EndpointIdentity } from '../identities/endpoints.ts';
import type { IdentityRow, PodRow, RemotePod } from '../identities/facts.ts';
import { labelList } from '../identities/labels.ts';
import type { Labels } from '../identities/labels.ts';
import { Reserved } from '../identities/numbers.ts';
import type { FlowEndpoint, FlowService, NetworkInterface } from './flow.ts';
import { whereabouts } from './whereabouts.ts';
import type { Whereabouts, WhereaboutsTables } from './whereabouts.ts';

export type DirectoryTables = WhereaboutsTables & {
  /** By host interface; with the indexes `address` and `netns`. */
  readonly endpoints: Table<string, EndpointRow>;
  readonly endpointIdentities: Table<string, EndpointIdentity>;
  readonly pods: Table<string, PodRow>;
  readonly remotePods: Table<string, RemotePod>;
  readonly identities: Table<string, IdentityRow>;
  readonly services: ServiceLookups;
  readonly clusterName: string;
};

/** What is looked at in the tables of services, which look at ours. */
type ServiceLookups = {
  /** By address, port and protocol. */
  readonly frontends: Table<string, { readonly address: Ip; readonly service: string }>;
  /** By a key of their own, as the numbers. */
  readonly sets: Table<string, { readonly service: string }>;
  readonly setIds: Table<string, { readonly id: number }>;
};

export type Directory = {
  /** Takes what has changed in the tables. Before a batch of events, as the same answers hold for all of it. */
  refresh(): void;
  /** `identity`: as the data plane knew it; 0: it did not. */
  endpointAt(address: Ip, identity: number): FlowEndpoint;
  /** The pod of this node that has the address. */
  podAt(address: Ip): EndpointRow | undefined;
  /** The pod of this node whose network namespace has this cookie. */
  podInside(netns: number): EndpointRow | undefined;
  serviceAt(address: Ip, port: number, protocol: number): FlowService | undefined;
  /** By its number in the kernel's maps. */
  serviceOf(id: number): FlowService | undefined;
  interfaceOf(index: number): NetworkInterface;
};

const reservedNames: Readonly<Record<number, string>> = {
  [Reserved.unknown]: 'unknown',
  [Reserved.host]: 'host',
  [Reserved.world]: 'world',
  [Reserved.unmanaged]: 'unmanaged',
  [Reserved.health]: 'health',
  [Reserved.init]: 'init',
  [Reserved.remoteNode]: 'remote-node',
  [Reserved.kubeApiServer]: 'kube-apiserver',
  [Reserved.ingress]: 'ingress',
  [Reserved.worldIpv4]: 'world-ipv4',
  [Reserved.worldIpv6]: 'world-ipv6',
};

/** Answers that are remembered at once: a scan of the world is to cost time and no memory. */
const REMEMBERED = 20_000;

export function directoryOf(tables: DirectoryTables): Directory {
  const { endpoints } = tables;
  const remote = remoteAddresses(tables.remotePods);
  const services = servicesIn(tables.services);
  const watched = [endpoints, tables.endpointIdentities, tables.pods, tables.identities].map((one) => one.changes());
  const [links, interfaces] = [endpoints.changes(), tables.interfaces.changes()];
  const places = whereabouts(tables);
  const known = remembering<Ip, { readonly said: number; readonly endpoint: FlowEndpoint }>(REMEMBERED);
  const names = new Map<number, NetworkInterface>();
  const podAt = (address: Ip): EndpointRow | undefined => firstOf(endpoints.by('address', address));
  return {
    refresh() {
      // map() and not some(): what has changed is to be taken from all of them
      if ([...watched.map(taken), remote.refresh(), places.refresh()].includes(true)) known.clear();
      if ([taken(links), taken(interfaces)].includes(true)) named(names, tables);
      services.refresh();
    },
    endpointAt(address, identity) {
      const found = known.get(address);
      if (found && (found.said === identity || identity === Reserved.unknown)) return found.endpoint;
      const who = { local: podAt(address), remote: remote.at(address) };
      const number = who.local || who.remote ? identity : placedIdentity(address, identity, places);
      return known.set(address, { said: identity, endpoint: endpointOf(who, number, tables) }).endpoint;
    },
    podAt,
    podInside: (netns) => firstOf(endpoints.by('netns', String(netns))),
    serviceAt: services.at,
    serviceOf: services.of,
    interfaceOf: (index) => names.get(index) ?? { index },
  };
}

type Remote = { readonly name: string; readonly pod: RemotePod };

/** Of an address that is no pod's. What the kernel knew of a packet may be older than what is known now; of a drop it knew nothing. */
function placedIdentity(address: Ip, identity: number, places: Whereabouts): number {
  if (identity !== Reserved.unknown && identity !== Reserved.world && identity !== Reserved.remoteNode) return identity;
  return places.isOwn(address) ? Reserved.host : identity || places.identityOf(address);
}

function endpointOf(
  { local, remote }: { readonly local: EndpointRow | undefined; readonly remote: Remote | undefined },
  identity: number,
  { endpointIdentities, pods, identities, clusterName }: DirectoryTables,
): FlowEndpoint {
  if (local) {
    const { id, namespace, pod: podName, hostInterface } = local;
    const own = endpointIdentities.get(hostInterface);
    const workload = pods.get(`${namespace}/${podName}`)?.workload;
    return {
      id,
      identity: identity || (own?.identity ?? Reserved.unknown),
      clusterName,
      namespace,
      podName,
      labels: labelsOf(own?.labels),
      ...(workload && { workloads: [workload] }),
    };
  }
  const number = identity || (remote?.pod.identity ?? Reserved.unknown);
  const reserved = reservedNames[number];
  if (reserved !== undefined && !remote) return { identity: number, labels: [`reserved:${reserved}`] };
  const labels = labelsOf(identities.get(String(number))?.labels);
  if (!remote) return { identity: number, clusterName, labels };
  const [namespace = '', podName = ''] = remote.name.split('/');
  const { workload } = remote.pod;
  return { identity: number, clusterName, namespace, podName, labels, ...(workload && { workloads: [workload] }) };
}

function labelsOf(labels: Labels | undefined): readonly string[] {
  return labels === undefined ? [] : labelList(labels);
}

/** `name`: 'namespace/name'; of a pod with a host port 'Pod namespace/name', which is no service. */
function serviceNamed(name: string | undefined): FlowService | undefined {
  const [namespace, service] = name?.split('/') ?? [];
  return namespace === undefined || service === undefined || namespace.includes(' ') ? undefined : { name: service, namespace };
}

/** Services by what stands in packets and events. Most addresses are none's, which is to be found out at once. */
function servicesIn({ frontends, sets, setIds }: ServiceLookups) {
  const [changes, setChanges, numbers] = [frontends.changes(), sets.changes(), setNumbers(setIds)];
  const addresses = new Map<Ip, number>();
  const count = (address: Ip | undefined, by: number) => address && addresses.set(address, (addresses.get(address) ?? 0) + by);
  const places = remembering<string, FlowService | undefined>(REMEMBERED);
  const ids = remembering<number, FlowService | undefined>(REMEMBERED);
  return {
    refresh() {
      const changed = changes.take();
      for (const [key, before] of changed) {
        count(before?.address, -1);
        count(frontends.get(key)?.address, 1);
      }
      if (changed.size > 0) places.clear();
      if ([taken(setChanges), numbers.refresh()].includes(true)) ids.clear();
    },
    at(address: Ip, port: number, protocol: number): FlowService | undefined {
      if ((addresses.get(address) ?? 0) === 0) return undefined;
      const key = `${addressPort(address, port)}/${protocolText(protocol)}`;
      return places.has(key) ? places.get(key) : places.set(key, serviceNamed(frontends.get(key)?.service));
    },
    of: (id: number): FlowService | undefined =>
      ids.has(id) ? ids.get(id) : ids.set(id, serviceNamed(sets.get(numbers.at(id) ?? '')?.service)),
  };
}

/** Pods of other nodes by address. */
function remoteAddresses(pods: Table<string, RemotePod>) {
  const changes = pods.changes();
  const known = new Map<string, Remote>();
  return {
    at: (address: Ip) => known.get(address),
    refresh(): boolean {
      const changed = changes.take();
      for (const [name, before] of changed)
        for (const address of before?.addresses ?? []) if (known.get(address)?.name === name) known.delete(address);
      for (const [name] of changed) {
        const pod = pods.get(name);
        for (const address of pod?.addresses ?? []) if (pod) known.set(address, { name, pod });
      }
      return changed.size > 0;
    },
  };
}

/** Keys of backend sets by their number. */
function setNumbers(ids: ServiceLookups['setIds']) {
  const changes = ids.changes();
  const known = new Map<number, string>();
  return {
    at: (id: number) => known.get(id),
    refresh(): boolean {
      const changed = changes.take();
      for (const [key, before] of changed) if (before && known.get(before.id) === key) known.delete(before.id);
      for (const [key] of changed) {
        const id = ids.get(key)?.id;
        if (id !== undefined) known.set(id, key);
      }
      return changed.size > 0;
    },
  };
}

function named(names: Map<number, NetworkInterface>, { interfaces, endpoints }: DirectoryTables): void {
  names.clear();
  for (const [name, { index }] of interfaces.entries()) names.set(index, { index, name });
  for (const [name, { interfaceIndex: index }] of endpoints.entries()) names.set(index, { index, name });
}

function taken(changes: Changes<string, unknown>): boolean {
  return changes.take().size > 0;
}

function firstOf<T>(rows: Iterable<T>): T | undefined {
  for (const row of rows) return row;
  return undefined;
}

/** What was asked before. When there is too much, it begins anew. */
function remembering<K, V>(limit: number) {
  const known = new Map<K, V>();
  return {
    has: (key: K) => known.has(key),
    get: (key: K) => known.get(key),
    set(key: K, value: V): V {
      if (known.size >= limit) known.clear();
      known.set(key, value);
      return value;
    },
    clear: () => known.clear(),
  };
}
