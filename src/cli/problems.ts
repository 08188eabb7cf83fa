// SPDX-License-Identifier: Apache-2.0
// `problems`: what somebody has to repair, and how.

import type { ProblemRow } from '../agent/api-types.ts';
import { ask } from './client.ts';
import type { Io } from './command.ts';
import { argumentsOf, outputOption, print } from './command.ts';

export const help = `Usage: NAME problems [-o json]

What is wrong with the objects and settings that this node reads, and with pools and load balancer addresses, and what to do about each. Exit code 1 when there is something.

Examples:
  NAME problems
  NAME problems -o json
`;

export async function run(args: readonly string[], io: Io): Promise<number> {
  const { values } = argumentsOf(args, outputOption);
  const rows = await ask<readonly ProblemRow[]>(io.socket, '/problems');
  print(io, values.output, rows, problemText);
  return rows.length === 0 ? 0 : 1;
}

export function problemText(rows: readonly ProblemRow[]): string {
  if (rows.length === 0) return 'No problems\n';
  return rows.map(({ object, reason, message, advice }) => `${object}: ${reason}\n  ${message}\n  ${advice}\n`).join('');
}
