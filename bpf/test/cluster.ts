// SPDX-License-Identifier: Apache-2.0
// The cluster that the packets of these tests travel in, as Kubernetes objects, and its addresses by family.
//
//   node1 (under test)                          node2                 the world
//   pod a ─ lxc-a ┐                             pod far
//   pod b ─ lxc-b ┴ eth0 ──────────────────────────┴──────── router ─── world

import type { CiliumLocalRedirectPolicy, EndpointSlice, Node, Pod, Service } from '../../src/kube/types.ts';

export const families = [4, 6] as const;

export const at = {
  4: {
    podA: '10.244.1.5',
    podB: '10.244.1.6',
    node: '192.0.2.11',
    node2: '192.0.2.12',
    router: '192.0.2.1',
    far: '10.244.2.7',
    far2: '10.244.2.8',
    world: '203.0.113.80',
    other: '198.51.100.9',
    hairpin: '169.254.42.1',
    gateway: '169.254.1.1',
    cart: '10.96.0.10',
    remote: '10.96.0.11',
    self: '10.96.0.12',
    nobody: '10.96.0.13',
    many: '10.96.0.14',
    kubernetes: '10.96.0.1',
    outside: '10.96.0.15',
    sticky: '10.96.0.16',
    front: '10.96.0.17',
    away: '10.96.0.18',
    hosted: '10.96.0.19',
    near: '10.96.0.20',
    guarded: '10.96.0.21',
    barred: '10.96.0.22',
    local: '10.96.0.23',
    delegated: '10.96.0.24',
    signal: '10.96.0.25',
    metadata: '198.51.100.77',
    frontVip: '192.0.2.217',
    awayVip: '192.0.2.218',
    hostedVip: '192.0.2.219',
    nearVip: '192.0.2.220',
    guardedVip: '192.0.2.221',
    barredVip: '192.0.2.222',
    delegatedVip: '192.0.2.223',
    signalVip: '192.0.2.224',
  },
  6: {
    podA: 'fd00:244:1::5',
    podB: 'fd00:244:1::6',
    node: '2001:db8:1::11',
    node2: '2001:db8:1::12',
    router: '2001:db8:1::1',
    far: 'fd00:244:2::7',
    far2: 'fd00:244:2::8',
    world: '2001:db8:ffff::80',
    other: '2001:db8:eeee::9',
    hairpin: '100::a9fe:2a01',
    gateway: 'fe80::1',
    cart: 'fd00:10:96::10',
    remote: 'fd00:10:96::11',
    self: 'fd00:10:96::12',
    nobody: 'fd00:10:96::13',
    many: 'fd00:10:96::14',
    kubernetes: 'fd00:10:96::1',
    outside: 'fd00:10:96::15',
    sticky: 'fd00:10:96::16',
    front: 'fd00:10:96::17',
    away: 'fd00:10:96::18',
    hosted: 'fd00:10:96::19',
    near: 'fd00:10:96::20',
    guarded: 'fd00:10:96::21',
    barred: 'fd00:10:96::22',
    local: 'fd00:10:96::23',
    delegated: 'fd00:10:96::24',
    signal: 'fd00:10:96::25',
    metadata: '2001:db8:eeee::77',
    frontVip: '2001:db8:1::217',
    awayVip: '2001:db8:1::218',
    hostedVip: '2001:db8:1::219',
    nearVip: '2001:db8:1::220',
    guardedVip: '2001:db8:1::221',
    barredVip: '2001:db8:1::222',
    delegatedVip: '2001:db8:1::223',
    signalVip: '2001:db8:1::224',
  },
} as const;

type Name = keyof (typeof at)[4];

export const nodes: readonly Node[] = [
  { metadata: { name: 'node1' }, spec: { podCIDRs: ['10.244.1.0/24', 'fd00:244:1::/64'] }, status: { addresses: addressesOf('node') } },
  { metadata: { name: 'node2' }, spec: { podCIDRs: ['10.244.2.0/24', 'fd00:244:2::/64'] }, status: { addresses: addressesOf('node2') } },
];

function addressesOf(name: Name): { readonly type: string; readonly address: string }[] {
  return families.map((family) => ({ type: 'InternalIP', address: at[family][name] }));
}

/** Every service but `signal` has http 80 → 8080/TCP and dns 53 → 5353/UDP. */
const ports = [
  { name: 'http', protocol: 'TCP', port: 80, targetPort: 8080 },
  { name: 'dns', protocol: 'UDP', port: 53, targetPort: 5353 },
];

/** Of `signal` alone. */
const signalPorts = [{ name: 'ngap', protocol: 'SCTP', port: 38_412, targetPort: 9_000 }];

/** Names of the services by who serves them. */
export const backendsOf = {
  cart: ['podB'],
  remote: ['far'],
  self: ['podA'],
  nobody: [],
  many: ['far', 'far2'],
  kubernetes: ['node'],
  outside: ['world'],
  sticky: [],
  front: ['podB'],
  away: ['far'],
  hosted: ['node'],
  near: ['far', 'podB'],
  guarded: ['podB'],
  barred: ['podB'],
  local: ['far'],
  delegated: ['node'],
  signal: ['podB'],
} as const satisfies Partial<Record<Name, readonly Name[]>>;
export type ServiceName = keyof typeof backendsOf;

