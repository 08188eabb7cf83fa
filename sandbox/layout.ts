// SPDX-License-Identifier: Apache-2.0
// Names and addresses of the sandbox. Nothing here acts.
//
//        node1 .11       node2 .12       node3 .13      client .100
//            │               │               │               │
//   ─────────┴───────────────┴───────┬───────┴───────────────┴─────  192.168.0.0/24, fd00:192:168::/64
//                                    │
//                                router .1 ── 203.0.113.10, 2001:db8:113::10 ("the internet")
//
// Pods:     10.244.N.0/24 and fd00:10:244:N::/64 on node N; the router has no route to them.
// Services: 10.96.0.0/12 and fd00:10:96::/112.
import { join } from 'node:path';

/** One sandbox on this machine. Several may run at once under different names. */
export type Layout = {
  /** '' is the sandbox that `npm run sandbox` starts; others are named by STENTOR_SANDBOX. */
  readonly name: string;
  /** In front of the name of each network namespace. */
  readonly prefix: string;
  /** The directory of this repository. */
  readonly checkout: string;
  /** Everything that the sandbox writes to disk. */
  readonly stateDir: string;
};

/** A machine on the LAN. */
export type Host = {
  readonly name: string;
  readonly ipv4: string;
  readonly ipv6: string;
  readonly mac: string;
};

const hostAt = (name: string, lastPart: number): Host => ({
  name,
  ipv4: `192.168.0.${lastPart}`,
  ipv6: `fd00:192:168::${lastPart}`,
  mac: `02:00:c0:a8:00:${lastPart.toString(16).padStart(2, '0')}`,
});

export const NODES: readonly Host[] = [hostAt('node1', 11), hostAt('node2', 12), hostAt('node3', 13)];
export const ROUTER: Host = hostAt('router', 1);
export const CLIENT: Host = hostAt('client', 100);
/** The namespace in which the LAN's bridge lives. */
export const LAN = 'lan';

export const CLUSTER = {
  domain: 'cluster.local',
  podCidrs: ['10.244.0.0/16', 'fd00:10:244::/56'],
  serviceCidrs: ['10.96.0.0/12', 'fd00:10:96::/112'],
  kubernetesIps: ['10.96.0.1', 'fd00:10:96::1'],
  dnsIp: '10.96.0.10',
  /** Where each node finds the API: a proxy on every node, and the real port on node1. */
  nodeApiPort: 7445,
  apiPort: 6443,
} as const;

/** Where a node of Talos answers DNS to its pods: an address of its loopback interface. */
export const HOST_DNS = { node: 'node1', ipv4: '169.254.116.108', port: 53 } as const;

export const INTERNET = { ipv4: '203.0.113.10', ipv6: '2001:db8:113::10', port: 80 } as const;

/** A name may be used in a network namespace, a cgroup and a path. */
export const isSandboxName = (name: string): boolean => /^[a-z0-9]{0,12}$/.test(name);

export const layoutFor = (checkout: string, name: string): Layout => ({
  name,
  prefix: name === '' ? 'stentor-' : `stentor-${name}-`,
  checkout,
  stateDir: join(checkout, '.sandbox', name === '' ? '' : join('named', name)),
});

/** The name of a machine's network namespace. */
export const netnsOf = (layout: Layout, machine: string): string => `${layout.prefix}${machine}`;
export const netnsPath = (layout: Layout, machine: string): string => `/run/netns/${netnsOf(layout, machine)}`;

/** Every network namespace of a sandbox, whatever its number of nodes. */
export const isNetnsOf = (layout: Layout, netns: string): boolean =>
  netns.startsWith(layout.prefix) && /^(node\d+|router|client|lan)$/.test(netns.slice(layout.prefix.length));
