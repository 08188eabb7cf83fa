// SPDX-License-Identifier: Apache-2.0
// `drops`: packets that the data plane of this node refused, and why.

import type { DropRow } from '../agent/api-types.ts';
import { ask, follow } from './client.ts';
import type { Io } from './command.ts';
import { argumentsOf, outputOption, UsageError } from './command.ts';

export const help = `Usage: NAME drops [-f] [-o json]

The most recent packets that this node dropped, oldest first, each with its reason.

  -f, --follow   go on as they come, until interrupted
  -o json        one JSON object a line

Examples:
  NAME drops
  NAME drops -f | grep shop/cart
`;

export async function run(args: readonly string[], io: Io): Promise<number> {
  const { values } = argumentsOf(args, { follow: { type: 'boolean', short: 'f' }, ...outputOption });
  if (values.output !== undefined && values.output !== 'json') throw new UsageError(`Cannot print as '${values.output}', wanted -o json`);
  const text = (row: DropRow | Lost) => (values.output === 'json' ? `${JSON.stringify(row)}\n` : dropText(row));
  if (values.follow) for await (const row of follow<DropRow | Lost>(io.socket, '/drops?follow=1')) io.out(text(row));
  else for (const row of await ask<readonly DropRow[]>(io.socket, '/drops')) io.out(text(row));
  return 0;
}

/** Rows that were left out because the reader was too slow. */
export type Lost = { readonly lost: number };

export function dropText(row: DropRow | Lost): string {
  if ('lost' in row) return `${row.lost} drops not shown: this reader was too slow\n`;
  const { time, reason, source, destination, protocol, interface: where, pod } = row;
  return `${new Date(time).toISOString()}  ${source} -> ${destination} ${protocol}  ${reason}  (${where}${pod === undefined ? '' : `, pod ${pod}`})\n`;
}
