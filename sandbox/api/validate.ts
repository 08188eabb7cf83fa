// SPDX-License-Identifier: Apache-2.0
// What a built-in kind refuses, where a user would notice: required fields, closed sets of words, ranges, addresses,
// selectors that do not match, and fields that cannot change.
import { isIP } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import type { StatusCause } from './api-error.ts';
import { cidr, immutable, oneOf, portRange, PROTOCOLS } from './checks.ts';
import type { Check } from './checks.ts';
import { isRecord } from './json.ts';
import type { Json } from './json.ts';
import { duplicateField, forbiddenField, invalidField, isDnsLabel, requiredField } from './names.ts';
import type { Resource } from './resources.ts';
import { pod, workload } from './validate-pods.ts';

const service: Check = ({ spec }, old, causes) => {
  if (!spec) return void causes.push(requiredField('spec'));
  const headless = spec.clusterIP === 'None';
  const ports: readonly Json[] = spec.ports ?? [];
  oneOf(causes, 'spec.type', spec.type, ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort']);
  oneOf(causes, 'spec.sessionAffinity', spec.sessionAffinity, ['ClientIP', 'None']);
  oneOf(causes, 'spec.internalTrafficPolicy', spec.internalTrafficPolicy, ['Cluster', 'Local']);
  oneOf(causes, 'spec.externalTrafficPolicy', spec.externalTrafficPolicy, ['Cluster', 'Local']);
  oneOf(causes, 'spec.ipFamilyPolicy', spec.ipFamilyPolicy, ['PreferDualStack', 'RequireDualStack', 'SingleStack']);
  for (const [index, family] of (spec.ipFamilies ?? []).entries()) oneOf(causes, `spec.ipFamilies[${index}]`, family, ['IPv4', 'IPv6']);
  if (spec.type === 'ExternalName' && !spec.externalName) causes.push(requiredField('spec.externalName'));
  if (ports.length === 0 && !headless && spec.type !== 'ExternalName') causes.push(requiredField('spec.ports'));
  servicePorts(ports, causes);
  if (spec.clusterIP && !headless && isIP(spec.clusterIP) === 0)
    causes.push(invalidField('spec.clusterIPs[0]', spec.clusterIP, 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'));
  for (const [index, range] of (spec.loadBalancerSourceRanges ?? []).entries())
    cidr(causes, `spec.loadBalancerSourceRanges[${index}]`, String(range).trim());
  for (const [index, ip] of (spec.externalIPs ?? []).entries())
    if (isIP(ip) === 0)
      causes.push(invalidField(`spec.externalIPs[${index}]`, ip, 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'));
  if (!old || old.spec.type === 'ExternalName' || spec.type === 'ExternalName') return;
  if (old.spec.clusterIP && spec.clusterIP !== old.spec.clusterIP)
    causes.push(invalidField('spec.clusterIPs[0]', spec.clusterIPs ?? [], 'may not change once set'));
  if (old.spec.type === 'LoadBalancer' && spec.type === 'LoadBalancer' && old.spec.loadBalancerClass !== spec.loadBalancerClass)
    causes.push(invalidField('spec.loadBalancerClass', spec.loadBalancerClass, 'may not change once set'));
};

const servicePorts = (ports: readonly Json[], causes: StatusCause[]): void => {
  const names = new Set<string>();
  const numbers = new Set<string>();
  for (const [index, port] of ports.entries()) {
    const at = `spec.ports[${index}]`;
    portRange(causes, `${at}.port`, port.port);
    oneOf(causes, `${at}.protocol`, port.protocol, PROTOCOLS);
    if (typeof port.targetPort === 'number') portRange(causes, `${at}.targetPort`, port.targetPort);
    if (ports.length > 1 && !port.name) causes.push(requiredField(`${at}.name`));
    else if (port.name && !isDnsLabel(port.name))
      causes.push(invalidField(`${at}.name`, port.name, "must consist of lower case alphanumeric characters or '-'"));
    if (port.name && names.has(port.name)) causes.push(duplicateField(`${at}.name`, port.name));
    const number = `${port.protocol}/${port.port}`;
    if (numbers.has(number)) causes.push(duplicateField(at, { port: port.port, protocol: port.protocol }));
    names.add(port.name);
    numbers.add(number);
  }
};

const keyed = (object: Json, old: Json, causes: StatusCause[]): void => {
  for (const field of ['data', 'binaryData'])
    for (const key of Object.keys(object[field] ?? {}))
      if (!/^[-._a-zA-Z0-9]{1,253}$/.test(key))
        causes.push(invalidField(`${field}[${key}]`, key, "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"));
  if (!old?.immutable) return;
  if (!object.immutable) causes.push(forbiddenField('immutable', 'field is immutable when `immutable` is set'));
  for (const field of ['data', 'binaryData'])
    if (!isDeepStrictEqual(object[field], old[field])) causes.push(forbiddenField(field, 'field is immutable when `immutable` is set'));
};

const policy: Check = ({ spec }, _old, causes) => {
  if (!spec) return;
  for (const [index, type] of (spec.policyTypes ?? []).entries()) oneOf(causes, `spec.policyTypes[${index}]`, type, ['Ingress', 'Egress']);
  for (const [direction, side] of [
    ['ingress', 'from'],
    ['egress', 'to'],
  ] as const)
    for (const [index, rule] of (spec[direction] ?? []).entries()) {
      for (const [nth, peer] of (rule[side] ?? []).entries()) {
        const at = `spec.${direction}[${index}].${side}[${nth}]`;
        if (Object.keys(peer).length === 0) causes.push(requiredField(at, 'must specify a peer'));
        if (peer.ipBlock && (peer.podSelector || peer.namespaceSelector))
          causes.push(forbiddenField(at, 'may not specify both ipBlock and another peer'));
        if (peer.ipBlock) cidr(causes, `${at}.ipBlock.cidr`, peer.ipBlock.cidr);
      }
      for (const [nth, port] of (rule.ports ?? []).entries()) {
        oneOf(causes, `spec.${direction}[${index}].ports[${nth}].protocol`, port.protocol, PROTOCOLS);
        if (typeof port.port === 'number') portRange(causes, `spec.${direction}[${index}].ports[${nth}].port`, port.port);
      }
    }
};

const slice: Check = (object, old, causes) => {
  if (object.addressType === undefined) causes.push(requiredField('addressType'));
  else oneOf(causes, 'addressType', object.addressType, ['FQDN', 'IPv4', 'IPv6']);
  if (old) immutable(causes, 'addressType', object.addressType, old.addressType);
  const family = { IPv4: 4, IPv6: 6 }[object.addressType as string]; // as: only two of the words have a family
  for (const [index, endpoint] of (object.endpoints ?? []).entries()) {
    const addresses: readonly Json[] = endpoint.addresses ?? [];
    if (addresses.length === 0) causes.push(requiredField(`endpoints[${index}].addresses`, 'must contain at least 1 address'));
    for (const [nth, address] of addresses.entries())
      if (family !== undefined && isIP(String(address)) !== family)
        causes.push(invalidField(`endpoints[${index}].addresses[${nth}]`, address, `must be a valid ${object.addressType} address`));
  }
  for (const [index, port] of (object.ports ?? []).entries()) oneOf(causes, `ports[${index}].protocol`, port.protocol, PROTOCOLS);
};

const node: Check = ({ spec }, old, causes) => {
  for (const [index, range] of (spec?.podCIDRs ?? []).entries()) cidr(causes, `spec.podCIDRs[${index}]`, range);
  if (old?.spec?.podCIDRs?.length && !isDeepStrictEqual(spec?.podCIDRs, old.spec.podCIDRs))
    causes.push(forbiddenField('spec.podCIDRs', 'node updates may not change podCIDR except from "" to valid'));
};

const binding: Check = (object, old, causes) => {
  if (!object.roleRef?.name) causes.push(requiredField('roleRef.name'));
  if (old) immutable(causes, 'roleRef', object.roleRef, old.roleRef);
};

const secret: Check = (object, old, causes) => {
  keyed(object, old, causes);
  for (const [key, text] of Object.entries<Json>(isRecord(object.data) ? object.data : {}))
    if (!/^[A-Za-z0-9+/\s]*={0,2}\s*$/.test(String(text))) causes.push(invalidField(`data[${key}]`, '<secret>', 'must be base64'));
  if (old) immutable(causes, 'type', object.type, old.type);
};

const checks: Readonly<Record<string, Check>> = {
  services: service,
  pods: pod,
  nodes: node,
  configmaps: keyed,
  secrets: secret,
  'deployments.apps': workload,
  'daemonsets.apps': workload,
  'replicasets.apps': workload,
  'statefulsets.apps': workload,
  'endpointslices.discovery.k8s.io': slice,
  'networkpolicies.networking.k8s.io': policy,
  'rolebindings.rbac.authorization.k8s.io': binding,
  'clusterrolebindings.rbac.authorization.k8s.io': binding,
};

/** The complaints about a decoded object with defaults; `old` on update. Nothing for custom resources (structural-schema.ts). */
export const causesOf = (resource: Resource, object: Json, old: Json): StatusCause[] => {
  const causes: StatusCause[] = [];
  checks[resource.id]?.(object, old, causes);
  return causes;
};
