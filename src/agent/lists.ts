// SPDX-License-Identifier: Apache-2.0
// What the agent tells of nodes and addresses, and of a packet that somebody asks about.

import { setImmediate as turn } from 'node:timers/promises';
import { cidrText, familyOf } from '../base/ip.ts';
import type { Family, Ip } from '../base/ip.ts';
import { labelList } from '../identities/labels.ts';
import { Reserved } from '../identities/numbers.ts';
import type { IdentityTables } from '../identities/tables.ts';
import type { NodeTables } from '../nodes/tables.ts';
import { packetFor } from '../trace/ends.ts';
import type { Question } from '../trace/ends.ts';
import { traceOf } from '../trace/trace.ts';
import type { TraceTables } from '../trace/trace.ts';
import type { IpRow, NodeListRow, TraceAnswer } from './api-types.ts';
import type { Insides } from './providers.ts';

/** Rows that are made before the event loop gets a turn: below 10 ms. */
const SLICE = 2000;

export function nodeList({ nodes, config, self }: Pick<Insides, 'nodes' | 'config' | 'self'>): NodeListRow[] {
  return Array.from(nodes.nodes.entries(), ([name, { addresses, podCidrs }]) => {
    const of = (family: Family) => ({
      address: addresses.find((address) => familyOf(address) === family),
      cidr: podCidrs.filter((range) => familyOf(range.ip) === family).map(cidrText)[0],
    });
    return {
      name: `${config.clusterName}/${name}`,
      ipv4: of(4),
      ipv6: of(6),
      source: name === self ? ('local' as const) : ('custom-resource' as const),
    };
  }).toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** Every prefix that this node knows something of, pods of its own among them. */
export async function ipList({
  nodes,
  endpoints,
  identities,
  self,
}: Pick<Insides, 'nodes' | 'endpoints' | 'identities' | 'self'>): Promise<IpRow[]> {
  const own = nodes.nodes.get(self)?.addresses ?? [];
  const rows: IpRow[] = [];
  for (const [key, endpoint] of endpoints.endpoints.entries()) {
    const identity = identities.endpointIdentities.get(key)?.identity ?? Reserved.init;
    for (const address of endpoint.addresses)
      rows.push({
        prefix: hostPrefix(address),
        identity,
        labels: labelsOf(identity, identities),
        source: 'local',
        host: own.find((one) => familyOf(one) === familyOf(address)),
      });
  }
  const hosts = podHosts(nodes);
  for (const [, { key, value }] of Array.from(nodes.ipcache.entries())) {
    if (rows.length % SLICE === 0) await turn();
    const { address, prefixLength } = key;
    const prefix = `${address}/${familyOf(address) === 4 ? prefixLength - 96 : prefixLength}`;
    const source = own.includes(address) ? 'local' : value.identity === Reserved.world ? 'generated' : 'custom-resource';
    rows.push({ prefix, identity: value.identity, labels: labelsOf(value.identity, identities), source, host: hosts.get(prefix) });
  }
  return rows;
}

/** The node's address by its podCIDR. */
function podHosts({ nodes }: NodeTables): ReadonlyMap<string, Ip> {
  const found = new Map<string, Ip>();
  for (const [, { addresses, podCidrs }] of nodes.entries())
    for (const range of podCidrs) {
      const host = addresses.find((address) => familyOf(address) === familyOf(range.ip));
      if (host !== undefined) found.set(cidrText(range), host);
    }
  return found;
}

function hostPrefix(address: Ip): string {
  return `${address}/${familyOf(address) === 4 ? 32 : 128}`;
}

/** Where the label is not the name. */
const words: Readonly<Record<string, string>> = {
  remoteNode: 'remote-node',
  kubeApiServer: 'kube-apiserver',
  worldIpv4: 'world-ipv4',
  worldIpv6: 'world-ipv6',
};
const reserved = new Map<number, string>(Object.entries(Reserved).map(([name, number]) => [number, `reserved:${words[name] ?? name}`]));

function labelsOf(identity: number, { identities }: IdentityTables): readonly string[] {
  const row = identities.get(String(identity));
  return row ? labelList(row.labels) : [reserved.get(identity) ?? String(identity)];
}

/** What becomes of a packet, or why the question is none. */
export function traceAnswer(
  question: Question,
  { self, endpoints, services, skips, nodes, identities, config, hostCookie }: Insides,
): TraceAnswer {
  const tables: TraceTables = {
    self,
    endpoints,
    services,
    skips,
    hostCookie,
    nodes,
    remotePods: identities.remotePods,
    masquerade: config.masquerade,
    socketLbHostOnly: config.socketLbHostOnly,
    natPortFirst: config.nodePort.last + 1,
    noBackendReject: config.loadBalancer.noBackendResponse === 'reject',
  };
  const packet = packetFor(question, tables);
  return typeof packet === 'string' ? { kind: 'misunderstood', message: packet } : { kind: 'trace', trace: traceOf(packet, tables) };
}
