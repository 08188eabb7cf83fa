// SPDX-License-Identifier: Apache-2.0
// What a container runtime asks of a network plugin, read from what cni/shim.c sends. Pure: bytes in, a request out, never an exception.
//
//   request   "NAME=value\0" for each CNI_ variable, then "\0", then the network configuration (JSON)
// Source: CNI specification 1.1.0, https://www.cni.dev/docs/spec/

import { parseCidr } from '../base/ip.ts';
import type { Ip } from '../base/ip.ts';
import { configOf, CONTAINER_ID, framesOf, hasControl, isObject, shown, wrong } from './cni-input.ts';
import type { Form, NetworkConfig, Variables } from './cni-input.ts';
import type { CniFailure, CniVersion } from './cni-reply.ts';
import { CNI_VERSIONS, CniCode, FALLBACK_VERSION } from './cni-reply.ts';

/** What the runtime knows of the pod. Kubernetes runtimes always give namespace and name. */
export type CniArgs = { readonly namespace: string | undefined; readonly pod: string | undefined; readonly uid: string | undefined };

export type AddRequest = {
  readonly kind: 'add';
  readonly cniVersion: CniVersion;
  readonly containerId: string;
  /** Absolute path of the pod's network namespace. */
  readonly netns: string;
  readonly ifName: string;
  readonly namespace: string;
  readonly pod: string;
  readonly uid: string | undefined;
  /** Name of the network in the configuration. */
  readonly network: string;
};
export type DelRequest = {
  readonly kind: 'del';
  readonly cniVersion: CniVersion;
  readonly containerId: string;
  readonly ifName: string;
  /** Undefined when the namespace is gone already. */
  readonly netns: string | undefined;
  readonly args: CniArgs;
};
export type CheckRequest = {
  readonly kind: 'check';
  readonly cniVersion: CniVersion;
  readonly containerId: string;
  readonly ifName: string;
  readonly netns: string;
  /** Addresses that an earlier plugin, or we, gave the interface: what prevResult has for it. */
  readonly addresses: readonly Ip[];
};
export type StatusRequest = { readonly kind: 'status'; readonly cniVersion: CniVersion };
/** One interface of one container. */
export type AttachmentName = { readonly containerId: string; readonly ifName: string };
export type GcRequest = {
  readonly kind: 'gc';
  readonly cniVersion: CniVersion;
  /** What the runtime still has; everything else may go. */
  readonly valid: readonly AttachmentName[];
};
/** What the agent has to do something for. */
export type CniCall = AddRequest | DelRequest | CheckRequest | StatusRequest | GcRequest;
export type CniRequest =
  | CniCall
  | { readonly kind: 'version'; readonly cniVersion: CniVersion }
  | { readonly kind: 'refused'; readonly cniVersion: CniVersion; readonly failure: CniFailure };

/** The request in `message`, or what is wrong with it as kind 'refused'. Never throws. */
export function cniRequest(message: Uint8Array): CniRequest {
  const split = framesOf(message);
  if ('code' in split) return { kind: 'refused', cniVersion: FALLBACK_VERSION, failure: split };
  const { variables, stdin } = split;
  const command = variables.get('CNI_COMMAND');
  const config = configOf(stdin, command === 'VERSION');
  if ('code' in config) return { kind: 'refused', cniVersion: FALLBACK_VERSION, failure: config };
  const request = requestOf(command, variables, config);
  return 'code' in request ? { kind: 'refused', cniVersion: config.cniVersion, failure: request } : request;
}

