// SPDX-License-Identifier: Apache-2.0
// An agent of the fuzzer: the shipped tables and derivations, and what it has heard of the API.

import type { Derivation } from '../base/derive.ts';
import { ip, parseMac } from '../base/ip.ts';
import { problemBook } from '../base/problem.ts';
import { table } from '../base/table.ts';
import type { Table, Writer } from '../base/table.ts';
import type { EndpointRow } from '../endpoints/endpoint.ts';
import type { IdentityRow, NamespaceRow, PodRow, RemotePod } from './facts.ts';
import type { Range } from './numbers.ts';
import { identitySources, identityTables } from './tables.ts';
import type { IdentityTables } from './tables.ts';

export type Kind = 'identities' | 'endpoints' | 'pods';

export type Agent = {
  readonly tables: IdentityTables;
  readonly endpoints: Writer<string, EndpointRow>;
  readonly pods: Writer<string, PodRow>;
  readonly identities: Writer<string, IdentityRow>;
  readonly remotePods: Writer<string, RemotePod>;
  /** How much of each log it has heard; undefined: not even listed. */
  readonly heard: Record<Kind, number | undefined>;
};

/** What is on a node whether or not its agent runs: endpoints as files, and the numbers that they have in the kernel. */
export type Outlives = { readonly files: Map<string, EndpointRow>; readonly kernel: Map<string, number> };

const MAC = parseMac('02:00:00:00:00:01');

/** A new agent on a node that has `files` and `kernel`. */
export function startedAgent(node: number, range: Range, { files, kernel }: Outlives): Agent {
  const sources = identitySources();
  const endpoints = table<string, EndpointRow>('endpoints', { indexes: { pod: ({ namespace, pod }) => [`${namespace}/${pod}`] } });
  const nodes = table<string, { readonly addresses: readonly ReturnType<typeof ip>[] }>('nodes');
  const tables = identityTables({
    ...sources,
    endpoints,
    nodes,
    self: `node${node}`,
    before: new Map(kernel),
    clusterName: 'home',
    range,
    problems: problemBook(),
  });
  const agent: Agent = {
    tables,
    endpoints: endpoints.writer('cni'),
    pods: sources.pods.writer('kubernetes'),
    identities: sources.identities.writer('kubernetes'),
    remotePods: sources.remotePods.writer('kubernetes'),
    heard: { identities: undefined, endpoints: undefined, pods: undefined },
  };
  for (const [key, row] of files) agent.endpoints.put(key, row);
  agent.endpoints.complete();
  written(nodes, `node${node}`, { addresses: [ip(addressOf(node))] });
  written<string, NamespaceRow>(sources.namespaces, 'shop', {});
  return agent;
}

function written<K extends string, R>(into: Table<K, R>, key: K, row: R): void {
  const writer = into.writer('fuzz');
  writer.put(key, row);
  writer.complete();
}

export function settle(derivations: readonly Derivation[]): void {
  for (let again = true; again;) {
    for (const one of derivations) one.run();
    again = derivations.some((one) => one.pending > 0);
  }
}

export function addressOf(node: number): string {
  return `192.168.0.${10 + node}`;
}

export function endpointRow(hostInterface: string, pod: string): EndpointRow {
  if (MAC === undefined) throw new Error('Cannot read the MAC of the fuzzer');
  return {
    hostInterface,
    id: 1,
    interfaceIndex: 1,
    containerId: hostInterface,
    interfaceName: 'eth0',
    netns: '',
    netnsCookie: '',
    namespace: 'shop',
    pod,
    uid: pod,
    addresses: [ip('10.244.0.1')],
    mac: MAC,
    mtu: 1500,
  };
}
