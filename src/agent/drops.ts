// SPDX-License-Identifier: Apache-2.0
// Keeps the most recent drops and hands each to whoever follows.

import type { Table } from '../base/table.ts';
import { eventCodec, EventKind } from '../datapath/schema.gen.ts';
import type { Event } from '../datapath/schema.gen.ts';
import type { EndpointRow } from '../endpoints/endpoint.ts';
import { kindAt } from '../flows/decoder.ts';
import { dropOf } from '../flows/drop-event.ts';
import type { Drop } from '../flows/drop-event.ts';
import type { Events } from './events.ts';

export type DropsOptions = {
  readonly events: Events;
  readonly endpoints: Table<string, EndpointRow>;
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

export function readDrops({ events, endpoints, signal }: DropsOptions): Drops {
  const kept: Drop[] = [];
  const listeners = new Set<(drop: Drop) => void>();
  const watchers = new Set<(event: Event) => void>();
  events.listen(({ bytes, starts }, bootTime) => {
    const context = { endpoints, bootTime: Number(bootTime) / 1e6 };
    for (const at of starts) {
      if (kindAt(bytes, at) !== EventKind.drop) continue;
      const event = eventCodec.decode(bytes, at);
      const drop = dropOf(event, context);
      kept.push(drop);
      for (const listener of listeners) listener(drop);
      for (const watcher of watchers) watcher(event);
    }
    if (kept.length > KEPT) kept.splice(0, kept.length - KEPT);
  }, signal);
  const add = <T>(set: Set<T>, one: T, until: AbortSignal) => {
    set.add(one);
    until.addEventListener('abort', () => set.delete(one), { once: true });
  };
  return {
    recent: () => [...kept],
    follow: (listener, until) => add(listeners, listener, until),
    watch: (listener, until) => add(watchers, listener, until),
  };
}
