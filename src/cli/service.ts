// SPDX-License-Identifier: Apache-2.0
// `service list`, `service get ID`: every frontend that this node serves, or those of one id, and where they lead.

import type { ServiceRow } from '../agent/api-types.ts';
import { ask } from './client.ts';
import type { Line } from './columns.ts';
import { list } from './columns.ts';
import type { Io } from './command.ts';
import { argumentsOf, outputOption, print, UsageError } from './command.ts';

export const help = `Usage: NAME service list|get ID [-o json]

Every frontend that this node serves, with its backends: slot => address (state). Or those of one id; ids are this node's own, and differ
on others.

Examples:
  NAME service list
  NAME service list | grep 10.96.0.10
  NAME service get 3
  NAME service list -o json
`;

export async function run(args: readonly string[], io: Io): Promise<number> {
  const { values, positionals } = argumentsOf(args, outputOption, 2);
  const [verb, id] = positionals;
  if (!(verb === 'list' && id === undefined) && !(verb === 'get' && /^\d+$/.test(id ?? '')))
    throw new UsageError(`Cannot run 'service ${positionals.join(' ')}', wanted service list or service get ID`);
  const all = await ask<readonly ServiceRow[]>(io.socket, '/services');
  const rows = verb === 'list' ? all : all.filter((row) => row.id === Number(id));
  if (verb === 'get' && rows.length === 0) {
    io.err(`Cannot find a service with id ${id}: 'service list' has those of this node\n`);
    return 1;
  }
  print(io, values.output, rows, serviceText);
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
