// SPDX-License-Identifier: Apache-2.0
// The flows of this node: from the ring buffer of the kernel, through what the agent knows, into the ring that observers read.
//
//   events ─ flowDecoder() ─▶ Flow ───────▶ ring ─▶ observers, history, metrics
//                           ─▶ Connection ─▶ whoever listens
//   event_losses ───────────▶ LostEvent ──▶ ring

import { eventKindNames, eventLossesCodec } from '../datapath/schema.gen.ts';
import type { Connection } from '../flows/connection.ts';
import { flowDecoder } from '../flows/decoder.ts';
import type { Forgotten } from '../flows/decoder.ts';
import { directoryOf } from '../flows/directory.ts';
import type { DirectoryTables } from '../flows/directory.ts';
import { flowRing } from '../flows/flow-ring.ts';
import type { FlowRing } from '../flows/flow-ring.ts';
import { LostEventSource } from '../flows/flow-enums.ts';
import type { Redaction } from '../flows/redaction.ts';
import type { FlowMetrics } from '../flows/metrics/flow-metrics.ts';
import type { BpfMap } from '../kernel/map.ts';
import { bootTime } from './events.ts';
import type { Events } from './events.ts';
import type { FlowHistory } from './history.ts';

export type FlowsOptions = {
  readonly events: Events;
  /** The map event_losses. */
  readonly losses: BpfMap;
  readonly tables: DirectoryTables;
  /** 'cluster/node'. */
  readonly nodeName: string;
  /** What flows do not show. */
  readonly redaction: Redaction | undefined;
  /** One of those that Hubble knows: isRingCapacity(). */
  readonly capacity: number;
  /** Counts every flow. */
  readonly counted: FlowMetrics;
  /** Names and keeps every flow. */
  readonly history: FlowHistory;
  readonly signal: AbortSignal;
};

export type Loss = { readonly kind: string; readonly cpu: number; readonly limited: number; readonly full: number };

export type Flows = {
  readonly ring: FlowRing;
  readonly counted: FlowMetrics;
  readonly history: FlowHistory;
  /** Calls `listener` with what is told of connections, a batch at a time. */
  connections(listener: (connections: readonly Connection[]) => void, signal: AbortSignal): void;
  /** To be called with a flow that conntrack forgets. */
  forgotten(pair: Forgotten): void;
  /** Events that were never read, by kind and CPU; without those that have none. */
  losses(): readonly Loss[];
  /** Payload that was not what it seemed to be, by protocol. */
  readonly malformed: Readonly<Record<string, number>>;
};

const LOSSES_MS = 1000;

export function watchFlows(options: FlowsOptions): Flows {
  const { events, losses: map, tables, nodeName, redaction, capacity, counted, history, signal } = options;
  const ring = flowRing(capacity);
  const decoder = flowDecoder({ directory: directoryOf(tables), nodeName, uuid: history.uuid }, redaction);
  const listeners = new Set<(connections: readonly Connection[]) => void>();
  events.listen((records, bootTime) => {
    const { flows, connections } = decoder.decode(records, bootTime);
    history.append(flows); // in one turn with the ring: who reads both relies on it
    ring.append(flows);
    flows.forEach(counted.count);
    if (connections.length > 0) for (const listener of listeners) listener(connections);
  }, signal);
  let known = lossesIn(map);
  const timer = setInterval(() => {
    const now = lossesIn(map);
    for (const lost of lostSince(known, now)) {
      history.lose(lost);
      ring.lose(lost);
    }
    known = now;
  }, LOSSES_MS);
  signal.addEventListener('abort', () => clearInterval(timer), { once: true });
  return {
    ring,
    counted,
    history,
    connections(listener, until) {
      listeners.add(listener);
      until.addEventListener('abort', () => listeners.delete(listener), { once: true });
    },
    forgotten(pair) {
      const connection = listeners.size > 0 ? decoder.forgotten(pair, bootTime()) : undefined;
      if (connection) for (const listener of listeners) listener([connection]);
    },
    losses: () => lossesIn(map),
    malformed: decoder.malformed,
  };
}

function lossesIn(map: BpfMap): readonly Loss[] {
  const found: Loss[] = [];
  for (const kind of Object.keys(eventKindNames).map(Number)) {
    const key = Buffer.alloc(4);
    key.writeUInt32LE(kind);
    const values = map.lookup(key) ?? Buffer.alloc(0);
    for (let cpu = 0; cpu * eventLossesCodec.size < values.length; cpu++) {
      const loss = eventLossesCodec.decode(values, cpu * eventLossesCodec.size);
      if (loss.limited + loss.full > 0) found.push({ kind: eventKindNames[kind] ?? '', cpu, ...loss });
    }
  }
  return found;
}

/** A full ring buffer is the kernel's loss; what is beyond a kind's share never got so far. */
function lostSince(before: readonly Loss[], now: readonly Loss[]) {
  const was = new Map(before.map((loss) => [`${loss.kind} ${loss.cpu}`, loss]));
  return now.flatMap(({ kind, cpu, limited, full }) => {
    const then = was.get(`${kind} ${cpu}`) ?? { limited: 0, full: 0 };
    return [
      { source: LostEventSource.PERF_EVENT_RING_BUFFER, count: full - then.full },
      { source: LostEventSource.OBSERVER_EVENTS_QUEUE, count: limited - then.limited },
    ]
      .filter(({ count }) => count > 0)
      .map(({ source, count }) => ({ source, numEventsLost: BigInt(count), cpu }));
  });
}