function requestOf(command: string | undefined, variables: Variables, config: NetworkConfig): CniRequest | CniFailure {
  const { cniVersion, network, fields } = config;
  const since = command === undefined ? undefined : SINCE[command];
  if (since !== undefined && CNI_VERSIONS.indexOf(cniVersion) < CNI_VERSIONS.indexOf(since))
    return {
      code: CniCode.incompatibleVersion,
      message: `Cannot run CNI_COMMAND=${command} with cniVersion ${cniVersion}, wanted ${since} or later`,
    };
  // oxlint-disable-next-line typescript/switch-exhaustiveness-check -- a command is any text
  switch (command) {
    case 'VERSION':
      return { kind: 'version', cniVersion };
    case 'CHECK':
      return checkRequest(variables, config);
    case 'STATUS':
      return { kind: 'status', cniVersion };
    case 'GC':
      return gcRequest(config);
    case 'ADD':
      if (fields['prevResult'] !== undefined && fields['prevResult'] !== null)
        return {
          code: CniCode.invalidConfig,
          message: `Cannot run ADD in network ${network}: found a prevResult, wanted to be the first plugin of the list`,
        };
      return addRequest(variables, cniVersion, network);
    case 'DEL':
      return delRequest(variables, cniVersion);
    default:
      return {
        code: CniCode.invalidEnvironment,
        message: `Cannot run CNI_COMMAND=${shown(command)}, wanted ADD, DEL, CHECK, STATUS, GC or VERSION`,
      };
  }
}

function addRequest(variables: Variables, cniVersion: CniVersion, network: string): AddRequest | CniFailure {
  const container = containerOf(variables);
  if ('code' in container) return container;
  const { args, netns, ...rest } = container;
  if (netns === undefined) return wrong('CNI_NETNS', undefined, NETNS.wanted);
  if (args.namespace === undefined) return wrong('CNI_ARGS', variables.get('CNI_ARGS'), 'K8S_POD_NAMESPACE in it');
  if (args.pod === undefined) return wrong('CNI_ARGS', variables.get('CNI_ARGS'), 'K8S_POD_NAME in it');
  return { kind: 'add', cniVersion, ...rest, netns, namespace: args.namespace, pod: args.pod, uid: args.uid, network };
}

function delRequest(variables: Variables, cniVersion: CniVersion): DelRequest | CniFailure {
  const container = containerOf(variables);
  return 'code' in container ? container : { kind: 'del', cniVersion, ...container };
}

/** The version of the specification that brought a verb. */
const SINCE: Readonly<Record<string, CniVersion>> = { CHECK: '0.4.0', STATUS: '1.1.0', GC: '1.1.0' };

function checkRequest(variables: Variables, { cniVersion, fields }: NetworkConfig): CheckRequest | CniFailure {
  const container = containerOf(variables);
  if ('code' in container) return container;
  const { netns, containerId, ifName } = container;
  if (netns === undefined) return wrong('CNI_NETNS', undefined, NETNS.wanted);
  const addresses = addressesIn(fields['prevResult'], ifName);
  return 'code' in addresses ? addresses : { kind: 'check', cniVersion, containerId, ifName, netns, ...addresses };
}

/** The addresses that a result gives an interface in a pod; those that name no interface count as well. */
function addressesIn(result: unknown, ifName: string): { readonly addresses: readonly Ip[] } | CniFailure {
  const unusable = (wanted: string): CniFailure => ({
    code: CniCode.invalidConfig,
    message: `Cannot check ${ifName}: prevResult is ${shown(result)}, wanted ${wanted}`,
  });
  if (!isObject(result)) return unusable('the result of ADD');
  const { interfaces = [], ips = [] } = result;
  if (!Array.isArray(interfaces) || !Array.isArray(ips)) return unusable('lists of interfaces and ips');
  const addresses: Ip[] = [];
  for (const item of ips) {
    const found = isObject(item) && typeof item['address'] === 'string' ? parseCidr(item['address']) : undefined;
    if (!isObject(item) || found === undefined) return unusable('an address with its length in each of ips');
    const link: unknown = interfaces[Number(item['interface'] ?? -1)];
    if (!isObject(link) || (link['name'] === ifName && link['sandbox'])) addresses.push(found.ip);
  }
  return { addresses };
}

