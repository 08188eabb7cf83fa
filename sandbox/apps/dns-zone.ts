// SPDX-License-Identifier: Apache-2.0
// What the cluster's DNS server answers. Pure: a name and rows of the API in, records out.
import type { Answer, RecordType, SrvAnswer, StringAnswer } from 'dns-packet';

export type DnsObjects = { readonly services: readonly DnsService[]; readonly slices: readonly DnsSlice[] };

export type DnsService = {
  readonly metadata: { readonly uid: string; readonly name: string; readonly namespace?: string };
  readonly spec: {
    readonly clusterIP?: string;
    readonly clusterIPs?: readonly string[];
    readonly externalName?: string;
    readonly ports?: readonly { readonly name?: string; readonly port: number; readonly protocol?: string }[];
  };
};

export type DnsSlice = {
  readonly metadata: { readonly uid: string; readonly namespace?: string; readonly labels?: { readonly [key: string]: string } };
  readonly endpoints?: readonly {
    readonly addresses: readonly string[];
    readonly hostname?: string;
    readonly conditions?: { readonly ready?: boolean };
  }[];
  readonly ports?: readonly { readonly name?: string; readonly port?: number; readonly protocol?: string }[];
};

const DOMAIN = 'cluster.local';
const TTL = 5; // seconds

/** Names outside of the cluster that the sandbox knows: its "internet" has one address of each family. */
const OUTSIDE: ReadonlyMap<string, readonly string[]> = new Map([
  ['bank.example.com', ['203.0.113.10', '2001:db8:113::10']],
  ['www.example.com', ['203.0.113.10', '2001:db8:113::10']],
]);

/** Other names that an answer goes through at most. */
const MOST_ALIASES = 8;

/**
 * Records for a lower-case name, those of the name that it stands for among them; an empty list when it exists but has none of that type,
 * undefined when it does not.
 */
export function answerTo(name: string, type: RecordType, objects: DnsObjects, aliases = MOST_ALIASES): readonly Answer[] | undefined {
  const outside = OUTSIDE.get(name);
  if (outside) return addressRecords(name, type, outside);
  const labels = name.split('.');
  const parts = labels.slice(0, -3);
  if (labels.slice(-3).join('.') !== `svc.${DOMAIN}` || parts.length < 2) return undefined;
  const [service = '', namespace = ''] = parts.slice(-2);
  const found = objects.services.find(({ metadata }) => metadata.name === service && metadata.namespace === namespace);
  if (found === undefined) return undefined;
  const slices = objects.slices.filter((slice) => isOf(slice, service, namespace));
  const prefix = parts.slice(0, -2);
  if (prefix.length === 2) return serviceRecords(name, type, found, { prefix, slices });
  if (prefix.length === 1) return endpointRecords(name, type, prefix[0] ?? '', slices);
  if (prefix.length > 2) return undefined;
  if (found.spec.externalName !== undefined) {
    const behind = aliases > 0 ? answerTo(found.spec.externalName.toLowerCase(), type, objects, aliases - 1) : undefined;
    return [{ name, type: 'CNAME', ttl: TTL, data: found.spec.externalName }, ...(behind ?? [])];
  }
  if (found.spec.clusterIP !== 'None') return addressRecords(name, type, found.spec.clusterIPs ?? []);
  return addressRecords(
    name,
    type,
    readyEndpoints(slices).flatMap(({ addresses }) => addresses),
  );
}

const isOf = ({ metadata }: DnsSlice, service: string, namespace: string): boolean =>
  metadata.namespace === namespace && metadata.labels?.['kubernetes.io/service-name'] === service;

const readyEndpoints = (slices: readonly DnsSlice[]) =>
  slices.flatMap(({ endpoints = [] }) => endpoints.filter(({ conditions }) => conditions?.ready !== false));

function addressRecords(name: string, type: RecordType, addresses: readonly string[]): readonly StringAnswer[] {
  const wanted = type === 'A' || type === 'AAAA' ? addresses.filter((address) => address.includes(':') === (type === 'AAAA')) : [];
  return [...new Set(wanted)].map((data) => ({ name, type: type as 'A', ttl: TTL, data })); // as: narrowed by the line above
}

/** `hostname.service.namespace.svc`: one named endpoint. */
function endpointRecords(name: string, type: RecordType, hostname: string, slices: readonly DnsSlice[]): readonly Answer[] | undefined {
  const named = readyEndpoints(slices).filter((endpoint) => endpoint.hostname === hostname);
  return named.length === 0
    ? undefined
    : addressRecords(
        name,
        type,
        named.flatMap(({ addresses }) => addresses),
      );
}

/** `_port._protocol.service.namespace.svc`: SRV. */
function serviceRecords(
  name: string,
  type: RecordType,
  service: DnsService,
  { prefix, slices }: { readonly prefix: readonly string[]; readonly slices: readonly DnsSlice[] },
): readonly SrvAnswer[] | undefined {
  const [port = '', protocol = ''] = prefix;
  const matches = (candidate: { readonly name?: string; readonly protocol?: string }) =>
    `_${candidate.name}` === port && `_${(candidate.protocol ?? 'TCP').toLowerCase()}` === protocol;
  const target = name.split('.').slice(2).join('.');
  const found = service.spec.ports?.find(matches);
  const number = service.spec.clusterIP === 'None' ? slices.flatMap(({ ports = [] }) => ports).find(matches)?.port : found?.port;
  if (number === undefined) return undefined;
  return type === 'SRV' ? [{ name, type, ttl: TTL, data: { port: number, target, priority: 0, weight: 100 } }] : [];
}
