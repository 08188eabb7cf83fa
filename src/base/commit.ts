// SPDX-License-Identifier: Apache-2.0
// The engine's beat: at most once per turn of the event loop, derivations in order, then one walk over the reconcilers.
//
//   schedule() … schedule() ──setImmediate──▶ commit: derivations ▶ upserts ──▶ deletes ◀── …
//
// It never awaits, so nobody reads half a change and there are no locks. A commit that takes longer than its share of the
// loop goes on in the next turn. Targets are walked only while no derivation has anything left to do, because tables derived
// from the same row agree with each other only then; a walk may end anywhere (see walkUntil), and the next one starts again
// with whatever is new.

import { backoff } from './clock.ts';
import type { Clock } from './clock.ts';
import type { Derivation } from './derive.ts';
import { walkUntil } from './reconcile.ts';
import type { Reconciler } from './reconcile.ts';

export type Engine = {
  /** Asks for a commit in the next turn. */
  schedule(): void;
  /** Resolves when all that changed has been derived and every target has been tried. */
  settled(): Promise<void>;
  readonly status: { readonly commits: number; readonly longestMs: number; readonly error: string | undefined };
  close(): void;
};

export type EngineOptions = {
  /** In dependency order: each reads only source tables and the tables of those before it. */
  readonly derivations: readonly Derivation[];
  /** Each list in dependency order: what points comes after what it points at. A failure in one list does not hold up the others. */
  readonly walks: readonly (readonly Reconciler[])[];
  readonly clock: Clock;
  /** Called when all that changed has been derived, for those who look at tables outside the engine. */
  readonly afterwards?: () => void;
};

const SHARE_MS = 4; // of a turn, for derivations and again for the walk
const KEYS_PER_LOOK = 32; // derived between two looks at the clock
const FIRST_RETRY_MS = 50;
const LAST_RETRY_MS = 10_000;

export function engine(options: EngineOptions): Engine {
  const { derivations, walks, clock, afterwards } = options;
  const everything = walks.flat();
  let next: NodeJS.Immediate | undefined;
  let retry: NodeJS.Timeout | undefined;
  let waiting: (() => void)[] = [];
  let closed = false;
  let tries = 0;
  let commits = 0;
  let longestMs = 0;

  const schedule = () => {
    if (!closed) next ??= setImmediate(commit);
  };
  const commit = () => {
    next = undefined;
    const started = clock.monotonic();
    const derived = deriveUntil(derivations, sharePassed(clock));
    const walked = derived ? walks.map((reconcilers) => walkUntil(reconcilers, sharePassed(clock))) : ['more'];
    commits++;
    longestMs = Math.max(longestMs, clock.monotonic() - started);
    if (derived) afterwards?.();
    if (walked.includes('more')) return schedule();
    waiting = release(waiting);
    if (walked.includes('failed') || walked.includes('partly')) plan();
    else if (everything.every((one) => one.pending === 0)) tries = 0;
  };
  const plan = () => {
    clearTimeout(retry);
    if (!closed) retry = setTimeout(schedule, backoff(tries++, FIRST_RETRY_MS, LAST_RETRY_MS));
  };
  for (const one of everything) one.onGone(schedule);
  return {
    schedule,
    settled() {
      schedule();
      return new Promise((resolve) => (closed ? resolve() : waiting.push(resolve)));
    },
    get status() {
      return { commits, longestMs, error: everything.find((one) => one.status.error !== undefined)?.status.error };
    },
    close() {
      closed = true;
      clearImmediate(next);
      clearTimeout(retry);
      waiting = release(waiting);
    },
  };
}

/** True once the share of a turn that begins now has passed. */
function sharePassed(clock: Clock): () => boolean {
  const end = clock.monotonic() + SHARE_MS;
  return () => clock.monotonic() >= end;
}

/** Derives in order until nothing is left to do, or `enough` says so; then it is false, and those that follow have to wait. */
function deriveUntil(derivations: readonly Derivation[], enough: () => boolean): boolean {
  for (const derivation of derivations) {
    do derivation.run(KEYS_PER_LOOK);
    while (derivation.pending > 0 && !enough());
    if (derivation.pending > 0) return false;
  }
  return true;
}

function release(waiting: readonly (() => void)[]): [] {
  for (const resolve of waiting) resolve();
  return [];
}
