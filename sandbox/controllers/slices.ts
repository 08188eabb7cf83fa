// SPDX-License-Identifier: Apache-2.0
// The EndpointSlices that a Service with a selector should have. Pure: rows in, rows out.
//
//   Service ports × pods behind the selector ─▶ one list of endpoints per family and set of resolved ports
//                                            ─▶ slices of at most 100 endpoints, `<service>-ipv4-0`, `-1`, ...
import { createHash } from 'node:crypto';
import type { Json } from '../api/json.ts';
import { isActive, isDeleting, isReady, ownedBy } from '../objects.ts';
import type { Container, Pod, Service, ServicePort } from '../objects.ts';

const MOST_ENDPOINTS = 100;
export const MANAGER = 'endpointslice-controller.k8s.io';

type SlicePort = { readonly name: string; readonly port: number; readonly protocol: string; readonly appProtocol?: string };

/** Desired slices in the order of their names. `pods` are those that the selector matches, in any order. */
export function slicesFor(service: Service, pods: readonly Pod[]): Json[] {
  const families = service.spec.ipFamilies ?? ['IPv4'];
  return families.flatMap((family) => slicesOfFamily(service, pods, family));
}

function slicesOfFamily(service: Service, pods: readonly Pod[], family: 'IPv4' | 'IPv6'): Json[] {
  const groups = new Map<string, { ports: readonly SlicePort[]; endpoints: Json[] }>();
  for (const pod of pods.toSorted((a, b) => a.metadata.name.localeCompare(b.metadata.name))) {
    const address = addressOf(pod, family);
    if (address === undefined || !isActive(pod)) continue;
    const ports = portsOf(service, pod);
    const key = JSON.stringify(ports);
    const group = groups.get(key) ?? { ports, endpoints: [] };
    group.endpoints.push(endpointOf(service, pod, address));
    groups.set(key, group);
  }
  if (groups.size === 0) groups.set('', { ports: [], endpoints: [] }); // says that nobody is there
  return [...groups].flatMap(([key, { ports, endpoints }]) => {
    const suffix = groups.size === 1 ? '' : `-${createHash('sha256').update(key).digest('hex').slice(0, 5)}`;
    return chunksOf(endpoints).map((chunk, index) =>
      sliceOf(service, `${service.metadata.name}-${family.toLowerCase()}${suffix}-${index}`, { family, ports, endpoints: chunk }),
    );
  });
}

function chunksOf(endpoints: readonly Json[]): Json[][] {
  const chunks: Json[][] = [[]];
  for (const endpoint of endpoints) {
    if (chunks.at(-1)?.length === MOST_ENDPOINTS) chunks.push([]);
    chunks.at(-1)?.push(endpoint);
  }
  return chunks;
}

type SliceContent = { readonly family: string; readonly ports: readonly SlicePort[]; readonly endpoints: readonly Json[] };

function sliceOf(service: Service, name: string, { family, ports, endpoints }: SliceContent): Json {
  const headless = service.spec.clusterIP === 'None' ? { 'service.kubernetes.io/headless': '' } : {};
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name,
      namespace: service.metadata.namespace,
      labels: {
        ...service.metadata.labels,
        ...headless,
        'kubernetes.io/service-name': service.metadata.name,
        'endpointslice.kubernetes.io/managed-by': MANAGER,
      },
      ownerReferences: [ownedBy(service)],
    },
    addressType: family,
    endpoints,
    ports,
  };
}

function addressOf({ status }: Pod, family: 'IPv4' | 'IPv6'): string | undefined {
  const addresses = status?.podIPs?.map(({ ip }) => ip) ?? (status?.podIP ? [status.podIP] : []);
  return addresses.find((address) => address.includes(':') === (family === 'IPv6'));
}

function endpointOf(service: Service, pod: Pod, address: string): Json {
  const serving = isReady(pod);
  const terminating = isDeleting(pod);
  const ready = service.spec.publishNotReadyAddresses === true || (serving && !terminating);
  const { name, namespace, uid } = pod.metadata;
  const isNamed = pod.spec.hostname !== undefined && pod.spec.subdomain === service.metadata.name;
  return {
    addresses: [address],
    conditions: { ready, serving, terminating },
    nodeName: pod.spec.nodeName,
    targetRef: { kind: 'Pod', name, namespace, uid },
    ...(isNamed && { hostname: pod.spec.hostname }),
  };
}

/** The service's ports as this pod has them; a named port that the pod does not have is left out. */
function portsOf(service: Service, pod: Pod): SlicePort[] {
  return (service.spec.ports ?? []).flatMap((port) => {
    const number = targetOf(port, pod.spec.containers);
    const { name = '', protocol = 'TCP', appProtocol } = port;
    return number === undefined ? [] : [{ name, port: number, protocol, ...(appProtocol !== undefined && { appProtocol }) }];
  });
}

function targetOf({ port, targetPort, protocol = 'TCP' }: ServicePort, containers: readonly Container[]): number | undefined {
  if (typeof targetPort !== 'string') return targetPort || port;
  const ports = containers.flatMap((container) => container.ports ?? []);
  return ports.find((candidate) => candidate.name === targetPort && (candidate.protocol ?? 'TCP') === protocol)?.containerPort;
}
