// SPDX-License-Identifier: Apache-2.0
// What --type takes: a kind of event, and what it says more closely after a colon, each by name or number.

import { DropReason } from '../../flows/drop-reasons.ts';
import { DebugCapturePoint, MessageType, TraceObservationPoint } from '../../flows/flow-enums.ts';
import { UsageError } from '../command.ts';

type Numbers = Readonly<Record<string, number>>;

const dashed = (name: string) => name.toLowerCase().replaceAll('_', '-');

/** Points as `eventType.subType` numbers them: to-endpoint is 0 there, and 101 where a point stands alone. */
export const tracePoints: Numbers = Object.fromEntries(
  Object.entries(TraceObservationPoint)
    .filter(([name]) => name !== 'UNKNOWN_POINT')
    .map(([name, number]) => [dashed(name), name === 'TO_ENDPOINT' ? 0 : number]),
);

export const socketPoints: Numbers = { 'pre-xlate-fwd': 1, 'post-xlate-fwd': 2, 'pre-xlate-rev': 3, 'post-xlate-rev': 4 };

/** As the data plane numbers them, which is not how an AgentEvent does. */
const agentTopics: Numbers = {
  message: 1,
  started: 2,
  'regenerate-success': 3,
  'regenerate-failure': 4,
  'policy-updated': 5,
  'policy-deleted': 6,
  'endpoint-created': 7,
  'endpoint-deleted': 8,
  'ipcache-upserted': 9,
  'ipcache-deleted': 10,
  'service-upserted': 11,
  'service-deleted': 12,
};

const types: Readonly<Record<string, { readonly type: number; readonly sub: Numbers }>> = {
  drop: { type: MessageType.DROP, sub: byDashedName(DropReason, '') },
  debug: { type: MessageType.DEBUG, sub: {} },
  capture: { type: MessageType.CAPTURE, sub: byDashedName(DebugCapturePoint, 'dbg-capture-') },
  trace: { type: MessageType.TRACE, sub: tracePoints },
  'policy-verdict': { type: MessageType.POLICY_VERDICT, sub: {} },
  'trace-sock': { type: MessageType.TRACE_SOCK, sub: socketPoints },
  l7: { type: MessageType.L7, sub: {} },
  agent: { type: MessageType.AGENT, sub: agentTopics },
};

function byDashedName(numbers: Numbers, prefix: string): Numbers {
  return Object.fromEntries(Object.entries(numbers).map(([name, number]) => [dashed(name).slice(prefix.length), number]));
}

/** An EventTypeFilter in JSON. */
export type EventType = { readonly type: number; readonly match_sub_type?: true; readonly sub_type?: number };

/** Throws UsageError. */
export function eventTypeIn(text: string): EventType {
  const [word = '', subWord, ...more] = text.split(':');
  const name = word.toLowerCase();
  const known = Object.hasOwn(types, name) ? types[name] : undefined;
  const type = known?.type ?? numberIn(word, 255);
  if (type === undefined || more.length > 0)
    throw new UsageError(
      `Cannot filter by type '${text}', wanted one of ${Object.keys(types).join(', ')}, or trace:to-endpoint and the like`,
    );
  if (subWord === undefined) return { type };
  const sub = known?.sub ?? {};
  const found = (Object.hasOwn(sub, dashed(subWord)) ? sub[dashed(subWord)] : undefined) ?? numberIn(subWord, 0x7fff_ffff);
  if (found === undefined)
    throw new UsageError(
      `Cannot filter by type '${text}', wanted ${word}:N${Object.keys(sub)
        .map((one) => `, ${word}:${one}`)
        .join('')}`,
    );
  return { type, match_sub_type: true, ...(found !== 0 && { sub_type: found }) };
}

function numberIn(text: string, most: number): number | undefined {
  return /^\d{1,10}$/.test(text) && Number(text) <= most ? Number(text) : undefined;
}
