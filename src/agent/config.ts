// SPDX-License-Identifier: Apache-2.0
// What the agent does, as Helm values say it. Read once at start; a change of values is a new agent.

import { readFileSync } from 'node:fs';
import { messageOf, StentorError } from '../base/errors.ts';
import { addressPort, parseCidr, parseIp, port } from '../base/ip.ts';
import type { Cidr, Family, Ip, Port } from '../base/ip.ts';
import { problem } from '../base/problem.ts';
import type { Problem } from '../base/problem.ts';
import type { BalanceOptions } from '../services/choice.ts';
import { balanceFrom } from './balance-config.ts';
import { hubbleFrom } from './hubble-config.ts';
import type { HubbleConfig } from './hubble-config.ts';
import { masqueradeFrom, nativeCidrs } from './masquerade-config.ts';
import type { Complain, Masquerade } from './masquerade-config.ts';
import { operatorFrom } from './operator-config.ts';
import type { OperatorConfig } from './operator-config.ts';
import { absolute, portAt, texts } from './value-kinds.ts';
import { hostPort, valuesIn } from './values.ts';
import type { Value, Values } from './values.ts';

/** 'auto': as the podCIDRs of the nodes say. */
export type FamilySwitch = 'auto' | boolean;

export type Config = {
  readonly clusterName: string;
  readonly clusterId: number;
  /** Addresses of the Kubernetes API, the preferred one first; empty: as the environment of the pod says. */
  readonly apiServers: readonly string[];
  readonly serviceProxyName: string;
  readonly ipv4: FamilySwitch;
  readonly ipv6: FamilySwitch;
  readonly routingMode: 'native';
  /** Destinations that see the address of the pod. Without one of a family: the podCIDRs of all nodes in that family. */
  readonly nativeRoutingCidrs: readonly Cidr[];
  readonly autoDirectNodeRoutes: boolean;
  readonly skipUnreachableNodes: boolean;
  readonly endpointRoutes: boolean;
  readonly masquerade: Masquerade;
  /** Names, '+' at the end for any suffix, '!' before it for never; empty: found by the agent. */
  readonly devices: readonly string[];
  /** Undefined: that of the node devices. */
  readonly mtu: number | undefined;
  readonly cgroupRoot: string;
  readonly bpfRoot: string;
  readonly kubeProxyReplacement: boolean;
  readonly healthzBindAddress: { readonly host: Ip; readonly port: Port } | undefined;
  readonly socketLbHostOnly: boolean;
  readonly loadBalancer: {
    readonly balance: BalanceOptions;
    readonly mode: 'snat' | 'dsr' | 'hybrid';
    /** How the node of a backend is told the frontend. */
    readonly dispatch: 'opt' | 'geneve';
    readonly acceleration: 'disabled' | 'native' | 'best-effort' | 'testing-only';
    readonly serviceTopology: boolean;
    readonly noBackendResponse: 'reject' | 'drop';
    readonly externalClusterIp: boolean;
    readonly trustExternalIps: boolean;
    readonly rangesOfAllTypes: boolean;
  };
  readonly nodePort: {
    readonly first: Port;
    readonly last: Port;
    readonly addresses: readonly Cidr[];
    readonly bindProtection: boolean;
    readonly protectRange: boolean;
    readonly healthCheck: boolean;
    /** At load balancer IPs, too. */
    readonly healthCheckOnVips: boolean;
  };
  readonly l2announcements: boolean;
  readonly localRedirectPolicy: boolean;
  /** Where addresses may be that policies redirect; empty: anywhere. */
  readonly addressMatcherCidrs: readonly Cidr[];
  readonly cni: { readonly install: boolean; readonly exclusive: boolean; readonly binPath: string; readonly confPath: string };
  readonly hubble: HubbleConfig;
  readonly healthPort: Port;
  readonly prometheus: { readonly port: Port } | undefined;
  readonly operator: OperatorConfig;
  readonly debug: boolean;
};

