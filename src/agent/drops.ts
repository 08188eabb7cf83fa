// SPDX-License-Identifier: Apache-2.0
// Reads drop events from the ring buffer at its own pace, keeps the most recent ones and hands them to whoever follows.

import type { Clock } from '../base/clock.ts';
import type { Table } from '../base/table.ts';
import { eventCodec } from '../datapath/schema.gen.ts';
import type { Event } from '../datapath/schema.gen.ts';
import type { EndpointRow } from '../endpoints/endpoint.ts';
import { dropOf } from '../flows/drop-event.ts';
import type { Drop } from '../flows/drop-event.ts';
import type { BpfMap } from '../kernel/map.ts';
import { recordsIn, RingBuffer } from '../kernel/ringbuf.ts';

export type DropsOptions = {
  readonly events: BpfMap;
  readonly endpoints: Table<string, EndpointRow>;
  readonly clock: Clock;
  readonly signal: AbortSignal;
};

export type Drops = {
  /** Oldest first. */
  recent(): readonly Drop[];
  follow(listener: (drop: Drop) => void, signal: AbortSignal): void;
  /** Calls `listener` with each event as the kernel wrote it: so often that it must be quick. */
  watch(listener: (event: Event) => void, signal: AbortSignal): void;
};

const KEPT = 1000;
const IDLE_MS = 100;
const BUSY_MS = 5;
const BATCH_BYTES = 256 * 1024;

/** The kernel never wakes us (a wake-up costs more than the packet), so we look: often while there is something to see. */
export function readDrops({ events, endpoints, clock, signal }: DropsOptions): Drops {
  const ring = new RingBuffer(events);
  const buffer = Buffer.allocUnsafeSlow(BATCH_BYTES);
  const kept: Drop[] = [];
  const listeners = new Set<(drop: Drop) => void>();
  const watchers = new Set<(event: Event) => void>();
  let timer: NodeJS.Timeout | undefined;
  const look = () => {
    const { bytes } = ring.drain(buffer);
    const context = { endpoints, bootTime: clock.now() - Number(process.hrtime.bigint()) / 1e6 };
    for (const record of recordsIn(buffer.subarray(0, bytes))) {
      const event = eventCodec.decode(record);
      const drop = dropOf(event, context);
      kept.push(drop);
      for (const listener of listeners) listener(drop);
      for (const watcher of watchers) watcher(event);
    }
    if (kept.length > KEPT) kept.splice(0, kept.length - KEPT);
    timer = setTimeout(look, bytes > 0 ? BUSY_MS : IDLE_MS);
  };
  signal.addEventListener('abort', () => {
    clearTimeout(timer);
    ring[Symbol.dispose]();
  });
  look();
  return {
    recent: () => [...kept],
    follow(listener, until) {
      listeners.add(listener);
      until.addEventListener('abort', () => listeners.delete(listener), { once: true });
    },
    watch(listener, until) {
      watchers.add(listener);
      until.addEventListener('abort', () => watchers.delete(listener), { once: true });
    },
  };
}
