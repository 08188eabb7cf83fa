// SPDX-License-Identifier: Apache-2.0
// `ip list`: who is behind an address.

import type { IpRow } from '../agent/api-types.ts';
import { ask } from './client.ts';
import type { Line } from './columns.ts';
import { list } from './columns.ts';
import type { Io } from './command.ts';
import { argumentsOf, outputOption, print, UsageError } from './command.ts';

export const help = `Usage: NAME ip list [-n] [-v] [-o json]

Every address and prefix that this node knows, with the identity behind it: labels, or its number. The longest prefix counts.

  -n, --numeric   identities as numbers
  -v, --verbose   also the node behind which the address is, and the encryption key

Examples:
  NAME ip list
  NAME ip list -n | grep 10.244.1.5
`;

export async function run(args: readonly string[], io: Io): Promise<number> {
  const options = { numeric: { type: 'boolean', short: 'n' }, verbose: { type: 'boolean', short: 'v' } } as const;
  const { values, positionals } = argumentsOf(args, { ...options, ...outputOption }, 1);
  if (positionals[0] !== 'list') throw new UsageError(`Cannot run 'ip ${positionals[0] ?? ''}', wanted ip list`);
  const how = { numeric: values.numeric ?? false, verbose: values.verbose ?? false };
  print(io, values.output, await ask<readonly IpRow[]>(io.socket, '/ips'), (rows) => ipText(rows, how));
  return 0;
}

const collator = new Intl.Collator('en', { numeric: true });

/** The first label stands beside its address, the others under it. */
export function ipText(rows: readonly IpRow[], { numeric, verbose }: { readonly numeric: boolean; readonly verbose: boolean }): string {
  const lines = rows
    .toSorted((a, b) => collator.compare(a.prefix, b.prefix))
    .flatMap(({ prefix, identity, labels, source, host }): Line[] => {
      const [first = '', ...others] = numeric ? [String(identity)] : labels;
      const more = verbose ? [host ?? '-', '0'] : []; // nothing is encrypted
      return [[prefix, first, source, ...more], ...others.map((label) => ['', label, '', ...more.map(() => '')])];
    });
  return list(['IP', 'IDENTITY', 'SOURCE', ...(verbose ? ['HOST', 'ENCRYPT_KEY'] : [])], lines);
}
