// SPDX-License-Identifier: Apache-2.0
// From Services and EndpointSlices to frontends (where clients connect) and backend sets (who serves them).
//
//   Service shop/cart ──┬── frontend 10.96.4.7:80/TCP ─────────┐
//                       └── frontend [fd00:10:96::7]:80/TCP ─┐ │
//   its EndpointSlices ─┬── set shop/cart/http/TCP/IPv4 ◀────┼─┘
//                       └── set shop/cart/http/TCP/IPv6 ◀────┘
//
// All frontends of one service port and family share one set.

import { addressPort, familyOf } from '../base/ip.ts';
import type { Family, Ip } from '../base/ip.ts';
import { problem } from '../base/problem.ts';
import type { Problem } from '../base/problem.ts';
import type { Table } from '../base/table.ts';
import type { Protocol } from '../datapath/protocols.ts';
import type { EndpointConditions, PortRow, ServiceRow, SliceRow } from './service.ts';

/** 'address:port/PROTO', IPv6 in brackets. */
export type FrontendKey = string;
/** 'namespace/name/port name/PROTO/IPv4'. */
export type SetKey = string;

export type Frontend = {
  readonly address: Ip;
  readonly port: number;
  readonly protocol: Protocol;
  readonly type: 'ClusterIP';
  readonly service: string;
  readonly set: SetKey;
};

export type Backend = { readonly address: Ip; readonly port: number; readonly protocol: Protocol };

export type BackendState = 'active' | 'terminating';

export type BackendSet = {
  readonly service: string;
  /** The frontends that lead to it. */
  readonly frontends: readonly FrontendKey[];
  /** Sorted, without duplicates: all are selected for new connections. */
  readonly backends: readonly (Backend & { readonly state: BackendState })[];
};

export function frontendKey({ address, port, protocol }: Pick<Frontend, 'address' | 'port' | 'protocol'>): FrontendKey {
  return `${addressPort(address, port)}/${protocol}`;
}

/** The frontends of one Service. */
export function* frontendsFor(service: ServiceRow | undefined): Iterable<readonly [FrontendKey, Frontend]> {
  for (const port of service?.ports ?? []) {
    for (const address of service?.clusterIps ?? []) {
      const { protocol } = port;
      const set = setKey(service?.name ?? '', port, familyOf(address));
      yield [
        frontendKey({ address, port: port.port, protocol }),
        { address, port: port.port, protocol, type: 'ClusterIP', service: service?.name ?? '', set },
      ];
    }
  }
}

/** The backend sets of one Service, one for each port and family that it has an address of; also those with nobody in them. */
export function* backendSetsFor(service: ServiceRow | undefined, slices: Table<string, SliceRow>): Iterable<readonly [SetKey, BackendSet]> {
  if (!service) return;
  const families = new Set(service.clusterIps.map(familyOf));
  for (const family of families) {
    const own = [...slices.by('service', service.name)].filter((slice) => slice.family === family);
    const addresses = service.clusterIps.filter((address) => familyOf(address) === family);
    for (const port of service.ports) {
      const frontends = addresses.map((address) => frontendKey({ address, port: port.port, protocol: port.protocol }));
      yield [setKey(service.name, port, family), { service: service.name, frontends, backends: backendsOf(own, port) }];
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

function setKey(service: string, port: PortRow, family: Family): SetKey {
  return `${service}/${port.name}/${port.protocol}/IPv${family}`;
}

/** Slices may repeat an endpoint; usable ones are chosen over all slices of the set. */
function backendsOf(slices: readonly SliceRow[], port: PortRow): BackendSet['backends'] {
  const found = new Map<EndpointConditions, number>();
  for (const slice of slices) {
    const target = slice.ports.find((candidate) => candidate.name === port.name && candidate.protocol === port.protocol);
    if (target) for (const endpoint of slice.endpoints) found.set(endpoint, target.port);
  }
  const backends = new Map<FrontendKey, BackendSet['backends'][number]>();
  for (const endpoint of usableEndpoints([...found.keys()])) {
    const backend = {
      address: endpoint.address,
      port: found.get(endpoint) ?? 0,
      protocol: port.protocol,
      state: endpoint.ready ? 'active' : 'terminating',
    } as const;
    backends.set(frontendKey(backend), backend);
  }
  return [...backends].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, backend]) => backend);
}

/**
 * Who is selected for new connections (Kubernetes KEP-1669 and KEP-1672): the ready ones; where there are none, those that terminate
 * but still serve.
 */
function usableEndpoints(endpoints: readonly EndpointConditions[]): readonly EndpointConditions[] {
  const ready = endpoints.filter((endpoint) => endpoint.ready);
  return ready.length > 0 ? ready : endpoints.filter((endpoint) => endpoint.serving && endpoint.terminating);
}
