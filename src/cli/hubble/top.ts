// SPDX-License-Identifier: Apache-2.0
// `hubble top`: who talks most, by any part of a flow.

import { isatty } from 'node:tty';
import { RpcError } from '../../grpc/status.ts';
import type { GetFlowsResponse } from '../../hubble/observer.ts';
import { columns } from '../columns.ts';
import type { Io } from '../command.ts';
import { UsageError } from '../command.ts';
import { harmless } from './colors.ts';
import { groupings, groups } from './groups.ts';
import type { Groups } from './groups.ts';
import { interruptible } from './interrupt.ts';
import { nodes, partialText } from './node-status.ts';
import { observeFlags, requestOf } from './observe-flags.ts';
import { exactly } from './selection.ts';
import { flowsFrom, serverError, serverOf } from './server.ts';
import { flagsText, settingsOf } from './settings.ts';
import type { Flag, Settings } from './settings.ts';

const topFlags: readonly Flag[] = [
  { name: 'by', value: 'WORDS', default: 'source,destination,port', help: 'what the flows of a line have in common, by comma' },
  { name: 'limit', value: 'N', default: '20', help: 'lines' },
];
const flags: readonly Flag[] = [...topFlags, ...observeFlags];

export const help = `Usage: NAME top [--by WORDS] [--limit N] [FLAGS of observe]

Groups of flows by size: of the newest 10000 unless --last, --since or another flag of 'observe' says otherwise; with -f of those that come, shown
every two seconds. Who asked is the source, also of packets that go back.

${flagsText(topFlags)}

Words: ${Object.keys(groupings).join(', ')}

Examples:
  NAME top
  NAME top --by source-namespace,destination-namespace --since 10m
  NAME top --verdict DROPPED --by reason,source,destination,port
  NAME top --protocol dns --by query
  NAME top -f --by node,verdict
`;

const DEFAULT_LAST = 10_000;
const REFRESH_MS = 2000;

export async function run(args: readonly string[], io: Io): Promise<number> {
  const settings = settingsOf(args, flags);
  const by = (settings.text('by') ?? '').split(',').map((word) => word.trim());
  const unknown = by.find((word) => !Object.hasOwn(groupings, word));
  if (unknown !== undefined) throw new UsageError(`Cannot group by '${unknown}', wanted one of ${Object.keys(groupings).join(', ')}`);
  const limit = settings.number('limit') ?? 20;
  const counted = groups(by);
  const text = () => topText(counted, by, limit);
  const follow = settings.on('follow');
  const screen = follow && isatty(1);
  const draw = () => io.out(screen ? `\u001b[H\u001b[2J${text()}` : `${text()}\n`);
  const timer = follow ? setInterval(draw, REFRESH_MS) : undefined;
  try {
    await count(settings, counted, io);
  } finally {
    clearInterval(timer);
  }
  io.out(text());
  return 0;
}

async function count(settings: Settings, counted: Groups, { err: warn, socket }: Io): Promise<void> {
  const request = requestOf(settings, { now: Date.now(), last: DEFAULT_LAST, json: true });
  const known = nodes();
  const all = async (responses: AsyncIterable<readonly GetFlowsResponse[]>) => {
    for await (const batch of exactly(responses, request))
      for (const { flow, nodeStatus } of batch) {
        if (flow) counted.add(flow);
        if (nodeStatus) known.note(nodeStatus);
      }
  };
  const file = settings.text('input-file');
  if (file !== undefined) return all((await import('./input-file.ts')).flowsInFile(file, request, warn));
  await using server = await serverOf(settings, { agentSocket: socket });
  await interruptible(async (signal) => {
    try {
      await all(flowsFrom(server, request, signal));
    } catch (error) {
      throw error instanceof RpcError ? serverError(error, server) : error;
    }
  });
  const partial = known.partial ?? server.nodes;
  if (partial !== undefined) warn(partialText(partial));
}

export function topText(counted: Groups, by: readonly string[], limit: number): string {
  const { flows, seconds } = counted;
  const rows = counted
    .top(limit)
    .map(({ words, flows: of, dropped }) => [
      String(of),
      `${((100 * of) / flows).toFixed(1)}%`,
      seconds > 0 ? (of / seconds).toFixed(2) : '-',
      String(dropped),
      ...words.map((word) => harmless(word) || '-'),
    ]);
  const header = ['FLOWS', 'SHARE', 'PER-SECOND', 'DROPPED', ...by.map((word) => word.toUpperCase())];
  const of = seconds > 0 ? ` within ${seconds.toFixed(seconds < 10 ? 1 : 0)} s` : '';
  return `${flows} flows${of}\n${columns([header, ...rows], { minWidth: 2, padding: 3 })}`;
}
