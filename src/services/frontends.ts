// SPDX-License-Identifier: Apache-2.0
// From Services and EndpointSlices to frontends (where clients connect) and backend sets (who serves them).
//
//   Service shop/cart ──┬── frontend 10.96.4.7:80/TCP ─────────┐
//                       ├── frontend 192.168.0.225:80/TCP ─────┤
//                       ├── frontend 0.0.0.0:30080/TCP ────────┤
//                       └── frontend [fd00:10:96::7]:80/TCP ─┐ │
//   its EndpointSlices ─┬── set shop/cart/http/TCP/IPv4 ◀────┼─┘
//                       └── set shop/cart/http/TCP/IPv6 ◀────┘
//
// All frontends of one service port and family share one set. With a traffic policy of Local it is another one, which has only the
// backends of this node; a frontend may have one for clients inside the cluster and the other for those on the wire.

import { addressPort, familyOf, ip } from '../base/ip.ts';
import type { Cidr, Family, Ip } from '../base/ip.ts';
import { problem } from '../base/problem.ts';
import type { Problem } from '../base/problem.ts';
import type { Table } from '../base/table.ts';
import type { Protocol } from '../datapath/protocols.ts';
import { choiceFor } from './choice.ts';
import type { BalanceOptions, ChoiceBy } from './choice.ts';
import type { SourceRanges } from './external.ts';
import { selects } from './label-selector.ts';
import type { EndpointConditions, PortRow, ServicePortRow, ServiceRow, SliceRow } from './service.ts';
import { nearest } from './topology.ts';
import type { Hints, OwnNode } from './topology.ts';

/** 'address:port/PROTO', IPv6 in brackets. */
export type FrontendKey = string;
/** 'namespace/name/port name/PROTO/IPv4', with '/local' behind it for the backends of this node. */
export type SetKey = string;

export type FrontendType = 'ClusterIP' | 'NodePort' | 'LoadBalancer' | 'ExternalIPs' | 'HostPort';

export type Frontend = {
  /** 0.0.0.0 and ::, every address of this node that has node ports. */
  readonly address: Ip;
  readonly port: number;
  readonly protocol: Protocol;
  readonly type: FrontendType;
  readonly service: string;
  /** For clients inside the cluster; undefined: to them the address is somebody else's. */
  readonly set: SetKey | undefined;
  /** For clients on the wire; undefined: not for them. */
  readonly outside: SetKey | undefined;
  /** Seconds for which a client keeps its backend; 0: it does not. */
  readonly affinity: number;
  /** How its backends are chosen; where the wire does not reach it, at random. */
  readonly choice: ChoiceBy;
  /** Backends of other nodes answer clients on the wire themselves. Not where some nodes do not serve the Service: they would not believe it. */
  readonly dsr: boolean;
  /** A backend that is this node gets packets from the wire as they are. */
  readonly delegate?: true;
  /** What the source ranges of the set say of clients on the wire; undefined: they are not asked. */
  readonly sourceRanges: SourceRanges['policy'] | undefined;
};

export type Backend = { readonly address: Ip; readonly port: number; readonly protocol: Protocol };

export type BackendState = 'active' | 'terminating';

export type BackendSet = {
  readonly service: string;
  readonly protocol: Protocol;
  /** As its frontends have it. */
  readonly affinity: number;
  /** Some of its frontends choose by Maglev. */
  readonly maglev: boolean;
  /** The frontends that lead to it. */
  readonly frontends: readonly FrontendKey[];
  /** Sorted, without duplicates: all are selected for new connections. */
  readonly backends: readonly (Backend & { readonly state: BackendState })[];
  /** Those that finish what they have begun, and are selected for nothing new. Sorted, without duplicates. */
  readonly draining: readonly Backend[];
  /** Of the Service, in the family of the set; for clients on the wire. */
  readonly sourceRanges: readonly Cidr[];
};

export function frontendKey({ address, port, protocol }: Pick<Frontend, 'address' | 'port' | 'protocol'>): FrontendKey {
  return `${addressPort(address, port)}/${protocol}`;
}

export type FrontendOptions = {
  readonly mode: 'snat' | 'dsr' | 'hybrid';
  /** ClusterIPs are served to the wire, too. */
  readonly externalClusterIp: boolean;
  /** External IPs are served to clients inside the cluster whoever has them (CVE-2020-8554). */
  readonly trustExternalIps: boolean;
  /** Source ranges hold for node ports and external IPs, too, not for load balancer IPs alone. */
  readonly rangesOfAllTypes: boolean;
  readonly balance: BalanceOptions;
  readonly isOwnAddress: (address: Ip) => boolean;
  /** Where this node answers at healthCheckNodePorts, if it does so at load balancer IPs, too. */
  readonly healthAddress: (family: Family) => Ip | undefined;
  /** Undefined while it is not known. */
  readonly ownNode: () => OwnNode | undefined;
};

