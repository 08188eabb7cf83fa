// SPDX-License-Identifier: Apache-2.0
// Targets belong to the world: others may change them, and nobody tells us. So each is looked at again, one after the other, in
// parts that leave the loop to others.

import { setImmediate as turn, setTimeout as pause } from 'node:timers/promises';
import type { Clock } from './clock.ts';
import type { Reconciler } from './reconcile.ts';

export type RefreshOptions = {
  readonly reconcilers: readonly Pick<Reconciler, 'look' | 'pending'>[];
  /** Called when a look found a difference. */
  readonly changed: () => void;
  readonly clock: Clock;
  /** Milliseconds in which each has its turn. */
  readonly roundMs: number;
};

const SHARE_MS = 4; // of a turn of the loop

/** Runs until `signal` aborts. */
export async function refreshInTurn({ reconcilers, changed, clock, roundMs }: RefreshOptions, signal: AbortSignal): Promise<void> {
  for (let at = 0; !signal.aborted; at = (at + 1) % reconcilers.length) {
    await pause(roundMs / reconcilers.length, undefined, { signal }).catch(() => {});
    const one = reconcilers[at];
    if (one === undefined) return;
    while (!signal.aborted) {
      const end = clock.monotonic() + SHARE_MS;
      if (one.look(() => clock.monotonic() >= end)) break;
      await turn();
    }
    if (one.pending > 0) changed();
  }
}
