// SPDX-License-Identifier: Apache-2.0
// What a container runtime asks of a network plugin, read from what cni/shim.c sends. Pure: bytes in, a request out, never an exception.
//
//   request   "NAME=value\0" for each CNI_ variable, then "\0", then the network configuration (JSON)
// Source: CNI specification 1.1.0, https://www.cni.dev/docs/spec/

import type { CniFailure, CniReply, CniVersion } from './cni-reply.ts';
import { CNI_VERSIONS, CniCode, FALLBACK_VERSION, failed } from './cni-reply.ts';

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
export type CniRequest =
  | AddRequest
  | DelRequest
  | { readonly kind: 'version'; readonly cniVersion: CniVersion }
  | { readonly kind: 'check' | 'status' | 'gc'; readonly cniVersion: CniVersion }
  | { readonly kind: 'refused'; readonly cniVersion: CniVersion; readonly failure: CniFailure };

/** The answer to whatever needs no pod: versions, refusals, verbs that are not supported. Undefined for ADD and DEL. */
export function standingReply(request: CniRequest): CniReply | undefined {
  switch (request.kind) {
    case 'add':
    case 'del':
      return undefined;
    case 'version':
      return { kind: 'versions' };
    case 'refused':
      return { kind: 'failed', failure: request.failure };
    case 'check':
    case 'status':
    case 'gc':
      return failed(
        CniCode.invalidEnvironment,
        `Cannot run CNI_COMMAND=${request.kind.toUpperCase()}: not supported yet, wanted ADD, DEL or VERSION`,
      );
  }
}

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

type Variables = ReadonlyMap<string, string>;
type NetworkConfig = { readonly cniVersion: CniVersion; readonly network: string; readonly chained: boolean };

function requestOf(
  command: string | undefined,
  variables: Variables,
  { cniVersion, network, chained }: NetworkConfig,
): CniRequest | CniFailure {
  // oxlint-disable-next-line typescript/switch-exhaustiveness-check -- a command is any text
  switch (command) {
    case 'VERSION':
      return { kind: 'version', cniVersion };
    case 'CHECK':
      return { kind: 'check', cniVersion };
    case 'STATUS':
      return { kind: 'status', cniVersion };
    case 'GC':
      return { kind: 'gc', cniVersion };
    case 'ADD':
      if (chained)
        return {
          code: CniCode.invalidConfig,
          message: `Cannot run ADD in network ${network}: found a prevResult, wanted to be the first plugin of the list`,
        };
      return addRequest(variables, cniVersion, network);
    case 'DEL':
      return delRequest(variables, cniVersion);
    default:
      return { code: CniCode.invalidEnvironment, message: `Cannot run CNI_COMMAND=${shown(command)}, wanted ADD, DEL or VERSION` };
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

type Form = { readonly wanted: string; readonly holds: (value: string) => boolean };

const CONTAINER_ID: Form = {
  wanted: 'a letter or digit, then letters, digits, dots, hyphens and underscores, at most 256',
  holds: (value) => /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,255}$/.test(value),
};
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

/** The environment up to the empty string, and the bytes after it. */
function framesOf(message: Uint8Array): { readonly variables: Variables; readonly stdin: Uint8Array } | CniFailure {
  const variables = new Map<string, string>();
  for (let at = 0; ;) {
    const end = message.indexOf(0, at);
    if (end < 0)
      return { code: CniCode.undecodable, message: `Cannot read a request of ${message.length} bytes: its environment has no end` };
    if (end === at) return { variables, stdin: message.subarray(at + 1) };
    const text = utf8(message.subarray(at, end));
    const equals = text?.indexOf('=') ?? -1;
    if (text === undefined || equals < 1)
      return { code: CniCode.invalidEnvironment, message: `Cannot read environment variable ${shown(text)}, wanted NAME=value in UTF-8` };
    const name = text.slice(0, equals);
    if (variables.has(name)) return wrong(name, text.slice(equals + 1), 'it once');
    variables.set(name, text.slice(equals + 1));
    at = end + 1;
  }
}

/** Only VERSION may come without a configuration, and with a version that is not ours: it asks which are. */
function configOf(stdin: Uint8Array, isVersion: boolean): NetworkConfig | CniFailure {
  if (isVersion && stdin.length === 0) return { cniVersion: FALLBACK_VERSION, network: '', chained: false };
  const text = utf8(stdin);
  if (text === undefined)
    return { code: CniCode.undecodable, message: `Cannot read a network configuration of ${stdin.length} bytes, wanted UTF-8` };
  const config = jsonObject(text);
  if (config === undefined)
    return { code: CniCode.undecodable, message: `Cannot read the network configuration ${shown(text)}, wanted a JSON object` };
  const cniVersion = CNI_VERSIONS.find((version) => version === config['cniVersion']);
  if (isVersion) return { cniVersion: cniVersion ?? FALLBACK_VERSION, network: '', chained: false };
  if (cniVersion === undefined)
    return {
      code: CniCode.incompatibleVersion,
      message: `Cannot serve cniVersion ${shown(config['cniVersion'])}, wanted ${CNI_VERSIONS.join(', ')}`,
    };
  const network = config['name'];
  if (typeof network !== 'string' || !/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,255}$/.test(network))
    return { code: CniCode.invalidConfig, message: `Cannot use network name ${shown(network)}, wanted ${CONTAINER_ID.wanted}` };
  return { cniVersion, network, chained: config['prevResult'] !== undefined && config['prevResult'] !== null };
}

function jsonObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed) ? { ...parsed } : undefined;
  } catch {
    return undefined;
  }
}

function utf8(part: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(part);
  } catch {
    return undefined;
  }
}

function wrong(variable: string, value: string | undefined, wanted: string): CniFailure {
  return { code: CniCode.invalidEnvironment, message: `Cannot use ${variable}=${shown(value)}, wanted ${wanted}` };
}

function hasControl(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) < 0x20 || text.charCodeAt(i) === 0x7f) return true;
  return false;
}

/** A value as a message may carry it: quoted, without control characters, at most 80 characters. */
function shown(value: unknown): string {
  const text = JSON.stringify(value); // undefined for undefined, whatever its type says
  if (value === undefined) return '(not set)';
  return text.length > 80 ? `${text.slice(0, 80)}… (${text.length} characters)` : text;
}