/**
 * Services of type LoadBalancer, with the first of their two node ports. `near` is for backends of the node that is asked; `guarded` lets
 * in whom SOURCE_RANGES names, `barred` all others; `delegated` has a proxy on node1.
 */
export const nodePortOf: Partial<Readonly<Record<ServiceName, number>>> = {
  front: 30_080,
  away: 30_082,
  hosted: 30_084,
  near: 30_086,
  guarded: 30_088,
  barred: 30_090,
  delegated: 30_092,
  signal: 30_094,
};

const annotationsOf: Partial<Readonly<Record<ServiceName, Record<string, string>>>> = {
  barred: { 'service.cilium.io/src-ranges-policy': 'deny' },
  delegated: { 'service.cilium.io/proxy-delegation': 'delegate-if-local' },
};

/** `world` is in them, `other` is not. */
const SOURCE_RANGES = ['203.0.113.0/24', '2001:db8:ffff::/48'];

/** Seconds for which a client of `sticky` keeps its backend. */
export const AFFINITY = 100;

export function serviceObject(name: ServiceName): Service {
  const clusterIPs = families.map((family) => at[family][name]);
  const affinity = { sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds: AFFINITY } } };
  const metadata = { name, namespace: 'shop' };
  const first = nodePortOf[name];
  if (first === undefined) return { metadata, spec: { type: 'ClusterIP', clusterIPs, ports, ...(name === 'sticky' && affinity) } };
  const externalTrafficPolicy = name === 'near' ? 'Local' : 'Cluster';
  const onNodes = (name === 'signal' ? signalPorts : ports).map((port, i) => ({ ...port, nodePort: first + i }));
  const ingress = families.map((family) => ({ ip: vipOf(name, family) }));
  const ranged = name === 'guarded' || name === 'barred';
  return {
    metadata: { ...metadata, annotations: annotationsOf[name] ?? {} },
    spec: {
      type: 'LoadBalancer',
      clusterIPs,
      externalTrafficPolicy,
      ports: onNodes,
      ...(ranged && { loadBalancerSourceRanges: SOURCE_RANGES }),
    },
    status: { loadBalancer: { ingress } },
  };
}

/** The address that the wire knows a service of type LoadBalancer by. */
export function vipOf(name: ServiceName, family: 4 | 6): string {
  const vip = Object.entries(at[family]).find(([key]) => key === `${name}Vip`)?.[1];
  if (vip === undefined) throw new RangeError(`Cannot find a VIP of ${name}`);
  return vip;
}

/** `draining`: those that terminate and still serve. */
export type Serving = { readonly ready: readonly Name[]; readonly draining?: readonly Name[] };

export function sliceObject(
  name: ServiceName,
  family: 4 | 6,
  { ready, draining = [] }: Serving = { ready: backendsOf[name] },
): EndpointSlice {
  const endpoint = (backend: Name, isReady: boolean) => ({
    addresses: [at[family][backend]],
    nodeName: backend.startsWith('far') ? 'node2' : 'node1',
    conditions: { ready: isReady, serving: true, terminating: !isReady },
  });
  return {
    metadata: { name: `${name}-ipv${family}`, namespace: 'shop', labels: { 'kubernetes.io/service-name': name } },
    addressType: `IPv${family}`,
    endpoints: [...ready.map((backend) => endpoint(backend, true)), ...draining.map((backend) => endpoint(backend, false))],
    ports: (name === 'signal' ? signalPorts : ports).map(({ targetPort, ...port }) => ({ ...port, port: targetPort })),
  };
}

/** What is redirected to podB, but for itself: all of `local`, and port 80/TCP of `metadata`. */
export function redirectObjects(): readonly CiliumLocalRedirectPolicy[] {
  const http = { name: 'http', port: '8080', protocol: 'TCP' };
  const dns = { name: 'dns', port: '5353', protocol: 'UDP' };
  const policy = (name: string, redirectFrontend: object, toPorts: readonly object[]): CiliumLocalRedirectPolicy => ({
    metadata: { name, namespace: 'shop' },
    spec: {
      redirectFrontend,
      redirectBackend: { localEndpointSelector: { matchLabels: { app: 'podB' } }, toPorts },
      skipRedirectFromBackend: true,
    },
  });
  return [
    policy('local', { serviceMatcher: { serviceName: 'local', namespace: 'shop' } }, [http, dns]),
    ...families.map((family) =>
      policy(`metadata-${family}`, { addressMatcher: { ip: at[family].metadata, toPorts: [{ port: '80', protocol: 'TCP' }] } }, [http]),
    ),
  ];
}

/** podB, as the API describes it. */
export function localPodObject(state: 'ready' | 'not ready' | 'ending' = 'ready'): Pod {
  return {
    metadata: {
      name: 'podB',
      namespace: 'shop',
      labels: { app: 'podB' },
      ...(state === 'ending' && { deletionTimestamp: '2030-01-01T00:00:00Z' }),
    },
    spec: {
      containers: [
        {
          name: 'app',
          ports: [
            { containerPort: 8080, protocol: 'TCP' },
            { containerPort: 5353, protocol: 'UDP' },
          ],
        },
      ],
    },
    status: {
      phase: 'Running',
      podIPs: families.map((family) => ({ ip: at[family].podB })),
      conditions: [{ type: 'Ready', status: state === 'ready' ? 'True' : 'False' }],
    },
  };
}
