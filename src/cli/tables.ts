// SPDX-License-Identifier: Apache-2.0
// `tables`: what the agent knows, table by table.

import type { TableRow, TableSummary } from '../agent/api-types.ts';
import { ask } from './client.ts';
import { list } from './columns.ts';
import type { Io } from './command.ts';
import { argumentsOf, outputOption, print } from './command.ts';

export const help = `Usage: NAME tables [TABLE] [-o json]

The tables of the agent, or the rows of one. A table that is not complete still waits for its source; nothing is deleted on its strength.

Examples:
  NAME tables
  NAME tables frontends
  NAME tables frontends -o json
`;

export async function run(args: readonly string[], io: Io): Promise<number> {
  const { values, positionals } = argumentsOf(args, outputOption, 1);
  const [name] = positionals;
  if (name === undefined) print(io, values.output, await ask<readonly TableSummary[]>(io.socket, '/tables'), summaryText);
  else print(io, values.output, await ask<readonly TableRow[]>(io.socket, `/tables/${encodeURIComponent(name)}`), rowsText);
  return 0;
}

export function summaryText(tables: readonly TableSummary[]): string {
  return list(
    ['TABLE', 'ROWS', 'COMPLETE'],
    tables.map(({ name, rows, complete }) => [name, String(rows), complete ? 'yes' : 'no']),
  );
}

export function rowsText(rows: readonly TableRow[]): string {
  return list(
    ['KEY', 'ROW'],
    rows.toSorted((a, b) => (a.key < b.key ? -1 : 1)).map(({ key, row }) => [key, JSON.stringify(row) ?? '']),
  );
}
