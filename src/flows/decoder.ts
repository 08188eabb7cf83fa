// SPDX-License-Identifier: Apache-2.0
// Records of the ring buffer, a batch at a time, to flows and connections.
//
//   trace, drop ─────▶ one flow          connection, or a trace that knows both directions ─▶ connection
//   socket ──────────▶ two flows           payload ─▶ a flow of DNS or HTTP

import { EventKind, eventCodec, payloadEventCodec, socketEventCodec } from '../datapath/schema.gen.ts';
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

/** Records of the ring buffer, and where each begins; its length is in the four bytes before. */
export type Records = { readonly bytes: Buffer; readonly starts: readonly number[] };

export type Decoder = {
  /** `bootTime`: nanoseconds since the epoch when CLOCK_MONOTONIC was zero. */
  decode(records: Records, bootTime: Nanoseconds): Decoded;
  /** Records that are none that this version knows. */
  readonly unknown: number;
  /** Payload that was not what it seemed to be. */
  readonly malformed: Payloads['malformed'];
};

/** Byte offset of what a record is. */
const KIND_AT = 8;

const sizes: Readonly<Record<number, number>> = {
  [EventKind.drop]: eventCodec.size,
  [EventKind.trace]: eventCodec.size,
  [EventKind.connection]: eventCodec.size,
  [EventKind.socket]: socketEventCodec.size,
  [EventKind.payload]: payloadEventCodec.size,
};

/** What the record at `at` is; 0 where this version knows no such thing: while an agent is replaced, programs of another one write. */
export function kindAt(bytes: Buffer, at: number): number {
  const kind = bytes[at + KIND_AT] ?? 0;
  return sizes[kind] === bytes.readUInt32LE(at - 4) ? kind : 0;
}
/** Of how much was kept of a payload, and of the payload itself: behind the event, as struct payload_event has it. */
const KEPT_AT = eventCodec.size + 4;
const PAYLOAD_AT = eventCodec.size + 8;

export function flowDecoder(about: Omit<FlowContext, 'bootTime' | 'names'>): Decoder {
  const names = learnedNames();
  const carried = payloads(names);
  let unknown = 0;
  const take = (bytes: Buffer, at: number, into: { flows: Flow[]; connections: Connection[] }, context: FlowContext) => {
    switch (kindAt(bytes, at)) {
      case EventKind.drop:
        into.flows.push(flowOf(eventCodec.decode(bytes, at), context));
        return;
      case EventKind.trace: {
        const event = eventCodec.decode(bytes, at);
        into.flows.push(flowOf(event, context));
        if (event.whole) into.connections.push(connectionOf(event, context));
        return;
      }
      case EventKind.connection: {
        const event = eventCodec.decode(bytes, at);
        if (event.whole) into.connections.push(connectionOf(event, context));
        return;
      }
      case EventKind.socket:
        into.flows.push(...socketFlows(socketEventCodec.decode(bytes, at), context));
        return;
      case EventKind.payload: {
        const payload = bytes.subarray(at + PAYLOAD_AT, at + PAYLOAD_AT + bytes.readUInt32LE(at + KEPT_AT));
        const flow = carried.flowOf(eventCodec.decode(bytes, at), payload, context);
        if (flow) into.flows.push(flow);
        return;
      }
      default:
        unknown++;
    }
  };
  return {
    decode({ bytes, starts }, bootTime) {
      about.directory.refresh();
      const [context, into] = [
        { ...about, names, bootTime },
        { flows: [], connections: [] },
      ];
      for (const at of starts) take(bytes, at, into, context);
      return into;
    },
    malformed: carried.malformed,
    get unknown() {
      return unknown;
    },
  };
}
