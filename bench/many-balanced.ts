// SPDX-License-Identifier: Apache-2.0
// Services of type LoadBalancer that nobody uses, of both families, as objects.
import type { EndpointSlice, Service } from '../src/kube/types.ts';

const BACKENDS = 3;
const PORT = { name: 'http', protocol: 'TCP', port: 80, targetPort: 8080 };

const hex = (number: number): string => number.toString(16);
const ipv4 = (net: number, number: number): string => `${net + (number >> 16)}.${(number >> 8) & 255}.${number & 255}`;
const addresses = (net: number, number: number): readonly [string, string] => [`10.${ipv4(net, number)}`, `fd00:${net}::${hex(number)}`];

/** Each with a ClusterIP, a load balancer IP and three backends, none of which is another's. */
export function manyBalanced(count: number): { readonly objects: readonly Service[]; readonly slices: readonly EndpointSlice[] } {
  const numbers = Array.from({ length: count }, (_, index) => index + 1);
  return { objects: numbers.map(service), slices: numbers.flatMap((number) => [slice(number, 0), slice(number, 1)]) };
}

const metadataOf = (number: number, suffix = '') => ({ name: `s${number}${suffix}`, namespace: 'many' });

const service = (number: number): Service => ({
  metadata: metadataOf(number),
  spec: { type: 'LoadBalancer', clusterIPs: addresses(100, number), externalTrafficPolicy: 'Cluster', ports: [PORT] },
  status: { loadBalancer: { ingress: addresses(110, number).map((ip) => ({ ip })) } },
});

const slice = (number: number, family: 0 | 1): EndpointSlice => ({
  metadata: { ...metadataOf(number, `-${family}`), labels: { 'kubernetes.io/service-name': `s${number}` } },
  addressType: family === 0 ? 'IPv4' : 'IPv6',
  endpoints: Array.from({ length: BACKENDS }, (_, slot) => ({
    addresses: [addresses(200, number * BACKENDS + slot)[family]],
    nodeName: 'node2',
    conditions: { ready: true, serving: true, terminating: false },
  })),
  ports: [{ name: 'http', protocol: 'TCP', port: 8080 }],
});