/** Values that cannot be used; `mistakes` has a line of text for each. */
export class ConfigError extends StentorError {
  readonly mistakes: readonly string[];
  constructor(file: string, mistakes: readonly string[]) {
    super(
      'InvalidConfig',
      `Cannot use ${file}: ${mistakes.length === 1 ? 'one mistake' : `${mistakes.length} mistakes`}\n${mistakes.map((mistake) => `  ${mistake}`).join('\n')}`,
    );
    this.mistakes = mistakes;
  }
}

export type ConfigAndWarnings = {
  readonly config: Config;
  readonly warnings: readonly Problem[];
  /** Paths of values that have no effect before a later version. */
  readonly planned: readonly string[];
};

/** Reads the file at `path`. Throws ConfigError with every mistake in it, or why it cannot be read. */
export function readConfig(path: string): ConfigAndWarnings {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new ConfigError(path, [messageOf(error)]);
  }
  return configOf(text, path);
}

/** The configuration in `text`, which messages call `file`. Throws ConfigError. */
export function configOf(text: string, file: string): ConfigAndWarnings {
  const values = valuesIn(text);
  const mistakes = [...values.mistakes];
  // A value of a wrong type reads as its default, so that what follows finds the other mistakes too.
  const config = frozen(
    configFrom(values, (path, wanted) => {
      const known = mistakes.some((mistake) => mistake.startsWith(`${values.where(path)} `));
      if (!known) mistakes.push(`${values.where(path)} is ${JSON.stringify(values.get(path)) ?? 'not set'}, wanted ${wanted}`);
    }),
  );
  if (mistakes.length > 0) throw new ConfigError(file, mistakes);
  const warnings = values.warnings.map(({ path, message }) =>
    problem({
      object: `Config ${path}`,
      reason: 'ValueWithoutEffect',
      message,
      advice: `Remove ${path} from the values, or accept that it does nothing`,
    }),
  );
  return { config, warnings, planned: values.planned };
}

function configFrom(values: Values, complain: Complain): Config {
  const flag = (path: string) => values.get(path) === true;
  const text = (path: string) => String(values.get(path) ?? '');
  const listenAt = hostPort(text('kubeProxyReplacementHealthzBindAddr'));
  if (flag('l2announcements.enabled') && !flag('kubeProxyReplacement'))
    complain('kubeProxyReplacement', 'true, as l2announcements.enabled is true');
  return {
    ...clusterFrom(values, complain),
    serviceProxyName: text('k8s.serviceProxyName'),
    ipv4: familySwitch(values, 4),
    ipv6: familySwitch(values, 6),
    routingMode: 'native',
    nativeRoutingCidrs: nativeCidrs(values, complain),
    autoDirectNodeRoutes: flag('autoDirectNodeRoutes'),
    skipUnreachableNodes: flag('directRoutingSkipUnreachable'),
    endpointRoutes: flag('endpointRoutes.enabled'),
    masquerade: masqueradeFrom(values),
    devices: texts(values.get('devices')),
    mtu: Number(values.get('MTU')) || undefined,
    cgroupRoot: absolute(values, 'cgroup.hostRoot', complain),
    bpfRoot: absolute(values, 'bpf.root', complain),
    kubeProxyReplacement: flag('kubeProxyReplacement'),
    healthzBindAddress: listenAt && { host: listenAt.host, port: port(listenAt.port) },
    socketLbHostOnly: flag('socketLB.hostNamespaceOnly'),
    loadBalancer: loadBalancerFrom(values, complain),
    nodePort: nodePortsFrom(values, complain),
    l2announcements: flag('l2announcements.enabled'),
    addressMatcherCidrs: texts(values.get('localRedirectPolicies.addressMatcherCIDRs')).flatMap((text) => parseCidr(text) ?? []),
    localRedirectPolicy: flag('localRedirectPolicy') || flag('localRedirectPolicies.enabled'),
    cni: {
      install: flag('cni.install'),
      exclusive: flag('cni.exclusive'),
      binPath: absolute(values, 'cni.binPath', complain),
      confPath: absolute(values, 'cni.confPath', complain),
    },
    hubble: hubbleFrom(values, complain),
    healthPort: portAt(values, 'healthPort'),
    prometheus: flag('prometheus.enabled') ? { port: portAt(values, 'prometheus.port') } : undefined,
    operator: operatorFrom(values, complain),
    debug: flag('debug.enabled'),
  };
}

