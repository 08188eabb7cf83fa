// SPDX-License-Identifier: Apache-2.0
// Services that nobody uses: what a large cluster has in its API.
import type { Store } from '../sandbox/api/store.ts';

export type ManyService = {
  readonly name: string;
  readonly ip: string;
  readonly port: number;
  readonly endpoints: readonly { readonly ip: string; readonly port: number }[];
  readonly nodePort: number;
};

const NAMESPACE = 'many';
const FIRST_NODE_PORT = 20_000;
const SLICES = 'endpointslices.discovery.k8s.io';

/** The numbered services from `first` up to `last`; no address is twice among a million. */
export function manyServices(first: number, last: number, endpoints: number): readonly ManyService[] {
  const address = (net: number, number: number) => `10.${net + (number >> 16)}.${(number >> 8) & 255}.${number & 255}`;
  return Array.from({ length: last - first }, (_, index) => {
    const number = first + index + 1;
    const backends = Array.from({ length: endpoints }, (_each, slot) => ({ ip: address(200, number * endpoints + slot), port: 8080 }));
    return { name: `s${number}`, ip: address(100, number), port: 80, endpoints: backends, nodePort: FIRST_NODE_PORT + number };
  });
}

/** Puts them into the API of a sandbox, as a controller would have; `type`: who has a node port. */
export function createMany(store: Store, services: readonly ManyService[], type: 'ClusterIP' | 'NodePort' = 'ClusterIP'): void {
  if (store.get('namespaces', { name: NAMESPACE }) === undefined) store.create('namespaces', { metadata: { name: NAMESPACE } });
  for (const { name, ip, port, endpoints, nodePort } of services) {
    const target = endpoints[0]?.port;
    store.create('services', {
      metadata: { name, namespace: NAMESPACE },
      spec: { type, clusterIP: ip, ports: [{ name: 'http', port, targetPort: target, ...(type === 'NodePort' && { nodePort }) }] },
    });
    store.create(SLICES, {
      metadata: { name, namespace: NAMESPACE, labels: { 'kubernetes.io/service-name': name } },
      addressType: 'IPv4',
      endpoints: endpoints.map((endpoint) => ({ addresses: [endpoint.ip], conditions: { ready: true }, nodeName: 'node2' })),
      ports: [{ name: 'http', port: target, protocol: 'TCP' }],
    });
  }
}

/** Makes the first endpoint of a service ready, or not. */
export function setReady(store: Store, name: string, ready: boolean): void {
  const key = { namespace: NAMESPACE, name };
  const endpoints: readonly object[] = store.get(SLICES, key)?.['endpoints'];
  store.patch(SLICES, key, {
    endpoints: endpoints.map((endpoint, index) => (index === 0 ? { ...endpoint, conditions: { ready } } : endpoint)),
  });
}
