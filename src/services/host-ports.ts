// SPDX-License-Identifier: Apache-2.0
// Host ports of the pods of this node: frontends at the node's addresses, each with the pod as its only backend.
//
//   Pod shop/web ──┬── frontend 0.0.0.0:8080/TCP ──┐
//   hostPort: 8080 │                               └─▶ set shop/web:host-port/80/TCP/IPv4
//                  └── frontend [::]:8080/TCP ───────▶ set shop/web:host-port/80/TCP/IPv6

import { familyOf, ip, parseIp } from '../base/ip.ts';
import type { Family, Ip } from '../base/ip.ts';
import { problem } from '../base/problem.ts';
import type { Problem } from '../base/problem.ts';
import type { Table } from '../base/table.ts';
import type { Protocol } from '../datapath/protocols.ts';
import type { ContainerPort, Pod } from '../kube/types.ts';
import type { NodeAddress } from '../nodes/node-ports.ts';
import { badField } from './bad-field.ts';
import { EVERY_ADDRESS, frontendKey } from './frontends.ts';
import type { BackendSet, Frontend, FrontendKey, SetKey } from './frontends.ts';
import type { ServiceRow } from './service.ts';

/** A pod that runs on this node and has host ports. Key: HostPortKey. */
export type HostPortRow = { readonly pod: string; readonly addresses: readonly Ip[]; readonly ports: readonly HostPort[] };

/** 'Pod namespace/name', so that it is never the name of a Service. */
export type HostPortKey = string;

export type HostPort = {
  /** Undefined: every address of the node, in both families. */
  readonly host: Ip | undefined;
  readonly port: number;
  readonly protocol: Protocol;
  /** Of the container. */
  readonly target: number;
};

/** The row of a pod whose host ports are served: it runs, has addresses of its own, and nobody has asked it to end. */
export function* hostPortRows({ metadata, spec, status }: Pod): Iterable<readonly [HostPortKey, HostPortRow] | Problem> {
  const pod = `${metadata.namespace ?? 'default'}/${metadata.name}`;
  const isServed = status?.phase === 'Running' && metadata.deletionTimestamp === undefined;
  if (spec?.hostNetwork === true || !isServed) return;
  const ports: HostPort[] = [];
  for (const item of (spec?.containers ?? []).flatMap((one) => one.ports ?? [])) {
    if ((item.hostPort ?? 0) === 0) continue;
    const row = hostPortOf(item);
    if (row) ports.push(row);
    else yield badField(`Pod ${pod}`, 'spec.containers.ports', JSON.stringify(item), PORT);
  }
  const texts = status.podIPs ?? [];
  const addresses = texts.map((one) => parseIp(one.ip)).filter((address) => address !== undefined);
  if (ports.length > 0 && addresses.length > 0) yield [`Pod ${pod}`, { pod, addresses, ports }];
}

const PORT = 'ports from 1 to 65535, a protocol of TCP, UDP or SCTP, and a hostIP that is an address';

function hostPortOf({ hostPort: port = 0, containerPort: target, hostIP = '', protocol = 'TCP' }: ContainerPort): HostPort | undefined {
  const host = hostIP === '' ? undefined : parseIp(hostIP);
  if (hostIP !== '' && host === undefined) return undefined;
  if (protocol !== 'TCP' && protocol !== 'UDP' && protocol !== 'SCTP') return undefined;
  const isPort = (number: number) => Number.isInteger(number) && number > 0 && number < 65_536;
  return isPort(port) && isPort(target) ? { host, port, protocol, target } : undefined;
}

export type HostPortContext = {
  readonly nodeAddresses: Table<string, NodeAddress>;
  /** Node ports go before host ports. */
  readonly services: Table<string, ServiceRow>;
};