/** libcni 1.2 gives the list under two names: the specification had another one at first. */
function gcRequest({ cniVersion, fields }: NetworkConfig): GcRequest | CniFailure {
  const list = fields['cni.dev/valid-attachments'] ?? fields['cni.dev/attachments'];
  const unusable = (wanted: string): CniFailure => ({
    code: CniCode.invalidConfig,
    message: `Cannot collect garbage: cni.dev/valid-attachments is ${shown(list)}, wanted ${wanted}`,
  });
  if (!Array.isArray(list)) return unusable('the list of attachments that the runtime has');
  const valid: AttachmentName[] = [];
  for (const item of list) {
    const { containerID: containerId, ifname: ifName } = isObject(item) ? item : {};
    if (typeof containerId !== 'string' || !CONTAINER_ID.holds(containerId) || typeof ifName !== 'string' || !IF_NAME.holds(ifName))
      return unusable('containerID and ifname in each of it'); // what is not understood may be a pod that lives
    valid.push({ containerId, ifName });
  }
  return { kind: 'gc', cniVersion, valid };
}

/** Linux: 15 bytes, and no name that would change a path under /proc/sys/net or /sys/class/net. */
const IF_NAME: Form = {
  wanted: 'an interface name of 1 to 15 visible characters without slash and colon',
  holds: (value) => /^[!-.0-9;-~]{1,15}$/.test(value) && value !== '.' && value !== '..',
};
const NETNS: Form = {
  wanted: "an absolute path without '..'",
  holds: (value) => value.startsWith('/') && value.length < 4096 && !value.split('/').includes('..') && !hasControl(value),
};
const DNS_LABEL: Form = { wanted: 'a DNS label', holds: (value) => /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(value) };
const DNS_NAME: Form = {
  wanted: 'a DNS name',
  holds: (value) => value.length <= 253 && /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/.test(value),
};
const UID: Form = { wanted: 'letters, digits and hyphens, at most 128', holds: (value) => /^[a-zA-Z0-9-]{1,128}$/.test(value) };

type Container = { readonly containerId: string; readonly ifName: string; readonly netns: string | undefined; readonly args: CniArgs };

function containerOf(variables: Variables): Container | CniFailure {
  const containerId = variables.get('CNI_CONTAINERID') ?? '';
  if (!CONTAINER_ID.holds(containerId)) return wrong('CNI_CONTAINERID', variables.get('CNI_CONTAINERID'), CONTAINER_ID.wanted);
  const ifName = variables.get('CNI_IFNAME') ?? '';
  if (!IF_NAME.holds(ifName)) return wrong('CNI_IFNAME', variables.get('CNI_IFNAME'), IF_NAME.wanted);
  const netns = variables.get('CNI_NETNS') || undefined;
  if (netns !== undefined && !NETNS.holds(netns)) return wrong('CNI_NETNS', netns, NETNS.wanted);
  const args = argsOf(variables.get('CNI_ARGS') ?? '');
  return 'code' in args ? args : { containerId, ifName, netns, args };
}

/** CNI_ARGS is 'KEY=value;KEY=value'. Keys that we do not know are for others. */
function argsOf(text: string): CniArgs | CniFailure {
  const values = new Map<string, string>();
  for (const pair of text.split(';')) {
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    if (equals < 1) return wrong('CNI_ARGS', text, 'KEY=value pairs with semicolons between them');
    values.set(pair.slice(0, equals), pair.slice(equals + 1));
  }
  const forms = { K8S_POD_NAMESPACE: DNS_LABEL, K8S_POD_NAME: DNS_NAME, K8S_POD_UID: UID };
  for (const [key, form] of Object.entries(forms)) {
    const value = values.get(key);
    if (value !== undefined && value !== '' && !form.holds(value)) return wrong(`CNI_ARGS ${key}`, value, form.wanted);
  }
  const present = (key: string) => values.get(key) || undefined;
  return { namespace: present('K8S_POD_NAMESPACE'), pod: present('K8S_POD_NAME'), uid: present('K8S_POD_UID') };
}
