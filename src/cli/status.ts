// SPDX-License-Identifier: Apache-2.0
// `status`: how the agent of this node is, in the lines that users of Cilium know. No line says what this product does not have.

import { setTimeout as after } from 'node:timers/promises';
import type { ControllerRow, Health, StatusReport } from '../agent/api-types.ts';
import { AgentError, ask } from './client.ts';
import type { Line } from './columns.ts';
import { columns, statusLayout } from './columns.ts';
import type { Io } from './command.ts';
import { argumentsOf, outputOption, print, UsageError } from './command.ts';

export const help = `Usage: NAME status [--brief] [--verbose] [--wait [--wait-duration 5m]] [-o json]

How the agent of this node is. Exit code 1 when it is not well.

  --wait      until it is well, or until --wait-duration (5m unless said otherwise; 90s, 1h30m) is over
  --brief     'OK', or one line that says what is wrong
  --verbose   also addresses, every interface with the reason why it leads out or not, every controller and the BPF maps
  -o json     everything, for programs

Examples:
  NAME status --brief
  NAME status --wait --wait-duration 90s && echo ready
  NAME status | grep KubeProxyReplacement
  kubectl -n kube-system exec ds/cilium -- cilium status --brief
`;

export async function run(args: readonly string[], io: Io): Promise<number> {
  const { values } = argumentsOf(args, options);
  const patience = millisecondsIn(values['wait-duration']);
  const report = values.wait ? await wellBy(performance.now() + patience, io) : await ask<StatusReport>(io.socket, '/status');
  if (values.brief) io.out(briefText(report));
  else print(io, values.output, report, (status) => statusText(status, values.verbose ?? false));
  return firstFault(report) ? 1 : 0;
}

const options = {
  brief: { type: 'boolean' },
  verbose: { type: 'boolean' },
  wait: { type: 'boolean' },
  'wait-duration': { type: 'string', default: '5m' },
  ...outputOption,
} as const;

