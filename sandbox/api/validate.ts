// SPDX-License-Identifier: Apache-2.0
// What a built-in kind refuses, where a user would notice: required fields, closed sets of words, ranges, addresses,
// selectors that do not match, and fields that cannot change.
import { isIP } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import type { StatusCause } from './api-error.ts';
import { isRecord, type Json } from './json.ts';
import { duplicateField, forbiddenField, invalidField, isDnsLabel, requiredField, unsupportedField } from './names.ts';
import type { Resource } from './resources.ts';
import { labelPredicate, selectorText } from './selectors.ts';

type Check = (object: Json, old: Json | undefined, causes: StatusCause[]) => void;

const oneOf = (causes: StatusCause[], field: string, value: Json, allowed: readonly string[]): void => {
  if (value !== undefined && !allowed.includes(value)) causes.push(unsupportedField(field, value, allowed));
};
const portRange = (causes: StatusCause[], field: string, value: Json): void => {
  if (!(Number.isInteger(value) && value >= 1 && value <= 65535)) causes.push(invalidField(field, value, 'must be between 1 and 65535, inclusive'));
};
const immutable = (causes: StatusCause[], field: string, value: Json, old: Json): void => {
  if (!isDeepStrictEqual(value, old)) causes.push(invalidField(field, value, 'field is immutable'));
};
/** True for 10.0.0.0/8, fd00::/8. */
export const isCidr = (text: Json): boolean => {
  const [address = '', length = '', ...rest] = String(text).split('/');
  const family = isIP(address);
  return rest.length === 0 && family !== 0 && /^\d{1,3}$/.test(length) && Number(length) <= (family === 4 ? 32 : 128);
};
const cidr = (causes: StatusCause[], field: string, value: Json): void => {
  if (!isCidr(value)) causes.push(invalidField(field, value, 'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)'));
};

const PROTOCOLS = ['SCTP', 'TCP', 'UDP'];

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
  for (const [index, range] of (spec.loadBalancerSourceRanges ?? []).entries()) cidr(causes, `spec.loadBalancerSourceRanges[${index}]`, String(range).trim());
  for (const [index, ip] of (spec.externalIPs ?? []).entries())
    if (isIP(ip) === 0) causes.push(invalidField(`spec.externalIPs[${index}]`, ip, 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'));
  if (!old || old.spec.type === 'ExternalName' || spec.type === 'ExternalName') return;
  if (old.spec.clusterIP && spec.clusterIP !== old.spec.clusterIP) causes.push(invalidField('spec.clusterIPs[0]', spec.clusterIPs ?? [], 'may not change once set'));
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
    else if (port.name && !isDnsLabel(port.name)) causes.push(invalidField(`${at}.name`, port.name, "must consist of lower case alphanumeric characters or '-'"));
    if (port.name && names.has(port.name)) causes.push(duplicateField(`${at}.name`, port.name));
    const number = `${port.protocol}/${port.port}`;
    if (numbers.has(number)) causes.push(duplicateField(at, { port: port.port, protocol: port.protocol }));
    names.add(port.name);
    numbers.add(number);
  }
};

const containers = (list: Json, at: string, causes: StatusCause[]): void => {
  const names = new Set<string>();
  for (const [index, container] of (list ?? []).entries()) {
    const field = `${at}[${index}]`;
    if (!container.name) causes.push(requiredField(`${field}.name`));
    else if (!isDnsLabel(container.name)) causes.push(invalidField(`${field}.name`, container.name, 'a lowercase RFC 1123 label is wanted'));
    if (names.has(container.name)) causes.push(duplicateField(`${field}.name`, container.name));
    names.add(container.name);
    if (!container.image) causes.push(requiredField(`${field}.image`));
    for (const [nth, port] of (container.ports ?? []).entries()) {
      portRange(causes, `${field}.ports[${nth}].containerPort`, port.containerPort);
      oneOf(causes, `${field}.ports[${nth}].protocol`, port.protocol, PROTOCOLS);
    }
    for (const [nth, env] of (container.env ?? []).entries()) if (!env.name) causes.push(requiredField(`${field}.env[${nth}].name`));
    for (const [nth, mount] of (container.volumeMounts ?? []).entries()) if (!mount.mountPath) causes.push(requiredField(`${field}.volumeMounts[${nth}].mountPath`));
  }
};