/** The frontends of one pod, and Problems for host ports that are not served. */
export function* hostPortFrontends(
  row: HostPortRow | undefined,
  context: HostPortContext,
): Iterable<readonly [FrontendKey, Frontend] | Problem> {
  if (!row) return;
  for (const item of row.ports) {
    const trouble = troubleOf(row, item, context);
    if (trouble) {
      yield trouble;
      continue;
    }
    for (const frontend of frontendsOf(row, item)) yield [frontendKey(frontend), frontend];
  }
}

/** The backend sets of one pod, one for each port and family that a frontend of it has. */
export function* hostPortSets(row: HostPortRow | undefined, context: HostPortContext): Iterable<readonly [SetKey, BackendSet]> {
  if (!row) return;
  const found = new Map<SetKey, BackendSet>();
  for (const item of row.ports) {
    if (troubleOf(row, item, context)) continue;
    for (const frontend of frontendsOf(row, item)) {
      const { set: key, protocol, service } = frontend;
      const address = row.addresses.find((one) => familyOf(one) === familyOf(frontend.address));
      if (key === undefined || address === undefined) continue;
      const frontends = [...(found.get(key)?.frontends ?? []), frontendKey(frontend)];
      const backends = [{ address, port: item.target, protocol, state: 'active' }] as const;
      found.set(key, { service, protocol, affinity: 0, maglev: false, frontends, backends, draining: [], sourceRanges: [] });
    }
  }
  yield* found;
}

function* frontendsOf({ pod, addresses }: HostPortRow, { host, port, protocol, target }: HostPort): Iterable<Frontend> {
  const service = `${pod}:host-port`;
  const common = { port, protocol, service, type: 'HostPort', affinity: 0, choice: 'random', dsr: false, sourceRanges: undefined } as const;
  for (const family of new Set(addresses.map(familyOf))) {
    if (host !== undefined && familyOf(host) !== family) continue;
    const set = `${service}/${target}/${protocol}/IPv${family}`;
    const address = host ?? EVERY_ADDRESS[family];
    yield { ...common, address, set, outside: isLoopback(address) ? undefined : set };
  }
}

/** Why nobody is served at this host port. */
function troubleOf({ pod, addresses }: HostPortRow, item: HostPort, { nodeAddresses, services }: HostPortContext): Problem | undefined {
  const { host, port, protocol } = item;
  const refuse = (reason: string, message: string, advice: string) => problem({ object: `Pod ${pod}`, reason, message, advice });
  const [service] = services.by('nodePort', placeText(item));
  if (service && isEvery(host))
    return refuse(
      'HostPortTaken',
      `hostPort ${port}/${protocol} is a node port of Service ${service.name}, which goes before it`,
      `Give the pod another hostPort or a hostIP, or the Service another nodePort`,
    );
  if (host !== undefined && !addresses.some((one) => familyOf(one) === familyOf(host)))
    return refuse('NoSuchFamily', `hostIP ${host} is of a family that the pod has no address of`, `Name an address of the pod's family`);
  if (host === undefined || isEvery(host) || isLoopback(host) || nodeAddresses.has(host)) return undefined;
  const known = Array.from(nodeAddresses.entries(), ([address]) => address).join(', ');
  return refuse(
    'HostIpNotServed',
    `hostIP ${host} is none of the addresses at which this node serves node ports (${known || 'it has none'})`,
    `Name one of those, leave hostIP out, or add the address to nodePort.addresses`,
  );
}

/** What a host port may share with the node port of a Service. */
export function placeText({ port, protocol }: { readonly port: number; readonly protocol: Protocol }): string {
  return `${port}/${protocol}`;
}

function isEvery(host: Ip | undefined): boolean {
  return host === undefined || host === EVERY_ADDRESS[4] || host === EVERY_ADDRESS[6];
}

const LOOPBACK: Readonly<Record<Family, (address: Ip) => boolean>> = {
  4: (address) => address.startsWith('127.'),
  6: (address) => address === ip('::1'),
};

/** Served to the node's own processes alone. */
function isLoopback(address: Ip): boolean {
  return LOOPBACK[familyOf(address)](address);
}
