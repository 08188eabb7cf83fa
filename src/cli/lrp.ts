// SPDX-License-Identifier: Apache-2.0
// `lrp list`: every CiliumLocalRedirectPolicy, and which pods of this node it leads to.

import type { RedirectRow } from '../agent/api-types.ts';
import { ask } from './client.ts';
import { list } from './columns.ts';
import type { Line } from './columns.ts';
import type { Io } from './command.ts';
import { argumentsOf, outputOption, print, UsageError } from './command.ts';

export const help = `Usage: NAME lrp list [-o json]

Every CiliumLocalRedirectPolicy. Under each what it redirects: address:port -> backends (their pods). Without a backend nothing is
redirected: no pod of this node that it selects is ready.

Examples:
  NAME lrp list
  NAME lrp list -o json
`;

export async function run(args: readonly string[], io: Io): Promise<number> {
  const { values, positionals } = argumentsOf(args, outputOption, 1);
  if (positionals[0] !== 'list') throw new UsageError(`Cannot run 'lrp ${positionals.join(' ')}', wanted lrp list`);
  print(io, values.output, await ask<readonly RedirectRow[]>(io.socket, '/redirects'), redirectText);
  return 0;
}

/** Frontends stand under their policy, each in a row that begins with a bar. */
export function redirectText(policies: readonly RedirectRow[]): string {
  const rows = policies.flatMap(({ policy, service, ports, frontends }): Line[] => {
    const slash = policy.indexOf('/');
    return [
      [policy.slice(0, slash), policy.slice(slash + 1), frontendType(service, ports), service ?? ''],
      ...frontends.map(({ frontend, backends }): Line => ['', '|', `${frontend} -> ${backends.map(backendText).join('')}`]),
    ];
  });
  return list(['LRP namespace', 'LRP name', 'FrontendType', 'Matching Service'], rows);
}

function backendText({ address, pod }: RedirectRow['frontends'][number]['backends'][number]): string {
  return `${address}(${pod ?? ''}), `;
}

function frontendType(service: string | undefined, ports: RedirectRow['ports']): string {
  if (service === undefined) return ports === 'named' ? 'IP + named ports' : 'IP + port';
  return { all: 'clusterIP + all svc ports', named: 'clusterIP + named ports', one: 'clusterIP + port' }[ports];
}
