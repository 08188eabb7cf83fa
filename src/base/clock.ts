// SPDX-License-Identifier: Apache-2.0
// Time comes from outside: loops take a Clock, derivations take none.

export type Clock = {
  /** Milliseconds since the Unix epoch. */
  now(): number;
  /** Milliseconds on a clock that never steps back. */
  monotonic(): number;
};

export const systemClock: Clock = { now: () => Date.now(), monotonic: () => performance.now() };

/** Exponential backoff in milliseconds: doubles from `first` up to `limit`, with up to a fifth of jitter either way. */
export function backoff(attempt: number, first: number, limit: number): number {
  return Math.min(limit, first * 2 ** Math.min(attempt, 30)) * (0.8 + 0.4 * Math.random());
}