const podSpec = (spec: Json, at: string, causes: StatusCause[]): void => {
  if (!spec?.containers?.length) return void causes.push(requiredField(`${at}.containers`));
  containers(spec.containers, `${at}.containers`, causes);
  containers(spec.initContainers, `${at}.initContainers`, causes);
  oneOf(causes, `${at}.restartPolicy`, spec.restartPolicy, ['Always', 'OnFailure', 'Never']);
  oneOf(causes, `${at}.dnsPolicy`, spec.dnsPolicy, ['ClusterFirstWithHostNet', 'ClusterFirst', 'Default', 'None']);
  const volumes = new Set((spec.volumes ?? []).map((volume: Json) => volume.name));
  for (const kind of ['containers', 'initContainers'])
    for (const [index, container] of (spec[kind] ?? []).entries())
      for (const [nth, mount] of (container.volumeMounts ?? []).entries())
        if (!volumes.has(mount.name)) causes.push({ reason: 'FieldValueNotFound', message: `Not found: "${mount.name}"`, field: `${at}.${kind}[${index}].volumeMounts[${nth}].name` });
};

/** A pod's spec without what may change after creation. */
const fixedPodSpec = (spec: Json): Json => {
  const { activeDeadlineSeconds: _a, tolerations: _b, terminationGracePeriodSeconds: _c, schedulingGates: _d, ephemeralContainers: _e, nodeName: _f, ...rest } = spec;
  const withoutImage = (container: Json): Json => ({ ...container, image: undefined, resources: undefined });
  return { ...rest, containers: spec.containers?.map(withoutImage), initContainers: spec.initContainers?.map(withoutImage) };
};

const pod: Check = ({ spec }, old, causes) => {
  podSpec(spec, 'spec', causes);
  if (!old || causes.length > 0) return;
  const moved = old.spec.nodeName !== undefined && old.spec.nodeName !== spec.nodeName;
  if (moved || !isDeepStrictEqual(fixedPodSpec(spec), fixedPodSpec(old.spec)))
    causes.push(forbiddenField('spec', 'pod updates may not change fields other than `spec.containers[*].image`, `spec.initContainers[*].image`, `spec.activeDeadlineSeconds`, `spec.tolerations` (only additions to existing tolerations), `spec.terminationGracePeriodSeconds`'));
};

const workload: Check = ({ spec }, old, causes) => {
  if (!spec) return void causes.push(requiredField('spec'));
  if (spec.replicas < 0) causes.push(invalidField('spec.replicas', spec.replicas, 'must be greater than or equal to 0'));
  if (!spec.template) return void causes.push(requiredField('spec.template'));
  const text = selectorText(spec.selector);
  if (!spec.selector) causes.push(requiredField('spec.selector'));
  else if (text === '') causes.push(invalidField('spec.selector', spec.selector, 'empty selector is invalid for deployment'));
  else if (labelPredicate(text)?.({ ...spec.template, metadata: spec.template.metadata ?? {} }) === false)
    causes.push(invalidField('spec.template.metadata.labels', spec.template.metadata?.labels ?? {}, '`selector` does not match template `labels`'));
  podSpec(spec.template.spec, 'spec.template.spec', causes);
  if (spec.template.spec?.restartPolicy !== undefined) oneOf(causes, 'spec.template.spec.restartPolicy', spec.template.spec.restartPolicy, ['Always']);
  if (old) immutable(causes, 'spec.selector', spec.selector, old.spec.selector);
};

const keyed = (object: Json, old: Json | undefined, causes: StatusCause[]): void => {
  for (const field of ['data', 'binaryData'])
    for (const key of Object.keys(object[field] ?? {}))
      if (!/^[-._a-zA-Z0-9]{1,253}$/.test(key)) causes.push(invalidField(`${field}[${key}]`, key, "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"));
  if (!old?.immutable) return;
  if (!object.immutable) causes.push(forbiddenField('immutable', 'field is immutable when `immutable` is set'));
  for (const field of ['data', 'binaryData']) if (!isDeepStrictEqual(object[field], old[field])) causes.push(forbiddenField(field, 'field is immutable when `immutable` is set'));
};

const policy: Check = ({ spec }, _old, causes) => {
  if (!spec) return;
  for (const [index, type] of (spec.policyTypes ?? []).entries()) oneOf(causes, `spec.policyTypes[${index}]`, type, ['Ingress', 'Egress']);
  for (const [direction, side] of [['ingress', 'from'], ['egress', 'to']] as const)
    for (const [index, rule] of (spec[direction] ?? []).entries()) {
      for (const [nth, peer] of (rule[side] ?? []).entries()) {
        const at = `spec.${direction}[${index}].${side}[${nth}]`;
        if (Object.keys(peer).length === 0) causes.push(requiredField(at, 'must specify a peer'));
        if (peer.ipBlock && (peer.podSelector || peer.namespaceSelector)) causes.push(forbiddenField(at, 'may not specify both ipBlock and another peer'));
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
export const causesOf = (resource: Resource, object: Json, old: Json | undefined): StatusCause[] => {
  const causes: StatusCause[] = [];
  checks[resource.id]?.(object, old, causes);
  return causes;
};
