// SPDX-License-Identifier: Apache-2.0
// Messages of many nodes, each in order of time, as one stream in order of time. The oldest goes out once every node has said
// something later, or when it has waited for `patienceMs`: what a silent node says afterwards comes late. When messages come so fast
// that a lane is full nobody waits for the silent any more, but for one that has not said anything yet.
//
//   node a ─▶ lane ┐
//   node b ─▶ lane ┼─▶ the oldest head, while it is sure to be the oldest ─▶ out
//   node c ─▶ lane ┘   a lane that is full is not read: its node misses flows and says so
//
// A message is not read here but for its time: bytes go through as they came.

import type { Nanoseconds } from '../flows/flow.ts';

/** `arrived`: by performance.now(). */
export type Timed = { readonly time: Nanoseconds; readonly message: Buffer; readonly arrived: number };

export type Lane = {
  /** Comes back when there is room for more. */
  push(messages: readonly Timed[]): Promise<void>;
  /** Nothing comes any more. */
  end(): void;
};

export type Merge = {
  lane(): Lane;
  /** What came from elsewhere than a node: goes out before everything that waits. */
  now(message: Buffer): void;
  /** No more lanes: it ends with the last of them. */
  close(): void;
  /** Several at a time. */
  out(signal: AbortSignal): AsyncIterable<readonly Buffer[]>;
};

/** Messages that a lane keeps for one node. */
const ROOM = 2048;
/** Messages that go out together. */
const TOGETHER = 512;

type Queue = {
  items: Timed[];
  at: number;
  ended: boolean;
  readonly began: number;
  spoke: boolean;
  drained: (() => void) | undefined;
};

const size = ({ items, at }: Queue): number => items.length - at;

export function merge(patienceMs: number): Merge {
  const lanes = new Set<Queue>();
  const urgent: Buffer[] = [];
  let [closed, over] = [false, false];
  let wake: (() => void) | undefined;
  const changed = (_what?: unknown) => wake?.();
  const push = async (queue: Queue, messages: readonly Timed[]) => {
    if (queue.at > 0) queue.items.splice(0, queue.at);
    queue.at = 0;
    queue.spoke = true;
    for (const message of messages) queue.items.push(message);
    changed();
    while (!over && size(queue) > ROOM) await new Promise<void>((resolve) => (queue.drained = resolve));
  };
  return {
    lane() {
      const queue: Queue = { items: [], at: 0, ended: false, began: performance.now(), spoke: false, drained: undefined };
      lanes.add(queue);
      return {
        push: (messages) => push(queue, messages),
        end() {
          queue.ended = true;
          changed();
        },
      };
    },
    now: (message) => changed(urgent.push(message)),
    close: () => changed((closed = true)),
    async *out(signal) {
      try {
        while (!signal.aborted) {
          const batch = [...urgent.splice(0), ...ready(lanes, patienceMs)];
          for (const queue of lanes) if (queue.ended && size(queue) === 0) lanes.delete(queue);
          if (batch.length > 0) yield batch;
          else if (closed && lanes.size === 0) return;
          else await asleep((resolve) => (wake = resolve), waitFor(lanes, patienceMs), signal);
        }
      } finally {
        over = true;
        for (const queue of lanes) queue.drained?.();
      }
    },
  };
}

/** The oldest messages that may go out now. */
function ready(lanes: ReadonlySet<Queue>, patienceMs: number): readonly Buffer[] {
  const out: Buffer[] = [];
  while (out.length < TOGETHER) {
    let first: Queue | undefined;
    let [least, second]: (Nanoseconds | undefined)[] = [];
    for (const queue of lanes) {
      const time = queue.items[queue.at]?.time;
      if (time === undefined) continue;
      if (least === undefined || time < least) [first, second, least] = [queue, least, time];
      else if (second === undefined || time < second) second = time;
    }
    if (!first || patienceFor(first, lanes, patienceMs) > 0) return out;
    take(first, second, out);
  }
  return out;
}

/** How much longer the head of `first` has to wait for others, in milliseconds. */
function patienceFor(first: Queue, lanes: ReadonlySet<Queue>, patienceMs: number): number {
  const silent = [...lanes].filter((queue) => size(queue) === 0 && !queue.ended);
  if (silent.length === 0) return 0;
  const now = performance.now();
  const full = [...lanes].some((queue) => size(queue) >= ROOM);
  if (full) return Math.max(0, ...silent.map(({ spoke, began }) => (spoke ? 0 : began + patienceMs - now)));
  return Math.max(0, (first.items[first.at]?.arrived ?? 0) + patienceMs - now);
}

/** As much of a lane as is older than what the others have. */
function take(queue: Queue, until: Nanoseconds | undefined, out: Buffer[]): void {
  let item = queue.items[queue.at];
  do {
    if (item) out.push(item.message);
    item = queue.items[++queue.at];
  } while (item && out.length < TOGETHER && until !== undefined && item.time <= until);
  if (size(queue) > ROOM / 2) return;
  queue.drained?.();
  queue.drained = undefined;
}

/** How long until the oldest that waits has waited long enough; undefined: nothing waits. */
function waitFor(lanes: ReadonlySet<Queue>, patienceMs: number): number | undefined {
  const waiting = [...lanes].filter((queue) => size(queue) > 0).map((queue) => patienceFor(queue, lanes, patienceMs));
  return waiting.length === 0 ? undefined : Math.max(1, Math.ceil(Math.min(...waiting)));
}

function asleep(waker: (resolve: () => void) => void, ms: number | undefined, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = ms === undefined ? undefined : setTimeout(() => done(), ms);
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    waker(done);
    signal.addEventListener('abort', done, { once: true });
  });
}