/** The frontends of one Service. */
export function* frontendsFor(service: ServiceRow | undefined, options: FrontendOptions): Iterable<readonly [FrontendKey, Frontend]> {
  if (!service || !isServedOn(service, options.ownNode())) return;
  const { external } = service;
  for (const item of service.ports)
    for (const { address, port, type } of placesOf(service, item)) {
      const { protocol } = item;
      const family = familyOf(address);
      const inside = type !== 'ExternalIPs' || options.trustExternalIps || options.isOwnAddress(address);
      const outside = type !== 'ClusterIP' || options.externalClusterIp;
      const frontend: Frontend = {
        address,
        port,
        protocol,
        type,
        service: service.name,
        set: inside ? setKey(service, item, family, service.internalLocal) : undefined,
        outside: outside ? setKey(service, item, family, external?.local === true) : undefined,
        affinity: service.affinity,
        choice: outside ? choiceFor(external?.balance, options.balance) : 'random',
        dsr: outside && service.nodes === undefined && isDirect(external?.mode ?? options.mode, protocol),
        ...(outside && external?.delegate === true && { delegate: true as const }),
        sourceRanges:
          type === 'LoadBalancer' || (options.rangesOfAllTypes && type !== 'ClusterIP') ? external?.sourceRanges?.policy : undefined,
      };
      yield [frontendKey(frontend), frontend];
    }
  yield* healthFrontends(service, options);
}

/** Its healthCheckNodePort at its load balancer IPs, unless it serves that port itself: whoever asks there asks this node. */
function* healthFrontends(service: ServiceRow, { healthAddress }: FrontendOptions): Iterable<readonly [FrontendKey, Frontend]> {
  const health = healthPort(service);
  if (!health || service.ports.some(({ port, protocol }) => port === health.port && protocol === 'TCP')) return;
  for (const address of service.external?.ingressIps ?? []) {
    if (healthAddress(familyOf(address)) === undefined) continue;
    const set = setKey(service, health, familyOf(address), false);
    const sourceRanges = service.external?.sourceRanges?.policy;
    const common = { service: service.name, affinity: 0, choice: 'random', dsr: false, sourceRanges } as const;
    const frontend: Frontend = { address, port: health.port, protocol: 'TCP', type: 'LoadBalancer', set, outside: set, ...common };
    yield [frontendKey(frontend), frontend];
  }
}

/** As a port of the Service, with a name that no port has. */
function healthPort({ external }: ServiceRow): PortRow | undefined {
  if (external?.local !== true || external.healthCheckNodePort === 0) return undefined;
  return { name: ':health', protocol: 'TCP', port: external.healthCheckNodePort };
}

function isServedOn({ nodes }: ServiceRow, node: OwnNode | undefined): boolean {
  return nodes === undefined || (node !== undefined && selects(nodes, node.labels));
}

type Place = Pick<Frontend, 'address' | 'port' | 'type'>;

/** Where clients connect to reach one port of a Service. */
function* placesOf({ clusterIps, external, withoutClusterIp }: ServiceRow, { port, nodePort }: ServicePortRow): Iterable<Place> {
  if (withoutClusterIp === undefined) for (const address of clusterIps) yield { address, port, type: 'ClusterIP' };
  if (!external) return;
  for (const address of external.ingressIps) yield { address, port, type: 'LoadBalancer' };
  for (const address of external.externalIps) yield { address, port, type: 'ExternalIPs' };
  if (nodePort === 0) return;
  for (const family of new Set(clusterIps.map(familyOf))) yield { address: EVERY_ADDRESS[family], port: nodePort, type: 'NodePort' };
}

/** As the data plane spells every address of the node. */
export const EVERY_ADDRESS = { 4: ip('0.0.0.0'), 6: ip('::') } as const;

function isDirect(mode: FrontendOptions['mode'], protocol: Protocol): boolean {
  return mode === 'dsr' ? protocol !== 'SCTP' : mode === 'hybrid' && protocol === 'TCP';
}

export type SetOptions = FrontendOptions & {
  /** Name of this node. */
  readonly self: string;
  /** Backends are chosen by topology hints. */
  readonly topology?: boolean;
};

