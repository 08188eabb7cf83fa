// SPDX-License-Identifier: Apache-2.0
// `shell -- db/show TABLE`: the way in which users of Cilium look at tables.

import type { TableRow, TableSummary, VipRow } from '../agent/api-types.ts';
import { ask } from './client.ts';
import { list } from './columns.ts';
import type { Io } from './command.ts';
import { UsageError } from './command.ts';
import { rowsText } from './tables.ts';

export const help = `Usage: NAME shell -- db/show TABLE

Prints one table of the agent. l2-announce has the addresses that this node answers for, by interface; every table of 'NAME tables' has its rows.

Examples:
  NAME shell -- db/show l2-announce
  NAME shell -- db/show frontends
`;

export async function run(args: readonly string[], io: Io): Promise<number> {
  const [verb, name, ...more] = args[0] === '--' ? args.slice(1) : args;
  if (verb !== 'db/show' || name === undefined || more.length > 0)
    throw new UsageError(`Cannot run 'shell ${args.join(' ')}', wanted shell -- db/show TABLE`);
  if (name === 'l2-announce') {
    io.out(announceText(await ask<readonly VipRow[]>(io.socket, '/vips')));
    return 0;
  }
  const tables = await ask<readonly TableSummary[]>(io.socket, '/tables');
  const found = tables.find((table) => table.name === name || table.name === name.replaceAll('-', '_'));
  if (found === undefined) {
    io.err(`Cannot find the table ${name}, wanted l2-announce or one of ${tables.map((table) => table.name).join(', ')}\n`);
    return 1;
  }
  io.out(rowsText(await ask<readonly TableRow[]>(io.socket, `/tables/${encodeURIComponent(found.name)}`)));
  return 0;
}

/** Those that this node answers for: of others' it counts no answers. */
export function announceText(rows: readonly VipRow[]): string {
  const own = rows.filter(({ answers }) => answers !== undefined);
  return list(
    ['IP', 'NetworkInterface', 'Origins'],
    own.flatMap(({ ip, interfaces, services }) => interfaces.map((name) => [ip, name, `[${services.join(' ')}]`])),
  );
}
