// SPDX-License-Identifier: Apache-2.0
// Reads the ring buffer of events at its own pace and hands on what has come, a batch at a time. It has one reader: whoever wants events
// listens here.

import type { Records } from '../flows/decoder.ts';
import type { BpfMap } from '../kernel/map.ts';
import { recordStarts, RingBuffer } from '../kernel/ringbuf.ts';

/** `bootTime`: nanoseconds since the epoch when CLOCK_MONOTONIC was zero. The bytes are overwritten after the call. */
export type EventListener = (records: Records, bootTime: bigint) => void;

export type Events = {
  /** Calls `listener` with each batch from now on, which must be quick. */
  listen(listener: EventListener, signal: AbortSignal): void;
};

/** The ring buffer has room for what comes in twice that time at the most, but for bursts of several kinds at once. */
const PACE_MS = 20;
/** As much as is decoded in a few milliseconds. */
const BATCH_BYTES = 128 * 1024;

/** Nanoseconds since the epoch when CLOCK_MONOTONIC was zero, as the clock of the node has it now. */
export const bootTime = (): bigint => BigInt(Date.now()) * 1_000_000n - process.hrtime.bigint();

/** The kernel never wakes us (a wake-up costs more than the packet), so we look: every so often, and at once where there was much. */
export function readEvents(map: BpfMap, signal: AbortSignal): Events {
  const ring = new RingBuffer(map);
  const buffer = Buffer.allocUnsafeSlow(BATCH_BYTES);
  const listeners = new Set<EventListener>();
  let timer: NodeJS.Timeout | undefined;
  const look = () => {
    const { bytes } = ring.drain(buffer);
    if (bytes > 0) {
      const records = { bytes: buffer, starts: recordStarts(buffer.subarray(0, bytes)) };
      const booted = bootTime();
      for (const listener of listeners) listener(records, booted);
    }
    timer = setTimeout(look, bytes > BATCH_BYTES / 2 ? 0 : PACE_MS);
  };
  signal.addEventListener('abort', () => {
    clearTimeout(timer);
    ring[Symbol.dispose]();
  });
  timer = setTimeout(look, 0); // whoever listens comes first
  return {
    listen(listener, until) {
      listeners.add(listener);
      until.addEventListener('abort', () => listeners.delete(listener), { once: true });
    },
  };
}