/** '5m', '1h30m', '90s'. Throws UsageError. */
export function millisecondsIn(text: string): number {
  const parts = /^(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$/.exec(text);
  if (!parts || text === '') throw new UsageError(`Cannot wait for '${text}', wanted a duration such as 90s, 5m or 1h30m`);
  const [hours, minutes, seconds] = parts.slice(1).map((part) => Number(part ?? 0));
  return (((hours ?? 0) * 60 + (minutes ?? 0)) * 60 + (seconds ?? 0)) * 1000;
}

const LOOK_MS = 500;
/** An agent that takes longer to answer is asked again: it may be another one by then. */
const ANSWER_MS = 10_000;

/** The first report without a fault, or the last one before `deadline`. Throws AgentError when there was none by then. */
async function wellBy(deadline: number, io: Io): Promise<StatusReport> {
  for (;;) {
    try {
      const patience = Math.max(LOOK_MS, Math.ceil(deadline - performance.now()));
      const report = await ask<StatusReport>(io.socket, '/status', Math.min(patience, ANSWER_MS));
      if (!firstFault(report) || performance.now() >= deadline) return report;
    } catch (error) {
      if (!(error instanceof AgentError) || performance.now() >= deadline) throw error;
    }
    await after(Math.min(LOOK_MS, Math.max(0, deadline - performance.now())));
  }
}

type Fault = { readonly component: string; readonly message: string };

function firstFault({ agent, kubernetes, cni }: StatusReport): Fault | undefined {
  const parts: readonly (readonly [string, Health])[] = [
    ['kubernetes', kubernetes],
    ['cni-config', cni],
    ['cilium', agent],
  ];
  const fault = parts.find(([, { ok }]) => !ok);
  return fault && { component: fault[0], message: fault[1].message };
}

/** 'OK', or the first component that is not. */
export function briefText(report: StatusReport): string {
  const fault = firstFault(report);
  return fault ? `error in ${fault.component}: ${fault.message}\n` : 'OK\n';
}

export function statusText(report: StatusReport, verbose: boolean): string {
  const parts = [
    overview(report),
    verbose ? allocations(report) : [],
    datapath(report),
    verbose ? interfaces(report) : [],
    controllers(report, verbose),
    [problems(report)],
    verbose ? replacement(report) : [],
    verbose ? maps(report) : [],
    verbose ? flows(report) : [],
    verbose ? ports(report) : [],
  ];
  return columns(parts.flat(), statusLayout);
}

function overview({ kubernetes, kubeProxyReplacement, devices, cni, agent, version, ipam }: StatusReport): Line[] {
  const words = devices.map(
    ({ name, addresses, directRouting }) => `${name}   ${addresses.join(' ')}${directRouting ? ' (Direct Routing)' : ''}`,
  );
  return [
    ['KVStore:', 'Disabled'],
    ['Kubernetes:', ...healthCells(kubernetes)],
    ['KubeProxyReplacement:', ...(kubeProxyReplacement ? ['True', `[${words.join(', ')}]`] : ['False'])],
    ['CNI Config file:', ...(cni.ok ? [cni.message] : healthCells(cni))],
    ['Cilium:', ...(agent.ok ? ['Ok', version] : healthCells(agent))],
    [
      'IPAM:',
      ipam
        .map(({ prefix, allocated, capacity }) => `IPv${prefix.includes(':') ? 6 : 4}: ${allocated}/${capacity} allocated from ${prefix}`)
        .join(', ') || 'no podCIDR',
    ],
  ];
}

function healthCells({ ok, message }: Health): string[] {
  return [ok ? 'Ok' : 'Failure', message];
}

function allocations(report: StatusReport): Line[] {
  return [['Allocated addresses:'], ...report.allocations.map(({ address, owner }) => [`  ${address} (${owner})`])];
}

function datapath({ masquerade: { ipv4, ipv6, except }, devices }: StatusReport): Line[] {
  const on = (enabled: boolean) => (enabled ? 'Enabled' : 'Disabled');
  const where = `[${devices.map(({ name }) => name).join(', ')}]`;
  const families = `${except.length > 0 ? `${except.join(' ')} ` : ''}[IPv4: ${on(ipv4)}, IPv6: ${on(ipv6)}]`;
  return [
    ['Routing:', 'Network: Native', 'Host: BPF'],
    ['Attach Mode:', 'TCX'],
    ['Device Mode:', 'veth'],
    ['Masquerading:', ...(ipv4 || ipv6 ? ['BPF', where, families] : ['Disabled'])],
  ];
}

/** Which interfaces lead out of the node, which do not, why, and what pods get from that. */
function interfaces({ interfaces: rows, mtu: { mtu, reason }, mtuBudget }: StatusReport): Line[] {
  const lines = rows.map((row) => [`  ${row.name}: ${row.uplink ? 'chosen' : 'ignored'} because ${row.reason}`]);
  const budget = mtuBudget.map(({ way, ipv4, ipv6, reason: why }) => [
    `  ${way}: ${ipv4 === ipv6 ? ipv4 : `${ipv4} IPv4, ${ipv6} IPv6`} (${why})`,
  ]);
  return [['Interfaces:'], ...lines, ['MTU:', `${mtu} (${reason})`], ['Largest packets:'], ...budget];
}

function controllers({ controllers: rows, time }: StatusReport, verbose: boolean): Line[] {
  const healthy = rows.filter(({ failures }) => failures === 0).length;
  const told = verbose ? rows : rows.filter(({ failures }) => failures > 0);
  const table = [['  Name', 'Last success', 'Last error', 'Count', 'Message'], ...told.map((row) => controllerCells(row, time))];
  return [['Controller Status:', `${healthy}/${rows.length} healthy`], ...(told.length > 0 ? table : [])];
}

function controllerCells({ name, lastSuccess, lastError, failures, message }: ControllerRow, now: number): Line {
  const ago = (time: number | undefined) => (time === undefined ? 'never' : `${duration(now - time)} ago`);
  return [`  ${name}`, ago(lastSuccess), ago(lastError), String(failures), message ?? 'no error'];
}

/** What of kube-proxy's work is done, and how. */
function replacement({ kubeProxyReplacement, socketLbHostOnly, devices }: StatusReport): Line[] {
  if (!kubeProxyReplacement) return [];
  return [
    ['KubeProxyReplacement Details:'],
    ['  Status:', 'True'],
    ['  Socket LB:', 'Enabled'],
    ['  Socket LB Coverage:', socketLbHostOnly ? 'Hostns-only' : 'Full'],
    ['  Devices:', devices.map(({ name, addresses }) => [name, ...addresses].join(' ')).join(', ') || 'none'],
    ['  Backend Selection:', 'Random'],
    ['  Session Affinity:', 'Enabled'],
    ['  Services:'],
    ...['ClusterIP', 'NodePort', 'LoadBalancer', 'externalIPs', 'HostPort'].map((type): Line => [`  - ${type}:`, 'Enabled']),
  ];
}

function maps(report: StatusReport): Line[] {
  const rows = report.maps.map(({ name, entries, capacity, fullIn }) => {
    const use = entries === undefined ? '-' : `${((100 * entries) / capacity).toFixed(entries > 0 ? 1 : 0)} %`;
    return [`  ${name}`, String(entries ?? '-'), String(capacity), use, fullIn === undefined ? '' : `in ${duration(fullIn * 1000)}`];
  });
  return [['BPF Maps:'], ['  Name', 'Entries', 'Size', 'Use', 'Full'], ...rows];
}

/** Who fills conntrack. */
function flows({ flows: found, time }: StatusReport): Line[] {
  if (!found) return [];
  const rows = found.talkers.map(({ name, flows: count }) => [`  ${name}`, String(count)]);
  return [['Flows:', `${found.entries} entries of conntrack live, ${duration(time - found.time)} ago`], ['  Opened by', 'Flows'], ...rows];
}

/** Who fills the ports of masquerade. */
function ports({ flows: found }: StatusReport): Line[] {
  if (!found) return [];
  const rows = found.ports.map(({ address, destination, ports: count, most }) => [
    `  ${address}`,
    destination,
    String(count),
    `${((100 * count) / found.portsEach).toFixed(1)} %`,
    `${most.name} (${most.ports})`,
  ]);
  return [
    [`Masquerade ports (each address has ${found.portsEach} for each destination):`],
    ['  Address', 'Destination', 'Ports', 'Use', 'Most of them'],
    ...rows,
  ];
}

function problems({ problems: count }: StatusReport): Line {
  return ['Problems:', count === 0 ? '0' : `${count} (say 'problems' to see them)`];
}

/** '45s', '2m5s', '3h2m', as Go prints them; under a second '0s'. */
export function duration(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  if (hours > 0) return `${hours}h${minutes}m`;
  return minutes > 0 ? `${minutes}m${seconds % 60}s` : `${seconds}s`;
}
