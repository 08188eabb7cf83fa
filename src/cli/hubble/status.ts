// SPDX-License-Identifier: Apache-2.0
// `hubble status`: whether flows can be had, how many there are, and of how many nodes.

import { check, Serving } from '../../grpc/health.ts';
import { toJson } from '../../grpc/json.ts';
import { observer } from '../../hubble/observer.ts';
import type { ServerStatus } from '../../hubble/observer.ts';
import { columns } from '../columns.ts';
import type { Io } from '../command.ts';
import { UsageError } from '../command.ts';
import { asked } from './ask.ts';
import { harmless } from './colors.ts';
import { serverFlags } from './server-flags.ts';
import { flagsText, settingsOf } from './settings.ts';
import type { Flag } from './settings.ts';

const flags: readonly Flag[] = [
  { name: 'output', short: 'o', value: 'FORMAT', default: 'compact', help: 'compact, dict, table or json' },
  ...serverFlags,
];

export const help = `Usage: NAME status [FLAGS]

Whether flows can be had, how many there are, from how many nodes, and until when the first of their certificates holds. Exit code 1 when
they cannot.

${flagsText(flags)}

Examples:
  NAME status
  NAME status --server tls://relay.example.com:443
`;

/** As clients of Hubble call it in health checks. */
const SERVICE = 'hubble.server.Observer';

export async function run(args: readonly string[], io: Io): Promise<number> {
  const settings = settingsOf(args, flags);
  const output = settings.text('output') ?? 'compact';
  const text = Object.hasOwn(formats, output) ? formats[output] : undefined;
  if (!text) throw new UsageError(`Cannot print as '${output}', wanted one of ${Object.keys(formats).join(', ')}`);
  return asked(settings, io, async ({ name, client, brief }) => {
    const health = await client.call(check, { service: SERVICE }, brief);
    const serves = health.status === Serving.SERVING;
    if (output === 'compact') io.out(`Healthcheck (via ${name}): ${serves ? 'Ok' : 'Unavailable: NOT_SERVING'}\n`);
    if (serves) io.out(text(await client.call(observer.serverStatus, {}, brief)));
    else io.err('not healthy\n');
    return serves ? 0 : 1;
  });
}

const formats: Readonly<Record<string, (status: ServerStatus) => string>> = {
  compact: compactStatus,
  dict: (status) =>
    cells(status, 'UNAVAIL.')
      .map(([key, value]) => `${key.padStart(KEY_WIDTH)}: ${value}\n`)
      .join(''),
  table: (status) => {
    const all = cells(status, 'UNAVAILABLE');
    return columns([all.map(([key]) => key), all.map(([, value]) => value)], { minWidth: 2, padding: 3 });
  },
  json: (status) => `${JSON.stringify(toJson(observer.serverStatus.response, status))}\n`,
};
const KEY_WIDTH = 19;
const MOST_NAMES = 10;

export const grouped = (number: number): string => number.toLocaleString('en-US');

export function compactStatus(status: ServerStatus): string {
  const { numFlows = 0, maxFlows = 0, numConnectedNodes, numUnavailableNodes = 0, unavailableNodes = [] } = status;
  const share = maxFlows > 0 ? ` (${((100 * numFlows) / maxFlows).toFixed(2)}%)` : '';
  const connected =
    numConnectedNodes === undefined ? '' : `Connected Nodes: ${numConnectedNodes}/${numConnectedNodes + numUnavailableNodes}\n`;
  const listed = unavailableNodes.slice(0, MOST_NAMES).map((name) => `  - ${harmless(name)}\n`);
  const more = numUnavailableNodes - listed.length;
  const missing =
    numUnavailableNodes === 0
      ? ''
      : `Unavailable Nodes: ${numUnavailableNodes}\n${listed.join('')}${more > 0 ? `  - and ${more} more...\n` : ''}`;
  const { certificateUntil } = status;
  const certificates = certificateUntil === undefined ? '' : `Certificates: ${certificateText(certificateUntil, Date.now())}\n`;
  return `Current/Max Flows: ${grouped(numFlows)}/${grouped(maxFlows)}${share}\nFlows/s: ${rateText(status)}\n${connected}${missing}${certificates}`;
}

/** 'valid for 364 more days, until 2027-11-27T02:47:54Z'. `until`: nanoseconds since the epoch. */
export function certificateText(until: bigint, now: number): string {
  const end = Number(until / 1_000_000n);
  const day = new Date(end).toISOString().replace(/\.\d+Z$/, 'Z');
  const hours = Math.floor((end - now) / 3_600_000);
  if (hours < 0) return `expired at ${day}`;
  return `valid for ${hours < 48 ? `${hours} more hours` : `${Math.floor(hours / 24)} more days`}, until ${day}`;
}

/** What the server says, or else what it has seen over the time that it runs. */
export function rateText({ flowsRate = 0, seenFlows = 0, uptimeNs = 0 }: ServerStatus): string {
  if (flowsRate > 0) return flowsRate.toFixed(2);
  return uptimeNs > 0 ? (seenFlows / (uptimeNs / 1e9)).toFixed(2) : 'N/A';
}

/** As Go prints a duration. */
export function goDuration(nanoseconds: number): string {
  if (nanoseconds === 0) return '0s';
  if (nanoseconds < 1e3) return `${nanoseconds}ns`;
  if (nanoseconds < 1e6) return `${nanoseconds / 1e3}µs`;
  if (nanoseconds < 1e9) return `${nanoseconds / 1e6}ms`;
  const seconds = Math.floor(nanoseconds / 1e9);
  const rest = String(nanoseconds % 1e9)
    .padStart(9, '0')
    .replace(/0+$/, '');
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  return `${hours > 0 ? `${hours}h` : ''}${seconds >= 60 ? `${minutes}m` : ''}${seconds % 60}${rest === '' ? '' : `.${rest}`}s`;
}

function cells(status: ServerStatus, unavailable: string): readonly (readonly [string, string])[] {
  const { numFlows = 0, maxFlows = 0, seenFlows = 0, uptimeNs = 0, numConnectedNodes, numUnavailableNodes, version = '' } = status;
  return [
    ['NUM FLOWS', grouped(numFlows)],
    ['MAX FLOWS', grouped(maxFlows)],
    ['SEEN FLOWS', grouped(seenFlows)],
    ['FLOWS PER SECOND', rateText(status)],
    ['UPTIME', goDuration(uptimeNs)],
    ['NUM CONNECTED NODES', numConnectedNodes === undefined ? 'N/A' : String(numConnectedNodes)],
    [`NUM ${unavailable} NODES`, numUnavailableNodes === undefined ? 'N/A' : String(numUnavailableNodes)],
    ['VERSION', harmless(version)],
  ];
}
