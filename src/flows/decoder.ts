// SPDX-License-Identifier: Apache-2.0
// Records of the ring buffer, a batch at a time, to flows and connections.
//
//   trace, drop ─────▶ one flow          connection, or a trace that knows both directions ─▶ connection
//   socket ──────────▶ two flows           payload ─▶ flows of DNS or HTTP

import { conntrackEntryCodec, EventKind, eventCodec, flowCodec, payloadEventCodec, socketEventCodec } from '../datapath/schema.gen.ts';
import { connectionOf, forgottenEvent } from './connection.ts';
import type { Connection } from './connection.ts';
import { flowOf } from './event-flow.ts';
import type { FlowContext } from './event-flow.ts';
import type { Flow, Nanoseconds } from './flow.ts';
import { learnedNames } from './names.ts';
import { payloads } from './payload-flow.ts';
import type { Payloads } from './payload-flow.ts';
import type { Redaction } from './redaction.ts';
import { socketFlows } from './socket-flow.ts';

export type Decoded = {
  /** In the order in which they were seen. */
  readonly flows: readonly Flow[];
  readonly connections: readonly Connection[];
};

/** Records of the ring buffer, and where each begins; its length is in the four bytes before. */
export type Records = { readonly bytes: Buffer; readonly starts: readonly number[] };

/** Bytes of conntrack: a flow's key and entry, and the entry of its other direction. */
export type Forgotten = { readonly key: Buffer; readonly value: Buffer; readonly opposite: Buffer };

export type Decoder = {
  /** `bootTime`: nanoseconds since the epoch when CLOCK_MONOTONIC was zero. */
  decode(records: Records, bootTime: Nanoseconds): Decoded;
  /** The end of a flow that conntrack forgets, if it was not told when it came. */
  forgotten(pair: Forgotten, bootTime: Nanoseconds): Connection | undefined;
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
/** Of what is behind the event, as struct payload_event has it. */
const LENGTH_AT = eventCodec.size;
const KEPT_AT = eventCodec.size + 4;
const SEQUENCE_AT = eventCodec.size + 8;
const PAYLOAD_AT = eventCodec.size + 16;

type Into = { readonly flows: Flow[]; readonly connections: Connection[] };

/** `redaction`: what flows do not show; undefined: they show what they have. */
export function flowDecoder(about: Omit<FlowContext, 'bootTime' | 'names'>, redaction?: Redaction): Decoder {
  const names = learnedNames();
  const carried = payloads(names, redaction);
  let unknown = 0;
  return {
    decode({ bytes, starts }, bootTime) {
      about.directory.refresh();
      const [context, into]: [FlowContext, Into] = [
        { ...about, names, bootTime },
        { flows: [], connections: [] },
      ];
      for (const at of starts) if (!take(bytes, at, { into, context, carried })) unknown++;
      return into;
    },
    forgotten({ key, value, opposite }, bootTime) {
      const [entry, other] = [conntrackEntryCodec.decode(value), conntrackEntryCodec.decode(opposite)];
      const event = forgottenEvent(flowCodec.decode(key), entry, other);
      return event && connectionOf(event, { ...about, names, bootTime });
    },
    malformed: carried.malformed,
    get unknown() {
      return unknown;
    },
  };
}

type Taking = { readonly into: Into; readonly context: FlowContext; readonly carried: Payloads };

/** False for a record that is none that this version knows. */
function take(bytes: Buffer, at: number, { into: { flows, connections }, context, carried }: Taking): boolean {
  switch (kindAt(bytes, at)) {
    case EventKind.drop:
      flows.push(flowOf(eventCodec.decode(bytes, at), context));
      return true;
    case EventKind.trace: {
      const event = eventCodec.decode(bytes, at);
      flows.push(flowOf(event, context));
      if (event.whole) connections.push(connectionOf(event, context));
      return true;
    }
    case EventKind.connection: {
      const event = eventCodec.decode(bytes, at);
      if (event.whole) connections.push(connectionOf(event, context));
      return true;
    }
    case EventKind.socket:
      flows.push(...socketFlows(socketEventCodec.decode(bytes, at), context));
      return true;
    case EventKind.payload: {
      const segment = {
        bytes: bytes.subarray(at + PAYLOAD_AT, at + PAYLOAD_AT + bytes.readUInt32LE(at + KEPT_AT)),
        length: bytes.readUInt32LE(at + LENGTH_AT),
        sequence: bytes.readUInt32LE(at + SEQUENCE_AT),
      };
      flows.push(...carried.flowsOf(eventCodec.decode(bytes, at), segment, context));
      return true;
    }
    default:
      return false;
  }
}
