// SPDX-License-Identifier: Apache-2.0
// `service list`: every frontend that this node serves, and where it leads.

import type { ServiceRow } from '../agent/api-types.ts';
import { ask } from './client.ts';
import type { Line } from './columns.ts';
import { list } from './columns.ts';
import type { Io } from './command.ts';
import { argumentsOf, outputOption, print, UsageError } from './command.ts';

export const help = `Usage: NAME service list [-o json]

Every frontend that this node serves, with its backends: slot => address (state).

Examples:
  NAME service list
  NAME service list | grep 10.96.0.10
  NAME service list -o json
`;

export async function run(args: readonly string[], io: Io): Promise<number> {
  const { values, positionals } = argumentsOf(args, outputOption, 1);
  if (positionals[0] !== 'list') throw new UsageError(`Cannot run 'service ${positionals[0] ?? ''}', wanted service list`);
  print(io, values.output, await ask<readonly ServiceRow[]>(io.socket, '/services'), serviceText);
  return 0;
}

/** The first backend stands beside its frontend, the others under it. */
export function serviceText(services: readonly ServiceRow[]): string {
  const rows = services
    .toSorted((a, b) => a.id - b.id)
    .flatMap(({ id, frontend, type, backends }): Line[] => {
      const cells = backends.toSorted((a, b) => a.slot - b.slot).map(({ slot, address, state }) => `${slot} => ${address} (${state})`);
      const [first = '', ...others] = cells;
      return [[String(id), frontend, type, first], ...others.map((cell) => ['', '', '', cell])];
    });
  return list(['ID', 'Frontend', 'Service Type', 'Backend'], rows);
}
