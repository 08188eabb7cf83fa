// SPDX-License-Identifier: Apache-2.0
// The facts of a Kubernetes Service and of an EndpointSlice that frontends are made of.

import type { Aged } from '../base/age.ts';
import { parseIp } from '../base/ip.ts';
import type { Family, Ip } from '../base/ip.ts';
import { problem } from '../base/problem.ts';
import type { Problem } from '../base/problem.ts';
import type { Protocol } from '../datapath/protocols.ts';
import type { Endpoint, EndpointSlice, Service, ServicePort } from '../kube/types.ts';
import { annotationProblems, exposes } from './annotations.ts';
import { badField } from './bad-field.ts';
import { externalOf, nodePortsOf } from './external.ts';
import type { ExternalRow } from './external.ts';
import { exposureOf } from './exposure.ts';
import type { Selector } from './label-selector.ts';
import { hintsOf } from './topology.ts';
import type { Hints } from './topology.ts';

export type ServiceRow = Aged & {
  /** 'namespace/name'. */
  readonly name: string;
  readonly clusterIps: readonly Ip[];
  readonly ports: readonly ServicePortRow[];
  /** Seconds for which a client keeps its backend; 0: it does not. */
  readonly affinity: number;
  /** Clients inside the cluster get backends of their own node only. */
  readonly internalLocal: boolean;
  /** Its ClusterIPs are not served, as its annotation wants. */
  readonly withoutClusterIp?: true;
  /** The nodes on which it is served at all; undefined: all. */
  readonly nodes: Selector | undefined;
  /** How the wire reaches it; undefined: not at all. */
  readonly external: ExternalRow | undefined;
};

/** `nodePort` is 0 where the port has none. */
export type ServicePortRow = PortRow & { readonly nodePort: number };

export type PortRow = { readonly name: string; readonly protocol: Protocol; readonly port: number };

export type SliceRow = Aged & {
  /** 'namespace/name'. */
  readonly name: string;
  /** 'namespace/name' of the Service that it belongs to. */
  readonly service: string;
  readonly family: Family;
  readonly ports: readonly PortRow[];
  readonly endpoints: readonly EndpointConditions[];
};

export type EndpointConditions = {
  readonly address: Ip;
  readonly node: string | undefined;
  readonly ready: boolean;
  readonly serving: boolean;
  readonly terminating: boolean;
  readonly hints: Hints;
};

const PROXY_NAME = 'service.kubernetes.io/service-proxy-name';
const SERVICE_NAME = 'kubernetes.io/service-name';

/** The row of a Service; nothing when it is not ours to serve (headless, ExternalName, another proxy's), Problems for what cannot be read. */
export function* serviceRows(service: Service, proxyName: string): Iterable<readonly [string, ServiceRow] | Problem> {
  const name = `${service.metadata.namespace ?? 'default'}/${service.metadata.name}`;
  const spec = service.spec ?? {};
  if ((service.metadata.labels?.[PROXY_NAME] ?? '') !== proxyName || spec.type === 'ExternalName') return;
  const clusterIps: Ip[] = [];
  for (const text of spec.clusterIPs ?? (spec.clusterIP === undefined ? [] : [spec.clusterIP])) {
    if (text === '' || text === 'None') continue;
    const address = parseIp(text);
    if (address === undefined) yield badField(`Service ${name}`, 'spec.clusterIPs', text, 'an IP address');
    else clusterIps.push(address);
  }
  const ports: ServicePortRow[] = [];
  const onNodes = nodePortsOf(service);
  for (const item of spec.ports ?? []) {
    const row = portRow(item);
    if (row === undefined)
      yield badField(`Service ${name}`, 'spec.ports', JSON.stringify(item), 'a port from 1 to 65535 with protocol TCP, UDP or SCTP');
    else ports.push({ ...row, nodePort: onNodes(item) });
  }
  if (clusterIps.length === 0) return;
  const affinity = affinityOf(service);
  if (affinity === undefined)
    yield badField(`Service ${name}`, 'spec.sessionAffinityConfig', JSON.stringify(spec.sessionAffinityConfig), AFFINITY);
  const { external, problems } = externalOf(service, name, ports);
  const { nodes, problems: ofNodes } = exposureOf(service, name);
  yield* [...problems, ...ofNodes, ...annotationProblems(service, name)];
  const internalLocal = spec.internalTrafficPolicy === 'Local';
  const created = service.metadata.creationTimestamp;
  const more = { ...(created !== undefined && { created }), ...(!exposes(service, 'ClusterIP') && { withoutClusterIp: true as const }) };
  yield [name, { name, clusterIps, ports, affinity: affinity ?? USUAL_AFFINITY, internalLocal, nodes, external, ...more }];
}

