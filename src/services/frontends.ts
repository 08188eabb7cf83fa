// SPDX-License-Identifier: Apache-2.0
// From Services and EndpointSlices to frontends (where clients connect) and backend sets (who serves them).
//
//   Service shop/cart ──┬── frontend 10.96.4.7:80/TCP ─────────┐
//                       └── frontend [fd00:10:96::7]:80/TCP ─┐ │
//   its EndpointSlices ─┬── set shop/cart/http/TCP/IPv4 ◀────┼─┘
//                       └── set shop/cart/http/TCP/IPv6 ◀────┘
//
// All frontends of one service port and family share one set. With internalTrafficPolicy: Local it is another one, which has only the
// backends of this node.

import { addressPort, familyOf } from '../base/ip.ts';
import type { Family, Ip } from '../base/ip.ts';
import { problem } from '../base/problem.ts';
import type { Problem } from '../base/problem.ts';
import type { Table } from '../base/table.ts';
import type { Protocol } from '../datapath/protocols.ts';
import type { EndpointConditions, PortRow, ServiceRow, SliceRow } from './service.ts';

/** 'address:port/PROTO', IPv6 in brackets. */
export type FrontendKey = string;
/** 'namespace/name/port name/PROTO/IPv4', with '/local' behind it for the backends of this node. */
export type SetKey = string;

export type Frontend = {
  readonly address: Ip;
  readonly port: number;
  readonly protocol: Protocol;
  readonly type: 'ClusterIP';
  readonly service: string;
  readonly set: SetKey;
  /** Seconds for which a client keeps its backend; 0: it does not. */
  readonly affinity: number;
};

export type Backend = { readonly address: Ip; readonly port: number; readonly protocol: Protocol };

export type BackendState = 'active' | 'terminating';

export type BackendSet = {
  readonly service: string;
  readonly protocol: Protocol;
  /** As its frontends have it. */
  readonly affinity: number;
  /** The frontends that lead to it. */
  readonly frontends: readonly FrontendKey[];
  /** Sorted, without duplicates: all are selected for new connections. */
  readonly backends: readonly (Backend & { readonly state: BackendState })[];
  /** Those that finish what they have begun, and are selected for nothing new. Sorted, without duplicates. */
  readonly draining: readonly Backend[];
};

export function frontendKey({ address, port, protocol }: Pick<Frontend, 'address' | 'port' | 'protocol'>): FrontendKey {
  return `${addressPort(address, port)}/${protocol}`;
}

/** The frontends of one Service. */
export function* frontendsFor(service: ServiceRow | undefined): Iterable<readonly [FrontendKey, Frontend]> {
  if (!service) return;
  const { name, affinity, clusterIps, ports } = service;
  for (const item of ports) {
    for (const address of clusterIps) {
      const { port, protocol } = item;
      const set = setKey(service, item, familyOf(address));
      yield [frontendKey({ address, port, protocol }), { address, port, protocol, type: 'ClusterIP', service: name, set, affinity }];
    }
  }
}

/**
 * The backend sets of one Service, one for each port and family that it has an address of; also those with nobody in them. `self`: name of
 * this node.
 */
export function* backendSetsFor(
  service: ServiceRow | undefined,
  slices: Table<string, SliceRow>,
  self: string,
): Iterable<readonly [SetKey, BackendSet]> {
  if (!service) return;
  const { name, affinity, clusterIps } = service;
  const isUsable = (endpoint: EndpointConditions) => !service.internalLocal || endpoint.node === self;
  const families = new Set(clusterIps.map(familyOf));
  for (const family of families) {
    const own = [...slices.by('service', name)].filter((slice) => slice.family === family);
    const addresses = clusterIps.filter((address) => familyOf(address) === family);
    for (const port of service.ports) {
      const { protocol } = port;
      const frontends = addresses.map((address) => frontendKey({ address, port: port.port, protocol }));
      yield [setKey(service, port, family), { service: name, protocol, affinity, frontends, ...backendsOf(own, port, isUsable) }];
    }
  }
}

/** Two Services want one address and port. */
export function frontendConflict(key: FrontendKey, winner: string, loser: string): Problem {
  return problem({
    object: `Service ${loser}`,
    reason: 'FrontendTaken',
    message: `${key} belongs to Service ${winner} already`,
    advice: `Give one of the two another address or port`,
  });
}

function setKey({ name, internalLocal }: ServiceRow, port: PortRow, family: Family): SetKey {
  return `${name}/${port.name}/${port.protocol}/IPv${family}${internalLocal ? '/local' : ''}`;
}

/**
 * Who is selected for new connections (Kubernetes KEP-1669 and KEP-1672): the ready ones; where there are none, those that terminate
 * but still serve. While others are selected these drain. Slices may repeat an endpoint; the choice is made over all slices of the set.
 */
function backendsOf(
  slices: readonly SliceRow[],
  { name, protocol }: PortRow,
  isUsable: (endpoint: EndpointConditions) => boolean,
): Pick<BackendSet, 'backends' | 'draining'> {
  const ready = new Map<FrontendKey, Backend>();
  const ending = new Map<FrontendKey, Backend>();
  for (const slice of slices) {
    const target = slice.ports.find((candidate) => candidate.name === name && candidate.protocol === protocol);
    if (!target) continue;
    for (const endpoint of slice.endpoints) {
      const backend = { address: endpoint.address, port: target.port, protocol };
      if (!isUsable(endpoint)) continue;
      if (endpoint.ready) ready.set(frontendKey(backend), backend);
      else if (endpoint.serving && endpoint.terminating) ending.set(frontendKey(backend), backend);
    }
  }
  if (ready.size === 0) return { backends: sorted(ending).map((backend) => ({ ...backend, state: 'terminating' })), draining: [] };
  for (const key of ready.keys()) ending.delete(key);
  return { backends: sorted(ready).map((backend) => ({ ...backend, state: 'active' })), draining: sorted(ending) };
}

function sorted(backends: ReadonlyMap<FrontendKey, Backend>): readonly Backend[] {
  return [...backends].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, backend]) => backend);
}
