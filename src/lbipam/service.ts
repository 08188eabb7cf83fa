// SPDX-License-Identifier: Apache-2.0
// The row of a Service of type LoadBalancer: what it asks for, what it has, and with whom it would share.

import { parseIp } from '../base/ip.ts';
import type { Family, Ip } from '../base/ip.ts';
import type { Condition, Labels, Service } from '../kube/types.ts';

export type LbServiceRow = {
  /** 'namespace/name'. */
  readonly name: string;
  readonly uid: string | undefined;
  readonly resourceVersion: string | undefined;
  /** RFC 3339. */
  readonly created: string;
  /** foreign: another program's, whose addresses are not to be given to others; left: ours until now. */
  readonly whose: 'ours' | 'foreign' | 'left';
  /** With the two keys that stand for namespace and name. */
  readonly labels: Labels;
  /** Addresses that it asks for by name; without any, one of each family. */
  readonly requested: readonly Ip[];
  /** What it asks for that is no address. */
  readonly unreadable: readonly string[];
  readonly families: readonly Family[];
  /** One family is as good as two. */
  readonly prefersDual: boolean;
  readonly sharing: Sharing | undefined;
  /** '80/TCP' */
  readonly ports: readonly string[];
  /** externalTrafficPolicy: Local. */
  readonly local: boolean;
  /** Labels of its pods, as text that differs when they do; empty: it has no selector. */
  readonly pods: string;
  /** Addresses that somebody has agreed to give up once there are others. */
  readonly released: readonly Ip[];
  /** What status.loadBalancer.ingress has. */
  readonly has: readonly Ip[];
  /** There is something in it beside addresses. */
  readonly hasMore: boolean;
  readonly condition: Condition | undefined;
};

export type Sharing = {
  readonly key: string;
  /** '*': with all. */
  readonly namespaces: readonly string[];
};

/** Which classes of load balancers are ours. */
export type LbClasses = {
  /** Services that name none. */
  readonly unnamed: boolean;
  readonly named: readonly string[];
};

export const SATISFIED = 'cilium.io/IPAMRequestSatisfied';
/** On a Service: addresses that it gives up. */
export const RELEASE = 'lbipam.stentor.dev/release';

const IPS = ['lbipam.cilium.io/ips', 'io.cilium/lb-ipam-ips'] as const;
const KEY = ['lbipam.cilium.io/sharing-key', 'io.cilium/lb-ipam-sharing-key'] as const;
const NAMESPACES = ['lbipam.cilium.io/sharing-cross-namespace', 'io.cilium/lb-ipam-sharing-cross-namespace'] as const;

export function* lbServiceRows(service: Service, classes: LbClasses): Iterable<readonly [string, LbServiceRow]> {
  const { metadata, spec = {}, status } = service;
  const { name, namespace = 'default', annotations = {} } = metadata;
  const condition = status?.conditions?.find(({ type }) => type === SATISFIED);
  const ingress = status?.loadBalancer?.ingress ?? [];
  const has = ingress.flatMap(({ ip = '' }) => parseIp(ip) ?? []);
  const whose = whoseIs(service, classes, condition !== undefined);
  if (whose === undefined) return;
  const asked = [spec.loadBalancerIP ?? '', ...listOf(annotation(annotations, IPS))].filter((text) => text !== '');
  const key = annotation(annotations, KEY);
  yield [
    `${namespace}/${name}`,
    {
      name: `${namespace}/${name}`,
      uid: metadata.uid,
      resourceVersion: metadata.resourceVersion,
      created: metadata.creationTimestamp ?? '',
      whose,
      labels: { ...metadata.labels, 'io.kubernetes.service.namespace': namespace, 'io.kubernetes.service.name': name },
      requested: [...new Set(asked.flatMap((text) => parseIp(text) ?? []))],
      unreadable: asked.filter((text) => parseIp(text) === undefined),
      families: familiesOf(spec),
      prefersDual: spec.ipFamilyPolicy === 'PreferDualStack',
      sharing: key === '' ? undefined : { key, namespaces: listOf(annotation(annotations, NAMESPACES)) },
      ports: (spec.ports ?? []).map(({ port, protocol = 'TCP' }) => `${port}/${protocol}`),
      local: spec.externalTrafficPolicy === 'Local',
      pods: podsOf(spec.selector),
      released: listOf(annotations[RELEASE] ?? '').flatMap((text) => parseIp(text) ?? []),
      has,
      hasMore: ingress.some(({ ip, hostname }) => hostname !== undefined || parseIp(ip ?? '') === undefined),
      condition,
    },
  ];
}

function whoseIs(service: Service, { unnamed, named }: LbClasses, wasOurs: boolean): LbServiceRow['whose'] | undefined {
  const { spec = {}, status } = service;
  const { loadBalancerClass } = spec;
  const ours = loadBalancerClass === undefined ? unnamed : named.includes(loadBalancerClass);
  if (spec.type !== 'LoadBalancer' || !ours) return wasOurs ? 'left' : spec.type === 'LoadBalancer' ? 'foreign' : undefined;
  const hasName = (status?.loadBalancer?.ingress ?? []).some(({ hostname = '' }) => hostname !== '');
  return hasName && !wasOurs ? 'foreign' : 'ours'; // what has a name in DNS is a cloud's
}

function familiesOf({ ipFamilies = [], clusterIPs = [] }: NonNullable<Service['spec']>): readonly Family[] {
  const named = ipFamilies.flatMap((family) => (family === 'IPv4' ? [4 as const] : family === 'IPv6' ? [6 as const] : []));
  if (named.length > 0) return [...new Set(named)];
  return clusterIPs[0]?.includes(':') === true ? [6] : [4];
}

function podsOf(selector: Labels | undefined): string {
  const entries = Object.entries(selector ?? {});
  return entries.length === 0 ? '' : JSON.stringify(entries.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

function annotation(annotations: Labels, names: readonly string[]): string {
  for (const name of names) if (annotations[name] !== undefined) return annotations[name].trim();
  return '';
}

function listOf(text: string): readonly string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}