function loadBalancerFrom(values: Values, complain: Complain): Config['loadBalancer'] {
  return {
    balance: balanceFrom(values, complain),
    mode: oneOf(values.get('loadBalancer.mode'), ['snat', 'dsr', 'hybrid']),
    dispatch: oneOf(values.get('loadBalancer.dsrDispatch'), ['opt', 'geneve']),
    acceleration: oneOf(values.get('loadBalancer.acceleration'), ['disabled', 'native', 'best-effort', 'testing-only']),
    serviceTopology: values.get('loadBalancer.serviceTopology') === true,
    noBackendResponse: oneOf(values.get('serviceNoBackendResponse'), ['reject', 'drop']),
    externalClusterIp: values.get('bpf.lbExternalClusterIP') === true,
    rangesOfAllTypes: values.get('bpf.lbSourceRangeAllTypes') === true,
    trustExternalIps: values.get('bpf.disableExternalIPMitigation') === true,
  };
}

function clusterFrom(values: Values, complain: Complain): Pick<Config, 'clusterName' | 'clusterId' | 'apiServers'> {
  const clusterName = String(values.get('cluster.name'));
  if (!/^[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?$/.test(clusterName))
    complain('cluster.name', 'lower-case letters, digits and hyphens, at most 32');
  const clusterId = Number(values.get('cluster.id'));
  if (!Number.isInteger(clusterId) || clusterId > 255) complain('cluster.id', 'a whole number from 0 to 255');
  const host = String(values.get('k8sServiceHost'));
  const number = values.get('k8sServicePort');
  if (host !== '' && number === undefined) complain('k8sServicePort', 'the port of k8sServiceHost');
  if (host === '' && number !== undefined) complain('k8sServiceHost', 'the host of k8sServicePort');
  const first = host !== '' && number !== undefined ? [`https://${hostAndPort(host, port(Number(number)))}`] : [];
  const more = String(values.get('k8s.apiServerURLs'))
    .split(/[\s,]+/)
    .filter((url) => url !== '');
  for (const url of more)
    if (URL.parse(url)?.protocol !== 'https:')
      complain('k8s.apiServerURLs', `addresses such as https://192.168.0.11:6443; '${url}' is none`);
  return { clusterName, clusterId, apiServers: [...first, ...more] };
}

/** IPv6 in brackets, whether it came so or not. */
function hostAndPort(host: string, number: Port): string {
  const address = parseIp(host.replace(/^\[(.*)\]$/, '$1'));
  return address === undefined ? `${host}:${number}` : addressPort(address, number);
}

function familySwitch(values: Values, family: Family): FamilySwitch {
  const said = values.get(family === 4 ? 'ipv4.enabled' : 'ipv6.enabled');
  return typeof said === 'boolean' ? said : 'auto';
}

function nodePortsFrom(values: Values, complain: Complain): Config['nodePort'] {
  const range = /^(\d{1,5})[,-](\d{1,5})$/.exec(String(values.get('nodePort.range') || '30000,32767'));
  const [first, last] = [Number(range?.[1]), Number(range?.[2])];
  const usable = first > 0 && first <= last && last < 0xffff; // masquerade has the ports above
  if (!usable) complain('nodePort.range', 'two ports such as 30000,32767, the last of them below 65535');
  return {
    first: port(usable ? first : 30000),
    last: port(usable ? last : 32767),
    addresses: texts(values.get('nodePort.addresses')).flatMap((text) => parseCidr(text) ?? []),
    bindProtection: values.get('nodePort.bindProtection') === true,
    protectRange: values.get('nodePort.autoProtectPortRange') === true,
    healthCheck: values.get('nodePort.enableHealthCheck') === true,
    healthCheckOnVips: values.get('nodePort.enableHealthCheckLoadBalancerIP') === true,
  };
}

/** The word among `words` that the table of values has let through. */
function oneOf<const W extends string>(value: Value | undefined, words: readonly [W, ...W[]]): W {
  return words.find((word) => word === value) ?? words[0];
}

function frozen<T>(value: T): T {
  if (typeof value === 'object' && value !== null) for (const part of Object.values(Object.freeze(value))) frozen(part);
  return value;
}
