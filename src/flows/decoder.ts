// SPDX-License-Identifier: Apache-2.0
// Records of the ring buffer, a batch at a time, to flows and connections.
//
//   trace, drop ─────▶ one flow          connection, or a trace that knows both directions ─▶ connection
//   socket ──────────▶ two flows           payload ─▶ a flow of DNS or HTTP

import { EventKind, eventCodec, socketEventCodec } from '../datapath/schema.gen.ts';
import { connectionOf } from './connection.ts';
import type { Connection } from './connection.ts';
import { flowOf } from './event-flow.ts';
import type { FlowContext } from './event-flow.ts';
import type { Flow, Nanoseconds } from './flow.ts';
import { learnedNames } from './names.ts';
import { payloads } from './payload-flow.ts';
import type { Payloads } from './payload-flow.ts';
import { socketFlows } from './socket-flow.ts';

export type Decoded = {
  /** In the order in which they were seen. */
  readonly flows: readonly Flow[];
  readonly connections: readonly Connection[];
};

export type Decoder = {
  /** `bootTime`: nanoseconds since the epoch when CLOCK_MONOTONIC was zero. */
  decode(records: Iterable<Buffer>, bootTime: Nanoseconds): Decoded;
  /** Records that are none that this version knows. */
  readonly unknown: number;
  /** Payload that was not what it seemed to be. */
  readonly malformed: Payloads['malformed'];
};

/** Byte offset of what a record is. */
export const KIND_AT = 8;
/** Of how much was kept of a payload, and of the payload itself: behind the event, as struct payload_event has it. */
const KEPT_AT = eventCodec.size + 4;
const PAYLOAD_AT = eventCodec.size + 8;

export function flowDecoder(about: Omit<FlowContext, 'bootTime' | 'names'>): Decoder {
  const names = learnedNames();
  const carried = payloads(names);
  let unknown = 0;
  const take = (record: Buffer, into: { flows: Flow[]; connections: Connection[] }, context: FlowContext) => {
    switch (record[KIND_AT] ?? 0) {
      case EventKind.drop:
        into.flows.push(flowOf(eventCodec.decode(record), context));
        return;
      case EventKind.trace: {
        const event = eventCodec.decode(record);
        into.flows.push(flowOf(event, context));
        if (event.whole) into.connections.push(...[connectionOf(event, context)].filter((one) => one !== undefined));
        return;
      }
      case EventKind.connection:
        into.connections.push(...[connectionOf(eventCodec.decode(record), context)].filter((one) => one !== undefined));
        return;
      case EventKind.socket:
        into.flows.push(...socketFlows(socketEventCodec.decode(record), context));
        return;
      case EventKind.payload: {
        const kept = record.readUInt32LE(KEPT_AT);
        const flow = carried.flowOf(eventCodec.decode(record), record.subarray(PAYLOAD_AT, PAYLOAD_AT + kept), context);
        if (flow) into.flows.push(flow);
        return;
      }
      default:
        unknown++;
    }
  };
  return {
    decode(records, bootTime) {
      about.directory.refresh();
      const [context, into] = [
        { ...about, names, bootTime },
        { flows: [], connections: [] },
      ];
      for (const record of records) take(record, into, context);
      return into;
    },
    malformed: carried.malformed,
    get unknown() {
      return unknown;
    },
  };
}
