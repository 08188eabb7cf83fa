// SPDX-License-Identifier: Apache-2.0
// `node list`: every node of the cluster as this one knows it.

import type { NodeListRow } from '../agent/api-types.ts';
import { ask } from './client.ts';
import { list } from './columns.ts';
import type { Io } from './command.ts';
import { argumentsOf, outputOption, print, UsageError } from './command.ts';

export const help = `Usage: NAME node list [-o json]

Every node with its addresses and the ranges of its pods. Source: local (this node), custom-resource (from the Kubernetes API).

Examples:
  NAME node list
  NAME node list -o json
`;

export async function run(args: readonly string[], io: Io): Promise<number> {
  const { values, positionals } = argumentsOf(args, outputOption, 1);
  if (positionals[0] !== 'list') throw new UsageError(`Cannot run 'node ${positionals[0] ?? ''}', wanted node list`);
  print(io, values.output, await ask<readonly NodeListRow[]>(io.socket, '/nodes'), nodeText);
  return 0;
}

export function nodeText(nodes: readonly NodeListRow[]): string {
  return list(
    ['Name', 'IPv4 Address', 'Endpoint CIDR', 'IPv6 Address', 'Endpoint CIDR', 'Source'],
    nodes.map(({ name, ipv4, ipv6, source }) => [name, ipv4.address ?? '', ipv4.cidr ?? '', ipv6.address ?? '', ipv6.cidr ?? '', source]),
  );
}
