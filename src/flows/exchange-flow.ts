// SPDX-License-Identifier: Apache-2.0
// What flows of a request and of its answer have in common, whatever is asked.

import { addressPort } from '../base/ip.ts';
import type { Event } from '../datapath/schema.gen.ts';
import { flowBegun, isReply, portsOf } from './event-flow.ts';
import type { FlowContext } from './event-flow.ts';
import type { Flow, Layer7 } from './flow.ts';
import { FlowType, L7FlowType, MessageType } from './flow-enums.ts';

/** A request that waits for its answer; `time`: nanoseconds of the kernel's clock. */
export type Asked = { readonly time: number };

const TCP = 6;

type Said = Pick<Flow, 'l7' | 'summary' | 'trafficDirection' | 'traceContext'>;

export function flowWith(event: Event, context: FlowContext, { l7, summary, trafficDirection, traceContext }: Said): Flow {
  const flow = flowBegun(event, context);
  flow.l4 = { kind: event.flow.protocol === TCP ? 'TCP' : 'UDP', ...portsOf(event) };
  flow.type = FlowType.L7;
  flow.reply = flow.isReply = isReply(event);
  flow.eventType = { type: MessageType.L7, subType: 0 };
  flow.l7 = l7;
  flow.summary = summary;
  flow.trafficDirection = trafficDirection;
  flow.traceContext = traceContext;
  return flow;
}

export function clientOf(event: Event): string {
  const { flow, destination, destinationPort } = event;
  return isReply(event) ? addressPort(destination, destinationPort) : addressPort(flow.source, flow.sourcePort);
}

export function serverAddress(event: Event): Event['destination'] {
  return isReply(event) ? event.flow.source : event.destination;
}

export function serverOf(event: Event): string {
  return addressPort(serverAddress(event), isReply(event) ? event.flow.sourcePort : event.destinationPort);
}

export function layer7(response: boolean, asked: Asked | undefined, event: Event, record: NonNullable<Layer7['record']>): Layer7 {
  const type = response ? L7FlowType.RESPONSE : L7FlowType.REQUEST;
  return asked ? { type, latencyNs: BigInt(Math.max(0, event.time - asked.time)), record } : { type, record };
}

export function latencyMs(asked: Asked | undefined, event: Event): number {
  return asked ? Math.max(0, Math.trunc((event.time - asked.time) / 1e6)) : 0;
}
