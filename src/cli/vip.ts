// SPDX-License-Identifier: Apache-2.0
// `vip`: who answers for each load balancer address on the LAN, since when, and why; `vip why ADDRESS` in sentences.

import { setTimeout as pause } from 'node:timers/promises';
import type { VipRow } from '../agent/api-types.ts';
import { parseIp } from '../base/ip.ts';
import { ask } from './client.ts';
import type { Line } from './columns.ts';
import { list } from './columns.ts';
import type { Io } from './command.ts';
import { argumentsOf, outputOption, print, UsageError } from './command.ts';
import { duration } from './status.ts';

export const help = `Usage: NAME vip [why ADDRESS] [-w] [-o json] [--markdown]

Which node answers ARP and neighbour discovery for each load balancer address, on which interface, since when, and why it moved last. As this
node knows it: ask on another to compare. PACKETS are those of clients in flows that this node knew when it looked last, at most a minute
ago, ANSWERS those of this node to ARP and neighbour discovery. Exit code 1 when an address has no owner.

Examples:
  NAME vip
  NAME vip -w                     prints the table again whenever it changes
  NAME vip why 192.168.0.220
  NAME vip --markdown             for an issue or a chat
`;

const options = { ...outputOption, watch: { type: 'boolean', short: 'w' }, markdown: { type: 'boolean' } } as const;
const LOOK_MS = 500;

export async function run(args: readonly string[], io: Io): Promise<number> {
  const { values, positionals } = argumentsOf(args, options, 2);
  const [verb, address] = positionals;
  const rows = () => ask<readonly VipRow[]>(io.socket, '/vips');
  if (verb !== undefined) return why(verb, address, await rows(), io);
  const text = (all: readonly VipRow[]) => (values.markdown === true ? markdown(all, Date.now()) : vipText(all, Date.now()));
  if (values.watch === true) return watch(rows, text, io);
  const all = await rows();
  print(io, values.output, all, text);
  return all.every(({ owner }) => owner !== undefined) ? 0 : 1;
}

function why(verb: string, address: string | undefined, rows: readonly VipRow[], io: Io): number {
  const ip = parseIp(address ?? '');
  if (verb !== 'why' || ip === undefined) throw new UsageError(`Cannot run 'vip ${verb} ${address ?? ''}', wanted vip why ADDRESS`);
  const row = rows.find((one) => one.ip === ip);
  if (row === undefined) {
    io.err(`${ip} is no address of a Service of type LoadBalancer and no external IP: ${known(rows)}\n`);
    return 1;
  }
  io.out(whyText(row, Date.now()));
  return row.owner === undefined ? 1 : 0;
}

const known = (rows: readonly VipRow[]) => (rows.length === 0 ? 'there are none' : `there are ${rows.map(({ ip }) => ip).join(', ')}`);

/** Until the user ends it, or the agent does. */
async function watch(rows: () => Promise<readonly VipRow[]>, text: (rows: readonly VipRow[]) => string, io: Io): Promise<never> {
  for (let last = ''; ;) {
    const all = await rows();
    const now = JSON.stringify(all.map(({ answers: _, packets: _packets, ...row }) => ({ ...row, lopsided: row.lopsided.length })));
    if (now !== last) io.out(`${last === '' ? '' : '\n'}${text(all)}`);
    last = now;
    await pause(LOOK_MS);
  }
}

const HEADER: Line = ['ADDRESS', 'SERVICE', 'OWNER', 'INTERFACE', 'MAC', 'SINCE', 'LAST MOVE', 'REACHABLE FROM', 'PACKETS', 'ANSWERS'];

function cells(row: VipRow, now: number): Line {
  const { ip, services, owner, interfaces, macs, since, packets, answers } = row;
  return [
    ip,
    services.join(','),
    owner ?? 'nobody',
    interfaces.join(',') || '-',
    macs.join(',') || '-',
    since === undefined ? '-' : duration(now - since),
    lastMove(row),
    reachable(row),
    packets === undefined ? '-' : String(packets),
    answers === undefined ? '-' : String(answers),
  ];
}

function reachable({ reachable: sights }: VipRow): string {
  if (sights.length === 0) return '-';
  const names = (wanted: boolean) => sights.filter(({ found }) => found === wanted).map(({ from }) => from);
  const missing = names(false).map((name) => `not ${name}`);
  return [...names(true), ...missing].join(',');
}

function lastMove({ owner, from, why: because }: VipRow): string {
  if (owner === undefined) return because;
  return from === undefined || from === owner ? '-' : `from ${from}: ${because}`;
}

export function vipText(rows: readonly VipRow[], now: number): string {
  if (rows.length === 0) return 'No Service has a load balancer address or an external IP\n';
  const table = list(
    HEADER,
    rows.map((row) => cells(row, now)),
  );
  return [table, ...rows.flatMap(warnings).map((text) => `${text}\n`)].join('');
}

/** Of services that one client makes lopsided. */
function warnings({ lopsided }: VipRow): readonly string[] {
  return lopsided.map(({ frontend, service, client, flows, of, backends }) => {
    const [namespace, name] = service.split('/');
    const spread = `kubectl -n ${namespace} annotate service ${name} lb.stentor.dev/maglev-key=flow`;
    return `${frontend}: ${flows} of ${of} connections are of ${client}, so that one of ${backends} backends has them. To spread them: ${spread}`;
  });
}

export function markdown(rows: readonly VipRow[], now: number): string {
  const line = (row: Line) => `| ${row.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |\n`;
  return [
    line(HEADER),
    line(HEADER.map(() => '---')),
    ...rows.map((row) => line(cells(row, now))),
    ...rows.flatMap(warnings).map((text) => `\n${text}\n`),
  ].join('');
}

export function whyText(row: VipRow, now: number): string {
  const { ip, services, policies, owner, interfaces, since, from, why: because, candidates, alsoClaimed, reachable: sights } = row;
  const lines = [`${ip} is an address of ${services.join(' and ')}.`];
  if (owner === undefined) lines.push(`Nobody answers for it: ${because}.`);
  else {
    lines.push(
      `${owner} answers for it on ${interfaces.join(' and ')}${since === undefined ? '' : `, since ${duration(now - since)}`}: ${because}.`,
    );
    if (from !== undefined && from !== owner) lines.push(`Before, ${from} did.`);
  }
  lines.push(policies.length === 0 ? 'No CiliumL2AnnouncementPolicy selects it.' : `Policies that announce it: ${policies.join(', ')}.`);
  lines.push(...warnings(row));
  for (const { from: witness, found, missing } of sights) {
    const seen = found ? `finds it at ${owner}` : missing === undefined ? `does not find it at ${owner}` : `gets no answer at ${missing}`;
    lines.push(`${witness} asks for it on the LAN, and ${seen}.`);
  }
  for (const node of alsoClaimed) lines.push(`${node} says that it answers, too; it will stop when it has heard of ${owner}.`);
  for (const { node, level, why: reason } of candidates)
    if (node !== owner)
      lines.push(`${node} ${level === 2 ? 'could' : level === 1 ? `could if nobody else can: it ${reason}` : `cannot: it ${reason}`}.`);
  return lines.map((text) => `${text}\n`).join('');
}
