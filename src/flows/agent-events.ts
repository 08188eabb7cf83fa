// SPDX-License-Identifier: Apache-2.0
// What the agent itself did, the newest of it: endpoints that came and went, and that it started.

import type { AgentEvent, Nanoseconds } from './flow.ts';

export type TimedAgentEvent = { readonly time: Nanoseconds; readonly event: AgentEvent };

export type AgentEvents = {
  add(time: Nanoseconds, event: AgentEvent): void;
  /** Events that are kept, oldest first, each under a number that only grows. */
  from(number: number): { readonly events: readonly TimedAgentEvent[]; readonly next: number };
  listen(listener: () => void): () => void;
};

export function agentEvents(capacity: number): AgentEvents {
  const kept: TimedAgentEvent[] = [];
  const listeners = new Set<() => void>();
  let next = 0;
  return {
    add(time, event) {
      kept.push({ time, event });
      next++;
      if (kept.length > capacity) kept.shift();
      for (const listener of listeners) listener();
    },
    from: (number) => ({ events: kept.slice(Math.max(0, kept.length - (next - number))), next }),
    listen(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}

export type EventQuery = {
  readonly number?: number | undefined;
  readonly first?: boolean | undefined;
  readonly follow?: boolean | undefined;
  readonly since?: Nanoseconds | undefined;
  readonly until?: Nanoseconds | undefined;
};

/** Of the events that are there, those that were asked for. */
export function pastOf(
  events: readonly TimedAgentEvent[],
  { number = 0, first = false, follow = false, since, until }: EventQuery,
): readonly TimedAgentEvent[] {
  const within = events.filter(({ time }) => (since === undefined || time >= since) && (until === undefined || time <= until));
  if (since !== undefined) return follow || number === 0 ? within : within.slice(0, number);
  if (number === 0) return follow ? [] : within;
  return first ? within.slice(0, number) : within.slice(-Math.min(number, within.length || 1));
}
