// SPDX-License-Identifier: Apache-2.0
// `endpoint list`, `endpoint get`: the pods of this node that are ours.

import type { EndpointRow } from '../agent/api-types.ts';
import { ask } from './client.ts';
import type { Line } from './columns.ts';
import { list } from './columns.ts';
import type { Io } from './command.ts';
import { argumentsOf, outputOption, print, UsageError } from './command.ts';

export const help = `Usage: NAME endpoint list|get ID|POD [-o json]

Every pod of this node: policy, identity, labels, addresses, state. Or one, by its id, its address or its namespace/name, as JSON.

Examples:
  NAME endpoint list
  NAME endpoint get 12
  NAME endpoint get shop/cart-6a63e388e9-kjxpm
`;

export async function run(args: readonly string[], io: Io): Promise<number> {
  const { values, positionals } = argumentsOf(args, outputOption, 2);
  const [verb, name] = positionals;
  if (!(verb === 'list' && name === undefined) && !(verb === 'get' && name !== undefined))
    throw new UsageError(`Cannot run 'endpoint ${positionals.join(' ')}', wanted endpoint list or endpoint get ID|POD`);
  const all = await ask<readonly EndpointRow[]>(io.socket, '/endpoints');
  if (name === undefined) {
    print(io, values.output, all, endpointText);
    return 0;
  }
  const found = all.filter(({ id, pod, ipv4, ipv6 }) =>
    [String(id), pod, `pod-name:${pod.replace('/', ':')}`, `ipv4:${ipv4}`, ipv4, ipv6].includes(name),
  );
  if (found.length === 0) {
    io.err(`Cannot find the endpoint ${name}: 'endpoint list' has those of this node\n`);
    return 1;
  }
  print(io, values.output ?? 'json', found, endpointText);
  return 0;
}

/** One label a line: the first beside its endpoint, the others under it. */
export function endpointText(endpoints: readonly EndpointRow[]): string {
  const rows = endpoints
    .toSorted((a, b) => a.id - b.id)
    .flatMap(({ id, policyIngress, policyEgress, identity, labels, ipv6, ipv4, state }): Line[] => {
      const [first = '', ...others] = labels.toSorted();
      return [
        [String(id), policyIngress, policyEgress, identity === undefined ? '' : String(identity), first, ipv6 ?? '', ipv4 ?? '', state],
        ...others.map((label) => ['', '', '', '', label, '', '', '']),
      ];
    });
  const header = ['ENDPOINT', 'POLICY (ingress)', 'POLICY (egress)', 'IDENTITY', 'LABELS (source:key[=value])', 'IPv6', 'IPv4', 'STATUS'];
  return list(header, [['', 'ENFORCEMENT', 'ENFORCEMENT', '', '', '', '', ''], ...rows]);
}
