// SPDX-License-Identifier: Apache-2.0
// How the wire reaches a Service: which of its addresses, through which of its backends, and who may.

import { parseCidr, parseIp } from '../base/ip.ts';
import type { Cidr, Ip } from '../base/ip.ts';
import type { Problem } from '../base/problem.ts';
import type { Labels, Service, ServicePort } from '../kube/types.ts';
import { exposes } from './annotations.ts';
import { badField } from './bad-field.ts';
import { ownBalance } from './choice.ts';
import type { OwnBalance } from './choice.ts';

export type ExternalRow = {
  /** What status.loadBalancer.ingress has for the nodes to serve. */
  readonly ingressIps: readonly Ip[];
  readonly externalIps: readonly Ip[];
  /** Clients outside the cluster get backends of the node that they come to, which sees their address. */
  readonly local: boolean;
  /** Port of kubelet-like health answers for balancers outside; 0: none. */
  readonly healthCheckNodePort: number;
  /** How a backend of another node is reached; undefined: as the values say. */
  readonly mode: 'dsr' | 'snat' | undefined;
  /** Backends of the node that is asked are proxies that have the Service's address themselves. */
  readonly delegate?: true;
  readonly balance: OwnBalance;
  /** Which clients on the wire reach its load balancer IPs; undefined: all. */
  readonly sourceRanges: SourceRanges | undefined;
  readonly loadBalancerClass: string | undefined;
  readonly labels: Labels;
};

/** 'allow': clients in a prefix and no others; 'deny': all others. A family without a prefix has no client in one. */
export type SourceRanges = { readonly policy: 'allow' | 'deny'; readonly prefixes: readonly Cidr[] };

const FORWARDING_MODE = 'service.cilium.io/forwarding-mode';
const DELEGATION = 'service.cilium.io/proxy-delegation';
const SOURCE_RANGES_POLICY = 'service.cilium.io/src-ranges-policy';

/** The node port of each of its ports; 0: none. */
export function nodePortsOf(service: Service): (item: Partial<ServicePort>) => number {
  const type = service.spec?.type;
  if ((type !== 'NodePort' && type !== 'LoadBalancer') || !exposes(service, 'NodePort')) return () => 0;
  return ({ nodePort = 0 }) => (Number.isInteger(nodePort) && nodePort > 0 && nodePort < 65_536 ? nodePort : 0);
}

export type External = { readonly external: ExternalRow | undefined; readonly problems: readonly Problem[] };

/** `ports`: as its row has them. A Service that no address outside the cluster leads to has no row. */
export function externalOf(service: Service, name: string, ports: readonly { readonly nodePort: number }[]): External {
  const { spec = {}, metadata } = service;
  const problems: Problem[] = [];
  const readable = (texts: readonly string[], field: string) =>
    texts.flatMap((text) => {
      const address = parseIp(text);
      if (address === undefined) problems.push(badField(`Service ${name}`, field, text, 'an IP address'));
      return address ?? [];
    });
  const externalIps = readable(spec.externalIPs ?? [], 'spec.externalIPs');
  const ingressIps = readable(ingressTexts(service), 'status.loadBalancer.ingress');
  const isChecked = spec.externalTrafficPolicy === 'Local' && (spec.healthCheckNodePort ?? 0) > 0;
  if (externalIps.length + ingressIps.length === 0 && ports.every(({ nodePort }) => nodePort === 0) && !isChecked)
    return { external: undefined, problems };
  const mode = metadata.annotations?.[FORWARDING_MODE];
  if (mode !== undefined && mode !== 'dsr' && mode !== 'snat')
    problems.push(badField(`Service ${name}`, `annotation ${FORWARDING_MODE}`, mode, 'dsr or snat'));
  const delegation = metadata.annotations?.[DELEGATION];
  if (delegation !== undefined && delegation !== 'none' && delegation !== 'delegate-if-local')
    problems.push(badField(`Service ${name}`, `annotation ${DELEGATION}`, delegation, 'none or delegate-if-local'));
  const { sourceRanges, problems: ofRanges } = sourceRangesOf(service, name);
  const { problems: ofBalance, ...balance } = ownBalance(service, name);
  problems.push(...ofRanges, ...ofBalance);
  const external: ExternalRow = {
    ingressIps,
    externalIps,
    local: spec.externalTrafficPolicy === 'Local',
    healthCheckNodePort: spec.healthCheckNodePort ?? 0,
    mode: mode === 'dsr' || mode === 'snat' ? mode : undefined,
    ...(delegation === 'delegate-if-local' && { delegate: true as const }),
    balance,
    sourceRanges,
    loadBalancerClass: spec.loadBalancerClass,
    labels: metadata.labels ?? {},
  };
  return { external, problems };
}

/** Those that nodes serve (KEP-1860); a balancer that is a proxy has its own way to the node ports. */
function ingressTexts(service: Service): readonly string[] {
  if (service.spec?.type !== 'LoadBalancer' || !exposes(service, 'LoadBalancer')) return [];
  const ingress = service.status?.loadBalancer?.ingress ?? [];
  return ingress.flatMap(({ ip, ipMode = 'VIP' }) => (ip !== undefined && ip !== '' && ipMode === 'VIP' ? [ip] : []));
}

type Ranged = { readonly sourceRanges: SourceRanges | undefined; readonly problems: readonly Problem[] };

/** A prefix that cannot be read lets nobody in, and keeps nobody out. */
function sourceRangesOf({ spec = {}, metadata }: Service, name: string): Ranged {
  const texts = spec.type === 'LoadBalancer' ? (spec.loadBalancerSourceRanges ?? []) : [];
  const problems: Problem[] = [];
  const prefixes = texts.flatMap((text) => {
    const prefix = parseCidr(text.trim());
    if (prefix === undefined)
      problems.push(badField(`Service ${name}`, 'spec.loadBalancerSourceRanges', text, 'a prefix such as 192.168.0.0/16'));
    return prefix ?? [];
  });
  const policy = metadata.annotations?.[SOURCE_RANGES_POLICY] ?? 'allow';
  const isKnown = policy === 'allow' || policy === 'deny';
  if (!isKnown)
    problems.push(badField(`Service ${name}`, `annotation ${SOURCE_RANGES_POLICY}`, policy, 'allow or deny (allow is in effect)'));
  return { sourceRanges: texts.length === 0 ? undefined : { policy: isKnown ? policy : 'allow', prefixes }, problems };
}
