// SPDX-License-Identifier: Apache-2.0
// The kinds that we read and write, and where the API has them.

export type Resource = {
  readonly kind: string;
  readonly apiVersion: string;
  readonly plural: string;
  readonly namespaced: boolean;
};

export const resources = {
  nodes: { kind: 'Node', apiVersion: 'v1', plural: 'nodes', namespaced: false },
  configMaps: { kind: 'ConfigMap', apiVersion: 'v1', plural: 'configmaps', namespaced: true },
  secrets: { kind: 'Secret', apiVersion: 'v1', plural: 'secrets', namespaced: true },
  namespaces: { kind: 'Namespace', apiVersion: 'v1', plural: 'namespaces', namespaced: false },
  pods: { kind: 'Pod', apiVersion: 'v1', plural: 'pods', namespaced: true },
  services: { kind: 'Service', apiVersion: 'v1', plural: 'services', namespaced: true },
  endpointSlices: { kind: 'EndpointSlice', apiVersion: 'discovery.k8s.io/v1', plural: 'endpointslices', namespaced: true },
  ciliumIdentities: { kind: 'CiliumIdentity', apiVersion: 'cilium.io/v2', plural: 'ciliumidentities', namespaced: false },
  ciliumEndpoints: { kind: 'CiliumEndpoint', apiVersion: 'cilium.io/v2', plural: 'ciliumendpoints', namespaced: true },
  ciliumNodes: { kind: 'CiliumNode', apiVersion: 'cilium.io/v2', plural: 'ciliumnodes', namespaced: false },
  l2Policies: {
    kind: 'CiliumL2AnnouncementPolicy',
    apiVersion: 'cilium.io/v2alpha1',
    plural: 'ciliuml2announcementpolicies',
    namespaced: false,
  },
  lbPools: { kind: 'CiliumLoadBalancerIPPool', apiVersion: 'cilium.io/v2', plural: 'ciliumloadbalancerippools', namespaced: false },
  localRedirectPolicies: {
    kind: 'CiliumLocalRedirectPolicy',
    apiVersion: 'cilium.io/v2',
    plural: 'ciliumlocalredirectpolicies',
    namespaced: true,
  },
  leases: { kind: 'Lease', apiVersion: 'coordination.k8s.io/v1', plural: 'leases', namespaced: true },
  events: { kind: 'Event', apiVersion: 'events.k8s.io/v1', plural: 'events', namespaced: true },
} as const satisfies Readonly<Record<string, Resource>>;

/** The path of all objects of a kind, in one namespace if that is given. */
export function pathOf({ apiVersion, plural }: Resource, namespace?: string): string {
  const group = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  return namespace === undefined ? `${group}/${plural}` : `${group}/namespaces/${encodeURIComponent(namespace)}/${plural}`;
}

/** The path of one object. `namespace` is left out for objects that have none. */
export function pathOfObject(resource: Resource, name: string, namespace?: string): string {
  return `${pathOf(resource, namespace)}/${encodeURIComponent(name)}`;
}
