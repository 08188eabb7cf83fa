// SPDX-License-Identifier: Apache-2.0
// `maps --diff`: where the kernel differs from what it should be. Nothing printed and exit code 0: nowhere.

import type { DifferenceRow } from '../agent/api-types.ts';
import { ask } from './client.ts';
import { list } from './columns.ts';
import type { Io } from './command.ts';
import { argumentsOf, outputOption, print, UsageError } from './command.ts';

export const help = `Usage: NAME maps --diff [-o json]

Reads every map, route and attachment from the kernel and compares it with the tables. Nothing printed and exit code 0: all equal.
Exit code 1: they differ. A difference that goes away by itself was a change on its way.

Examples:
  NAME maps --diff
  NAME maps --diff && echo equal
`;

export async function run(args: readonly string[], io: Io): Promise<number> {
  const { values } = argumentsOf(args, { diff: { type: 'boolean' }, ...outputOption });
  if (!values.diff) throw new UsageError("Cannot run 'maps' alone, wanted maps --diff");
  const rows = await ask<readonly DifferenceRow[]>(io.socket, '/maps/diff');
  print(io, values.output, rows, differenceText);
  return rows.length === 0 ? 0 : 1;
}

export function differenceText(rows: readonly DifferenceRow[]): string {
  if (rows.length === 0) return '';
  return list(
    ['TARGET', 'DIFFERENCE', 'KEY', 'WANTED', 'FOUND'],
    rows.map(({ target, kind, key, wanted, found }) => [target, kind, key, wanted ?? '-', found ?? '-']),
  );
}
