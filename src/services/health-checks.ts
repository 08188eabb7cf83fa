// SPDX-License-Identifier: Apache-2.0
// Where balancers outside ask whether this node has somebody for a Service with externalTrafficPolicy: Local, and what they hear.

import { derive, from } from '../base/derive.ts';
import type { Derivation } from '../base/derive.ts';
import { addressPort, familyOf } from '../base/ip.ts';
import type { Ip } from '../base/ip.ts';
import type { Table } from '../base/table.ts';
import type { NodeAddress } from '../nodes/node-ports.ts';
import type { ServiceRow, SliceRow } from './service.ts';

/** Key: address:port. */
export type HealthCheck = {
  readonly address: Ip;
  readonly port: number;
  readonly service: string;
  /** Ready endpoints of this node, in the family of the address. */
  readonly endpoints: number;
};

type HealthCheckContext = {
  /** Name of this node. */
  readonly self: string;
  readonly slices: Table<string, SliceRow>;
  readonly nodeAddresses: Table<string, NodeAddress>;
};

/** Those of one Service: at each address that has node ports, of the families that the Service has. */
function* healthChecksFor(
  service: ServiceRow | undefined,
  { self, slices, nodeAddresses }: HealthCheckContext,
): Iterable<readonly [string, HealthCheck]> {
  const port = service?.external?.local === true ? service.external.healthCheckNodePort : 0;
  if (!service || port === 0) return;
  const ready = new Set<Ip>();
  for (const slice of slices.by('service', service.name))
    for (const endpoint of slice.endpoints) if (endpoint.ready && endpoint.node === self) ready.add(endpoint.address);
  const families = new Set(service.clusterIps.map(familyOf));
  for (const [, { address }] of nodeAddresses.entries()) {
    if (!families.has(familyOf(address))) continue;
    const endpoints = [...ready].filter((one) => familyOf(one) === familyOf(address)).length;
    yield [addressPort(address, port), { address, port, service: service.name, endpoints }];
  }
}

/** Keeps `out` so; empty unless `answers`. */
export function healthCheckDerivation(
  out: Table<string, HealthCheck>,
  answers: boolean,
  { services, ...context }: HealthCheckContext & { readonly services: Table<string, ServiceRow> },
): Derivation {
  const { slices, nodeAddresses } = context;
  const ofSlices = (_key: string, now: SliceRow | undefined, then: SliceRow | undefined) =>
    [now?.service, then?.service].filter((name) => name !== undefined);
  const checked = () => Array.from(services.by('checked', 'checked'), ({ name }) => name);
  return derive({
    name: 'health_checks',
    inputs: [from(services), from(slices, ofSlices), from<string, string, NodeAddress>(nodeAddresses, checked)],
    out: out.writer('health_checks'),
    compute: (name) => (answers ? healthChecksFor(services.get(name), context) : []),
  });
}
