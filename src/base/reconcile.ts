// SPDX-License-Identifier: Apache-2.0
// A reconciler makes one Target equal to one Table: diff, order, retry, status.
//
//   table ──changes──▶ dirty ──▶ put ─────▶ target
//                        ▲ └──▶ doomed ──▶ remove ──▶ target
//                        │ failed: unsure
//                        └────────────────────┘
//
// What is remembered of a target, and why a key is dirty, doomed or unsure, is in ledger.ts. Restart is not a special case: what
// the target lists at first is simply what is there. Others may change it later: look() finds that out, doubt() is told.

import { StentorError } from './errors.ts';
import { EntryErrors, ledgerOf } from './ledger.ts';
import type { Batch, Entries, Ledger, ReconcilerOptions, ReconcilerStatus } from './ledger.ts';
import { sameRow } from './same.ts';
import type { Table } from './table.ts';

/**
 * A place outside. Every call is idempotent; a call that throws may have done any part of its work, unless it throws
 * EntryErrors, which say which keys are left.
 */
export type Target<K extends string, V> = {
  readonly name: string;
  list(): Iterable<readonly [K, V]>;
  put(entries: Entries<K, V>): void;
  /**
   * Removes keys; each comes with the value last known to be there. A promise says that they are on their way out: nothing waits for it but what is
   * to be done about these keys.
   */
  remove(entries: Entries<K, V>): void | Promise<void>;
};

export type Difference = { readonly target: string; readonly key: string; readonly kind: 'missing' | 'different' | 'extra' };

/** How far a step or a walk came; 'partly': some entries could not be written, each for its own reason. */
export type Outcome = 'done' | 'more' | 'partly' | 'failed';

export type Reconciler = {
  readonly name: string;
  /** Keys not yet known to agree. */
  readonly pending: number;
  readonly status: ReconcilerStatus;
  /** Looks at up to `limit` keys and writes what is wanted; at first lists the target. A failure is in the status. */
  upserts(limit?: number): Outcome;
  /** Looks at up to `limit` keys and removes what is not wanted. */
  deletes(limit?: number): Outcome;
  /** Asks that the next walk looks at the target again, as a whole; what differs then becomes dirty. */
  refresh(): void;
  /** Goes on looking at the target again until `enough`; what differs becomes dirty. True at the end of it. */
  look(enough: () => boolean): boolean;
  /** Says that somebody else may have changed the target at `key`: the next walk writes it again. */
  doubt(key: string): void;
  /** What differs between the table and the target as it lists itself now. */
  differences(): Difference[];
  /** Why `key` is not in its wanted state, or undefined when it is. */
  trouble(key: string): string | undefined;
  /** While `key` is on its way out: settles, never rejects, when it is gone or cannot be removed. */
  leaving(key: string): Promise<void> | undefined;
  /** Has `wake` called whenever keys that were on their way out have arrived. */
  onGone(wake: () => void): void;
};

const targetsInUse = new WeakSet<object>();

/** Gives `target` its one reconciler; a second one throws. */
export function takeTarget(target: { readonly name: string }): void {
  if (targetsInUse.has(target)) throw new Error(`Cannot give target ${target.name} another reconciler: it has one`);
  targetsInUse.add(target);
}

export function reconciler<K extends string, V>(
  desired: Table<K, V>,
  target: Target<K, V>,
  options: ReconcilerOptions<V> = {},
): Reconciler {
  takeTarget(target);
  const exits = exitsOf<K>();
  const ledger = ledgerOf(desired, target.name, {
    ...options,
    waitsFor: (key) => (exits.leaving(key) ? `${target.name} is still removing it` : options.waitsFor?.(key)),
    staysFor: (key) => exits.leaving(key) !== undefined || options.staysFor?.(key) === true,
  });
  let listed = false;
  let looking: Iterator<readonly [K, V]> | undefined;
  const observing = (observe: () => boolean): boolean => {
    try {
      return observe();
    } catch (error) {
      ledger.failed({ kind: 'remove', entries: [], waiting: 0, more: false }, error);
      looking = undefined;
      listed = false; // the next walk starts over
      return true;
    }
  };
  const list = () => {
    looking = undefined;
    ledger.observe(target.list());
    return (listed = true);
  };
  return {
    name: target.name,
    get pending() {
      return ledger.pending;
    },
    get status() {
      return ledger.status;
    },
    upserts(limit) {
      if (!listed) observing(list);
      return listed ? step(ledger, ledger.puts(limit), (entries) => target.put(entries)) : 'failed';
    },
    deletes(limit) {
      const outcome = listed ? removalStep(ledger, ledger.removals(limit), target, exits) : 'failed';
      return outcome === 'partly' ? 'failed' : outcome; // what comes before in the list may be pointed at still
    },
    refresh() {
      listed = false;
    },
    look: (enough) =>
      !listed ||
      observing(() => {
        looking ??= target.list()[Symbol.iterator]();
        const done = ledger.compare(looking, enough);
        if (done) looking = undefined;
        return done;
      }),
    doubt: (key) => ledger.doubt(key),
    differences: () => differencesIn(desired, target.name, { list: () => target.list(), same: options.same ?? sameRow }),
    trouble: (key) => ledger.trouble(key),
    leaving: exits.leaving,
    onGone: exits.onGone,
  };
}

