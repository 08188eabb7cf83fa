// SPDX-License-Identifier: Apache-2.0
// `hubble list`: the nodes that flows come from, and the namespaces that have any.

import { toJson } from '../../grpc/json.ts';
import { NodeState, observer } from '../../hubble/observer.ts';
import type { HubbleNamespace, HubbleNode } from '../../hubble/observer.ts';
import { columns } from '../columns.ts';
import type { Line } from '../columns.ts';
import type { Io } from '../command.ts';
import { UsageError } from '../command.ts';
import { asked } from './ask.ts';
import { harmless } from './colors.ts';
import { serverFlags } from './server-flags.ts';
import { flagsText, settingsOf } from './settings.ts';
import type { Flag } from './settings.ts';
import { goDuration } from './status.ts';

const flags: readonly Flag[] = [
  { name: 'output', short: 'o', value: 'FORMAT', default: 'table', help: 'table, wide or json' },
  ...serverFlags,
];

export const help = `Usage: NAME list nodes [FLAGS]
       NAME list namespaces [FLAGS]

The nodes that flows come from, or the namespaces that have any within the last hour.

${flagsText(flags)}

Examples:
  NAME list nodes -o wide
  NAME list namespaces
`;

export async function run(args: readonly string[], io: Io): Promise<number> {
  const settings = settingsOf(args, flags, 1);
  const [what = ''] = settings.words;
  const output = settings.text('output') ?? 'table';
  if (!['table', 'wide', 'json'].includes(output)) throw new UsageError(`Cannot print as '${output}', wanted one of table, wide, json`);
  const wide = output === 'wide';
  if (['nodes', 'node'].includes(what)) {
    const response = await asked(settings, io, ({ client, brief }) => client.call(observer.getNodes, {}, brief));
    io.out(output === 'json' ? jsonText(toJson(observer.getNodes.response, response)['nodes']) : nodesText(response.nodes ?? [], wide));
  } else if (['namespaces', 'namespace', 'ns'].includes(what)) {
    const response = await asked(settings, io, ({ client, brief }) => client.call(observer.getNamespaces, {}, brief));
    io.out(
      output === 'json'
        ? jsonText(toJson(observer.getNamespaces.response, response)['namespaces'])
        : namespacesText(response.namespaces ?? [], wide),
    );
  } else throw new UsageError(`Cannot list '${what}', wanted list nodes or list namespaces`);
  return 0;
}

const jsonText = (rows: unknown) => `${JSON.stringify(rows ?? [], undefined, 2)}\n`;
const layout = { minWidth: 2, padding: 3 };

const states: Readonly<Record<number, string>> = {
  [NodeState.NODE_CONNECTED]: 'Connected',
  [NodeState.NODE_UNAVAILABLE]: 'Unavailable',
  [NodeState.NODE_GONE]: 'Gone',
  [NodeState.NODE_ERROR]: 'Error',
};

export function nodesText(rows: readonly HubbleNode[], wide: boolean): string {
  const header = ['NAME', 'STATUS', 'AGE', 'FLOWS/S', 'CURRENT/MAX-FLOWS', ...(wide ? ['VERSION', 'ADDRESS', 'TLS'] : [])];
  return columns([header, ...rows.map((row) => nodeLine(row, wide))], layout);
}

function nodeLine(
  { name = '', version, address, state = 0, tls, uptimeNs = 0, numFlows = 0, maxFlows = 0, seenFlows = 0 }: HubbleNode,
  wide: boolean,
): Line {
  const there = uptimeNs > 0;
  const share = maxFlows > 0 ? ((100 * numFlows) / maxFlows).toFixed(2).padStart(6) : '';
  return [
    harmless(name),
    states[state] ?? 'Unknown',
    there ? goDuration(Math.round(uptimeNs / 1e9) * 1e9) : 'N/A',
    there ? (seenFlows / (uptimeNs / 1e9)).toFixed(2) : 'N/A',
    maxFlows > 0 ? `${numFlows}/${maxFlows} (${share}%)` : 'N/A',
    ...(wide ? [harmless(version || 'N/A'), harmless(address || 'N/A'), tls?.enabled ? 'Enabled' : 'Disabled'] : []),
  ];
}

export function namespacesText(rows: readonly HubbleNamespace[], wide: boolean): string {
  const lines = rows.map(({ namespace = '', cluster = '' }) => [harmless(namespace), ...(wide ? [harmless(cluster)] : [])]);
  return columns([['NAMESPACE', ...(wide ? ['CLUSTER'] : [])], ...lines], layout);
}