/** The backend sets of one Service, one for each port and family that it has an address of; also those with nobody in them. */
export function* backendSetsFor(
  service: ServiceRow | undefined,
  slices: Table<string, SliceRow>,
  { self, topology, ...options }: SetOptions,
): Iterable<readonly [SetKey, BackendSet]> {
  if (!service) return;
  const { name, affinity, external } = service;
  const used = frontendsBySet(frontendsFor(service, options));
  for (const family of [4, 6] as const) {
    const own = [...slices.by('service', name)].filter((slice) => slice.family === family);
    for (const port of service.ports)
      for (const local of [false, true]) {
        const key = setKey(service, port, family, local);
        const frontends = used.get(key);
        const choice: Choice = local ? { node: self } : { near: topology === true ? options.ownNode() : undefined };
        const prefixes = local === (external?.local === true) ? (external?.sourceRanges?.prefixes ?? []) : [];
        const sourceRanges = prefixes.filter((prefix) => familyOf(prefix.ip) === family);
        if (!frontends) continue;
        const common = { service: name, protocol: port.protocol, affinity, sourceRanges, ...frontends };
        yield [key, { ...common, ...backendsOf(own, port, choice) }];
      }
    const health = healthPort(service);
    const key = health && setKey(service, health, family, false);
    const [address, frontends] = [options.healthAddress(family), key === undefined ? undefined : used.get(key)];
    if (!health || key === undefined || !address || !frontends) continue;
    const sourceRanges = (external?.sourceRanges?.prefixes ?? []).filter((prefix) => familyOf(prefix.ip) === family);
    const backends = [{ address, port: health.port, protocol: 'TCP', state: 'active' }] as const;
    yield [key, { service: name, protocol: 'TCP', affinity: 0, sourceRanges, ...frontends, backends, draining: [] }];
  }
}

type Leading = { frontends: FrontendKey[]; maglev: boolean };

function frontendsBySet(frontends: ReturnType<typeof frontendsFor>): ReadonlyMap<SetKey, Readonly<Leading>> {
  const found = new Map<SetKey, Leading>();
  for (const [key, { set, outside, choice }] of frontends)
    for (const one of new Set([set, outside])) {
      if (one === undefined) continue;
      const leading = found.get(one) ?? { frontends: [], maglev: false };
      leading.frontends.push(key);
      leading.maglev ||= choice !== 'random';
      found.set(one, leading);
    }
  return found;
}

/** Two Services, or pods by their host ports, want one address and port: a Service has it before a pod, and the older before the younger. */
export function frontendConflict(key: FrontendKey, winner: string, loser: string): Problem {
  return problem({
    object: objectText(loser),
    reason: 'FrontendTaken',
    message: `${key} belongs to ${objectText(winner)} already`,
    advice: `Give one of the two another address or port`,
  });
}

/** Of a Service by its name, or a HostPortKey as it is. */
function objectText(name: string): string {
  return name.startsWith('Pod ') ? name : `Service ${name}`;
}

/** Ends the key of a set that has the backends of this node alone. */
export const LOCAL = '/local';

function setKey({ name }: ServiceRow, port: PortRow, family: Family, local: boolean): SetKey {
  return `${name}/${port.name}/${port.protocol}/IPv${family}${local ? LOCAL : ''}`;
}

type Found = { readonly endpoint: EndpointConditions; readonly hints: Hints; readonly backend: Backend };

/** Backends of this node alone; or those near it, as far as hints say so. */
type Choice = { readonly node: string } | { readonly near: OwnNode | undefined };

/**
 * Who is selected for new connections (Kubernetes KEP-1669 and KEP-1672): the ready ones; where there are none, those that terminate
 * but still serve. While others are selected these drain. Slices may repeat an endpoint; the choice is made over all slices of the set.
 */
function backendsOf(slices: readonly SliceRow[], { name, protocol }: PortRow, choice: Choice): Pick<BackendSet, 'backends' | 'draining'> {
  const found: Found[] = [];
  for (const slice of slices) {
    const target = slice.ports.find((candidate) => candidate.name === name && candidate.protocol === protocol);
    if (!target) continue;
    for (const endpoint of slice.endpoints)
      if ('near' in choice || endpoint.node === choice.node)
        found.push({ endpoint, hints: endpoint.hints, backend: { address: endpoint.address, port: target.port, protocol } });
  }
  const allReady = found.filter(({ endpoint }) => endpoint.ready);
  const ready = byKey('near' in choice ? nearest(allReady, choice.near) : allReady);
  const ending = byKey(found.filter(({ endpoint }) => !endpoint.ready && endpoint.serving && endpoint.terminating));
  if (ready.size === 0) return { backends: sorted(ending).map((backend) => ({ ...backend, state: 'terminating' })), draining: [] };
  for (const { backend } of allReady) ending.delete(frontendKey(backend));
  return { backends: sorted(ready).map((backend) => ({ ...backend, state: 'active' })), draining: sorted(ending) };
}

function byKey(found: readonly Found[]): Map<FrontendKey, Backend> {
  return new Map(found.map(({ backend }) => [frontendKey(backend), backend]));
}

function sorted(backends: ReadonlyMap<FrontendKey, Backend>): readonly Backend[] {
  return [...backends].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, backend]) => backend);
}
