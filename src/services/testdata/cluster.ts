// SPDX-License-Identifier: Apache-2.0
// The tables of services behind sources that are fed by hand, and short words for the objects that they are fed with.

import { engine } from '../../base/commit.ts';
import { systemClock } from '../../base/clock.ts';
import { ip } from '../../base/ip.ts';
import { problemBook } from '../../base/problem.ts';
import { table } from '../../base/table.ts';
import { sink } from '../../kube/source.ts';
import type { EndpointSlice, Pod, Service } from '../../kube/types.ts';
import type { NodeAddress } from '../../nodes/node-ports.ts';
import { servicesBefore } from '../before.ts';
import type { ServicesBefore } from '../before.ts';
import { hostPortRows } from '../host-ports.ts';
import { serviceRows, sliceRows } from '../service.ts';
import { serviceTables } from '../tables.ts';
import { ownNodeRows } from '../topology.ts';
import { usualOptions } from './options.ts';

/** The tables behind sources that are fed by hand. */
export function cluster(
  before: ServicesBefore = servicesBefore({ services: [], slots: [], backends: [] }),
  options: Partial<Omit<Parameters<typeof serviceTables>[0], 'before' | 'problems' | 'nodeAddresses'>> = {},
) {
  const problems = problemBook();
  const nodeAddresses = table<string, NodeAddress>('node_addresses');
  const addresses = nodeAddresses.writer('test');
  addresses.put('192.168.0.11', { address: ip('192.168.0.11') });
  addresses.complete();
  const tables = serviceTables({ ...usualOptions, answersHealthChecks: true, ...options, self: 'node1', before, problems, nodeAddresses });
  const services = sink<Service, string, never>(tables.services.writer('test') as never, (one) => serviceRows(one, '') as never, problems); // the sink only carries rows
  const slices = sink<EndpointSlice, string, never>(tables.slices.writer('test') as never, (one) => sliceRows(one) as never, problems); // the same
  const pods = sink<Pod, string, never>(tables.hostPorts.writer('test') as never, (one) => hostPortRows(one) as never, problems); // the same
  const ownNode = tables.ownNode.writer('test');
  const machine = engine({ derivations: tables.derivations, walks: [], clock: systemClock });
  const key = (kind: string, { metadata }: { metadata: { namespace?: string; name: string } }) =>
    `${kind} ${metadata.namespace}/${metadata.name}`;
  return {
    ...tables,
    problems: problems.table,
    put: (service: Service) => services.read(service)(key('Service', service)),
    putSlice: (slice: EndpointSlice) => slices.read(slice)(key('EndpointSlice', slice)),
    putPod: (pod: Pod) => pods.read(pod)(key('Pod', pod)),
    forgetPod: (pod: Pod) => pods.forget(key('Pod', pod)),
    addresses,
    ownNode,
    putNode: (labels: Readonly<Record<string, string>>) => {
      for (const row of ownNodeRows({ metadata: { name: 'node1', labels } }, 'node1')) ownNode.put(...row);
    },
    forget: (service: Service) => services.forget(key('Service', service)),
    synced() {
      services.complete();
      slices.complete();
      pods.complete();
      ownNode.complete();
      return machine.settled();
    },
    settled: () => machine.settled(),
  };
}

export function service(name: string, spec: Service['spec'] & object): Service {
  return { metadata: { namespace: 'shop', name }, spec };
}

export type Endpoint = NonNullable<EndpointSlice['endpoints']>[number];

export function slice(name: string, of: string, addresses: readonly string[], conditions?: Endpoint['conditions']): EndpointSlice {
  return {
    metadata: { namespace: 'shop', name, labels: { 'kubernetes.io/service-name': of } },
    addressType: addresses[0]?.includes(':') ? 'IPv6' : 'IPv4',
    ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
    endpoints: addresses.map((address) => ({ addresses: [address], ...(conditions && { conditions }) })),
  };
}

export const cart = service('cart', { clusterIPs: ['10.96.4.7', 'fd00:10:96::7'], ports: [{ name: 'http', port: 80, protocol: 'TCP' }] });

export function withCart(...slices: readonly EndpointSlice[]) {
  const found = cluster();
  found.put(cart);
  for (const one of slices) found.putSlice(one);
  return found.synced().then(() => found);
}

export const values = <K, V>(rows: { entries(): Iterable<readonly [string, { key: K; value: V }]> }) =>
  Object.fromEntries(Array.from(rows.entries(), ([key, entry]) => [key, entry.value]));