/** Keys on their way out of a target. */
type Exits<K> = Pick<Reconciler, 'leaving' | 'onGone'> & {
  /** `way` resolves to whether they are gone. */
  readonly follow: (keys: readonly K[], way: Promise<boolean>) => void;
  /** Whether some could not be removed since the last call. */
  readonly takeFailure: () => boolean;
};

function exitsOf<K extends string>(): Exits<K> {
  const underWay = new Map<string, Promise<void>>();
  let wake: () => void = () => {};
  let failed = false;
  return {
    leaving: (key) => underWay.get(key),
    onGone: (called) => (wake = called),
    takeFailure() {
      const had = failed;
      failed = false;
      return had;
    },
    follow(keys, way) {
      const arrived = way.then((gone) => {
        for (const key of keys) underWay.delete(key);
        if (!gone) failed = true;
        wake();
      });
      for (const key of keys) underWay.set(key, arrived);
    },
  };
}

/** A failure that came later ends the next walk, so that whoever walks takes his time before he tries again. */
function removalStep<K extends string, V>(ledger: Ledger<K, V>, batch: Batch<K, V>, target: Target<K, V>, exits: Exits<K>): Outcome {
  if (exits.takeFailure()) return 'failed';
  return step(ledger, batch, (entries) => {
    const way = target.remove(entries);
    if (way === undefined) return true;
    exits.follow(
      entries.map(([key]) => key),
      way.then(
        () => (ledger.settled(batch), true),
        (error: unknown) => (ledger.failed(batch, error), false),
      ),
    );
    return false;
  });
}

/** `write` returns false when what it began will be settled later. */
function step<K extends string, V>(ledger: Ledger<K, V>, batch: Batch<K, V>, write: (entries: Entries<K, V>) => boolean | void): Outcome {
  let written = batch.entries.length;
  if (written > 0) {
    try {
      if (write(batch.entries) !== false) ledger.settled(batch);
    } catch (error) {
      ledger.failed(batch, error);
      if (!(error instanceof EntryErrors)) return 'failed';
      written -= error.failures.size;
    }
  }
  const left = batch.entries.length - written + batch.waiting;
  if (batch.more && (written > 0 || left === 0)) return 'more';
  return left > 0 ? 'partly' : 'done';
}

const KEYS_PER_STEP = 1024;

/**
 * Upserts walk the list forwards, deletes backwards, a failed step ends the walk: nothing ever points at something missing.
 * The same holds for every beginning of a walk, so one may also end after any step that got something done because `enough`
 * says so. Where single entries fail the walk goes on: whatever points at them waits for them (ReconcilerOptions.waitsFor).
 */
export function walkUntil(reconcilers: readonly Reconciler[], enough: () => boolean): Outcome {
  const upserts = reconcilers.map((one) => ({ one, step: one.upserts }));
  const deletes = reconcilers.toReversed().map((one) => ({ one, step: one.deletes }));
  let whole = true;
  for (const { one, step } of [...upserts, ...deletes]) {
    let outcome: Outcome;
    do {
      const before = one.pending;
      outcome = step(KEYS_PER_STEP);
      if (outcome === 'failed') return 'failed';
      if (outcome === 'partly') whole = false;
      if ((outcome === 'more' || one.pending !== before) && enough()) return 'more';
    } while (outcome === 'more');
  }
  return whole ? 'done' : 'partly';
}

/** A whole walk. False when a target failed; the failure is in its reconciler's status. */
export function walk(reconcilers: readonly Reconciler[]): boolean {
  return walkUntil(reconcilers, () => false) === 'done';
}

/** `list`: what the target has now. Throws StentorError before the table is complete. */
export function differencesIn<K extends string, V>(
  desired: Table<K, V>,
  name: string,
  { list, same }: { readonly list: () => Iterable<readonly [K, V]>; readonly same: (a: V, b: V) => boolean },
): Difference[] {
  if (!desired.complete)
    throw new StentorError('INCOMPLETE', `Cannot compare ${name} with table ${desired.name}, which has not heard from all its sources yet`);
  const found = new Map(list());
  const out: Difference[] = [];
  for (const [key, want] of desired.entries()) {
    const have = found.get(key);
    if (have === undefined) out.push({ target: name, key, kind: 'missing' });
    else if (!same(have, want)) out.push({ target: name, key, kind: 'different' });
  }
  for (const key of found.keys()) if (!desired.has(key)) out.push({ target: name, key, kind: 'extra' });
  return out;
}
