// SPDX-License-Identifier: Apache-2.0
// Waiting is asking again until the answer is yes or the time is over.
import { setTimeout as delay } from 'node:timers/promises';
import { StentorError } from '../src/base/errors.ts';

/** The time was over before the condition held. */
export class WaitTimeout extends StentorError {
  constructor(what: string, milliseconds: number) {
    super('WAIT_TIMEOUT', `Waited ${Math.round(milliseconds / 100) / 10} s for ${what}`);
  }
}

/** Resolves as soon as the condition holds; asks every 10 to 50 ms. Throws WaitTimeout with `what` in it. */
export async function until(what: string, timeoutMs: number, holds: () => boolean | Promise<boolean>, signal?: AbortSignal): Promise<void> {
  const started = performance.now();
  for (let wait = 5; !(await holds()); wait = Math.min(wait * 2, 50)) {
    signal?.throwIfAborted();
    if (performance.now() - started > timeoutMs) throw new WaitTimeout(what, timeoutMs);
    await delay(wait);
  }
}

/** Waits, or less when the signal aborts. Never throws. */
export const pause = (milliseconds: number, signal: AbortSignal): Promise<unknown> =>
  delay(milliseconds, undefined, { signal }).catch(() => undefined);
