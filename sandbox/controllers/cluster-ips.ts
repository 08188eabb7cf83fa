// SPDX-License-Identifier: Apache-2.0
// Addresses and node ports of Services, decided while the API admits the object: nobody ever sees a Service without them.
import { cidrContains, cidr, familyOf, parseIp } from '../../src/base/ip.ts';
import type { Ip } from '../../src/base/ip.ts';
import { invalid } from '../api/api-error.ts';
import type { Json } from '../api/json.ts';
import type { AdmissionRequest } from '../api/server.ts';
import { CLUSTER } from '../layout.ts';
import type { Service } from '../objects.ts';
import { addressFor } from './addresses.ts';

type Family = 'IPv4' | 'IPv6';
const CIDRS = { IPv4: cidr(CLUSTER.serviceCidrs[0]), IPv6: cidr(CLUSTER.serviceCidrs[1]) } as const;
const NODE_PORTS = { first: 30_000, last: 32_767 } as const;

/** Fills in clusterIPs, families and node ports of a Service that is about to be stored. Throws ApiError 422. */
export function admitService({ object, old }: AdmissionRequest, others: readonly Service[]): Json {
  const spec = object.spec ?? {};
  const identity = object.metadata;
  const rest = others.filter(({ metadata }) => metadata.name !== identity.name || metadata.namespace !== identity.namespace);
  if (spec.type === 'ExternalName') return withoutAddresses(object);
  const families = familiesFor(spec, old?.spec);
  const addresses = spec.clusterIP === 'None' ? ['None'] : addressesFor(object, old, families, rest);
  const policy = spec.ipFamilyPolicy ?? 'SingleStack';
  const ports = withNodePorts(object, rest);
  return {
    ...object,
    spec: { ...spec, ports, clusterIP: addresses[0], clusterIPs: addresses, ipFamilies: families, ipFamilyPolicy: policy },
  };
}

function withoutAddresses(object: Json): Json {
  const { clusterIP: _1, clusterIPs: _2, ipFamilies: _3, ipFamilyPolicy: _4, ...spec } = object.spec;
  return { ...object, spec };
}

/** As in a dual-stack cluster whose first family is IPv4. */
export function familiesFor(spec: Json, old?: Json): Family[] {
  const given: Family[] = spec.ipFamilies ?? familiesOfAddresses(spec.clusterIPs ?? [spec.clusterIP]) ?? old?.ipFamilies ?? [];
  const first = given[0] ?? 'IPv4';
  const single = spec.ipFamilyPolicy === undefined ? given.length < 2 : spec.ipFamilyPolicy === 'SingleStack';
  return single ? [first] : [first, first === 'IPv4' ? 'IPv6' : 'IPv4'];
}

function familiesOfAddresses(addresses: readonly (string | undefined)[]): Family[] | undefined {
  const families = addresses.map((text) => parseIp(text ?? '')).flatMap((ip) => (ip === undefined ? [] : [familyName(ip)]));
  return families.length > 0 ? families : undefined;
}

const familyName = (ip: Ip): Family => (familyOf(ip) === 4 ? 'IPv4' : 'IPv6');

function addressesFor(object: Json, old: Json | undefined, families: readonly Family[], others: readonly Service[]): string[] {
  const taken = new Set<string>();
  for (const { spec } of others) for (const address of spec.clusterIPs ?? []) taken.add(address);
  const asked: readonly string[] = object.spec.clusterIPs ?? (object.spec.clusterIP ? [object.spec.clusterIP] : []);
  const kept: readonly string[] = old?.spec.clusterIPs?.filter((address: string) => address !== 'None') ?? [];
  return families.map((family, index) => {
    const wanted = asked[index];
    if (wanted) return checked(object, wanted, family, taken);
    const before = kept.find((address) => familyName(address as Ip) === family); // as: this file stored it
    if (before !== undefined) return before;
    const name = `${object.metadata.namespace}/${object.metadata.name}`;
    const address = addressFor(name, CIDRS[family], (candidate) => taken.has(candidate));
    if (address === undefined) throw refused(object, 'spec.clusterIPs', `no free address is left in ${family} ranges`);
    return address;
  });
}

function checked(object: Json, text: string, family: Family, taken: ReadonlySet<string>): string {
  const address = parseIp(text);
  const field = 'spec.clusterIPs';
  if (address === undefined) throw refused(object, field, `Invalid value: "${text}": must be a valid IP address`);
  if (familyName(address) !== family)
    throw refused(object, field, `Invalid value: "${text}": expected an ${family} value as indicated by \`ipFamilies\``);
  if (!cidrContains(CIDRS[family], address))
    throw refused(object, field, `Invalid value: "${text}": failed to allocate IP ${text}: the provided IP is not in the valid range`);
  if (taken.has(address))
    throw refused(object, field, `Invalid value: "${text}": failed to allocate IP ${text}: provided IP is already allocated`);
  return address;
}

function withNodePorts(object: Json, others: readonly Service[]): Json[] {
  const ports: readonly Json[] = object.spec.ports ?? [];
  const type = object.spec.type;
  const wants = type === 'NodePort' || (type === 'LoadBalancer' && object.spec.allocateLoadBalancerNodePorts !== false);
  if (!wants)
    return ports.map(({ nodePort, ...port }) => (type === 'LoadBalancer' && nodePort !== undefined ? { ...port, nodePort } : port));
  const taken = new Set<string>();
  for (const { spec } of others)
    for (const port of spec.ports ?? []) if (port.nodePort) taken.add(`${port.protocol ?? 'TCP'} ${port.nodePort}`);
  return ports.map((port) => {
    const protocol = port.protocol ?? 'TCP';
    if (port.nodePort && taken.has(`${protocol} ${port.nodePort}`))
      throw refused(object, 'spec.ports[].nodePort', `Invalid value: ${port.nodePort}: provided port is already allocated`);
    const nodePort = port.nodePort || freePort(object, protocol, taken);
    taken.add(`${protocol} ${nodePort}`);
    return { ...port, nodePort };
  });
}

function freePort(object: Json, protocol: string, taken: ReadonlySet<string>): number {
  for (let port = NODE_PORTS.first; port <= NODE_PORTS.last; port++) if (!taken.has(`${protocol} ${port}`)) return port;
  throw refused(object, 'spec.ports[].nodePort', 'no free node port is left');
}

const refused = (object: Json, field: string, message: string) =>
  invalid({ group: '', plural: 'services', kind: 'Service' }, object.metadata.name, [{ reason: 'FieldValueInvalid', message, field }]);
