// SPDX-License-Identifier: Apache-2.0
// `trace`: what would become of a packet, step by step. Exit code 0: it arrives or goes where it was sent; 1: it does not.

import type { TraceAnswer } from '../agent/api-types.ts';
import type { Trace } from '../trace/packet.ts';
import { ask } from './client.ts';
import { list } from './columns.ts';
import type { Io } from './command.ts';
import { argumentsOf, outputOption, print, UsageError } from './command.ts';

export const help = `Usage: NAME trace tcp|udp|icmp SOURCE DESTINATION[:PORT] [--packet] [-o json]

Walks the first packet of a new flow through the tables of this node, in the order in which its programs decide, and says of each step
what was looked up, what was found and what follows. Nothing is sent. Exit code 0: it arrives, or leaves for where it was sent, whichever
backend is chosen; 1: it does not; 2: the question cannot be understood.

SOURCE and DESTINATION are addresses, [IPv6]:PORT with brackets, or names:
  namespace/name   a service (its port by number or name), or a pod; a workload's name stands for its first pod on this node;
                   a SOURCE has to be on this node
  host             this node
  node2            another node
  outside          an address that nobody has, beyond the router

  --packet         begin with the packet: a process that the socket programs do not see
  -o json          every step, for programs

Examples:
  NAME trace tcp shop/frontend shop/cart:80
  NAME trace udp 10.244.1.5 10.96.0.10:53
  NAME trace tcp outside shop/cart:80
  NAME trace icmp host node2
`;

export async function run(args: readonly string[], io: Io): Promise<number> {
  const { values, positionals } = argumentsOf(args, { packet: { type: 'boolean' }, ...outputOption }, 3);
  const [protocol, source, destination] = positionals;
  if (protocol === undefined || source === undefined || destination === undefined)
    throw new UsageError(`Cannot trace '${positionals.join(' ')}', wanted a protocol, a source and a destination`);
  const query = new URLSearchParams({ protocol, source, destination, raw: values.packet ? '1' : '0' });
  const answer = await ask<TraceAnswer>(io.socket, `/trace?${query.toString()}`);
  if (answer.kind === 'misunderstood') throw new UsageError(answer.message);
  print(io, values.output, answer.trace, traceText);
  return answer.trace.delivered ? 0 : 1;
}

/** A line for each step, then what happens in one sentence, and a sentence for each other backend that may be chosen. */
export function traceText({ steps, sentence, delivered, others }: Trace): string {
  const rows = steps.map(({ hook, lookedUp, found, decision }) => [hook, lookedUp, found ?? '-', decision]);
  const also = [...new Set(others.map((other) => other.sentence))].filter((other) => other !== sentence);
  const lines = [`${delivered || also.length > 0 ? '' : 'NOT DELIVERED: '}${sentence}`, ...also.map((other) => `or: ${other}`)];
  return `${list(['HOOK', 'LOOKED UP', 'FOUND', 'DECISION'], rows)}\n${lines.join('\n')}\n`;
}