const USUAL_AFFINITY = 10_800;
const LONGEST_AFFINITY = 86_400;
const AFFINITY = `clientIP.timeoutSeconds from 1 to ${LONGEST_AFFINITY} (${USUAL_AFFINITY} is in effect)`;

/** Seconds; undefined where the API would not have taken what is there. */
function affinityOf({ spec = {} }: Service): number | undefined {
  if (spec.sessionAffinity !== 'ClientIP') return 0;
  const seconds = spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? USUAL_AFFINITY;
  return Number.isInteger(seconds) && seconds >= 1 && seconds <= LONGEST_AFFINITY ? seconds : undefined;
}

/** The row of an EndpointSlice, under its own 'namespace/name'; nothing but a Problem where it cannot belong to a Service or cannot be routed to. */
export function* sliceRows(slice: EndpointSlice): Iterable<readonly [string, SliceRow] | Problem> {
  const namespace = slice.metadata.namespace ?? 'default';
  const key = `${namespace}/${slice.metadata.name}`;
  const service = slice.metadata.labels?.[SERVICE_NAME];
  if (service === undefined || service === '') {
    yield unused(
      key,
      'NoService',
      `label ${SERVICE_NAME} is missing, so no Service leads to its endpoints`,
      `Label it with the name of its Service, or delete it`,
    );
    return;
  }
  if (slice.addressType !== 'IPv4' && slice.addressType !== 'IPv6') {
    yield unused(
      key,
      'UnsupportedAddressType',
      `addressType is ${slice.addressType}, wanted IPv4 or IPv6`,
      'Make a slice of addressType IPv4 or IPv6 in its place',
    );
    return;
  }
  const family = slice.addressType === 'IPv4' ? 4 : 6;
  const ports: PortRow[] = [];
  for (const item of slice.ports ?? []) {
    if (item.port === undefined) continue; // "all ports": nothing that a Service could name
    const row = portRow(item);
    if (row === undefined)
      yield badField(`EndpointSlice ${key}`, 'ports', JSON.stringify(item), 'a port from 1 to 65535 with protocol TCP, UDP or SCTP');
    else ports.push(row);
  }
  const endpoints: EndpointConditions[] = [];
  for (const item of slice.endpoints ?? []) {
    const address = parseIp(item.addresses?.[0] ?? '');
    if (address !== undefined && address.includes(':') === (family === 6)) endpoints.push(endpointAt(address, item));
    else yield badField(`EndpointSlice ${key}`, 'endpoints', JSON.stringify(item.addresses), `an ${slice.addressType} address`);
  }
  const created = slice.metadata.creationTimestamp;
  yield [key, { name: key, service: `${namespace}/${service}`, family, ports, endpoints, ...(created !== undefined && { created }) }];
}

function endpointAt(address: Ip, { nodeName, conditions, hints }: Endpoint): EndpointConditions {
  const { ready = true, terminating = false } = conditions ?? {};
  return { address, node: nodeName, ready, serving: conditions?.serving ?? ready, terminating, hints: hintsOf(hints) };
}

function portRow(item: Partial<ServicePort>): PortRow | undefined {
  const { name = '', protocol = 'TCP', port } = item;
  if (protocol !== 'TCP' && protocol !== 'UDP' && protocol !== 'SCTP') return undefined;
  return Number.isInteger(port) && port !== undefined && port > 0 && port < 65536 ? { name, protocol, port } : undefined;
}

function unused(slice: string, reason: string, message: string, advice: string): Problem {
  return problem({ object: `EndpointSlice ${slice}`, reason, message, advice });
}
