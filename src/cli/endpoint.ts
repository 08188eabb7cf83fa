// SPDX-License-Identifier: Apache-2.0
// `endpoint list`: every pod of this node that is ours.

import type { EndpointRow } from '../agent/api-types.ts';
import { ask } from './client.ts';
import type { Line } from './columns.ts';
import { list } from './columns.ts';
import type { Io } from './command.ts';
import { argumentsOf, outputOption, print, UsageError } from './command.ts';

export const help = `Usage: NAME endpoint list [-o json]

Every pod of this node: policy, identity, labels, addresses, state.

Examples:
  NAME endpoint list
  NAME endpoint list -o json
`;

export async function run(args: readonly string[], io: Io): Promise<number> {
  const { values, positionals } = argumentsOf(args, outputOption, 1);
  if (positionals[0] !== 'list') throw new UsageError(`Cannot run 'endpoint ${positionals[0] ?? ''}', wanted endpoint list`);
  print(io, values.output, await ask<readonly EndpointRow[]>(io.socket, '/endpoints'), endpointText);
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
