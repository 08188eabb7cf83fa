// SPDX-License-Identifier: Apache-2.0
// A reconciler makes one Target equal to one Table: diff, order, retry, status.
//
//   table ──changes──▶ dirty ──▶ put ─────▶ target
//                        ▲ └──▶ doomed ──▶ remove ──▶ target
//                        │ failed: unsure
//                        └────────────────────┘
//
// A key stays dirty, or doomed if the table has no row for it, until the target agrees; there is no other retry state. After
// a failed batch its keys are unsure: the target may hold either value, so they are written again whatever is remembered.
// Nothing is removed while the table is incomplete, unless the target declares that a withdrawal is always safe. Restart is
// not a special case: what the target lists at first is simply what is there.

import { codeOf, messageOf, StentorError } from './errors.ts';
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
  /** Removes keys; each comes with the value last known to be there. */
  remove(entries: Entries<K, V>): void;
};

export type Entries<K, V> = readonly (readonly [K, V])[];

export type ReconcilerOptions<V> = {
  readonly same?: (a: V, b: V) => boolean;
  /** Removing is right even while the table may still grow. */
  readonly withdrawalsAlwaysSafe?: boolean;
};

export type ReconcilerStatus = {
  readonly name: string;
  readonly entries: number;
  readonly pending: number;
  readonly failures: number;
  readonly error: string | undefined;
};

export type Difference = { readonly target: string; readonly key: string; readonly kind: 'missing' | 'different' | 'extra' };

/** How far a step or a walk came. */
export type Outcome = 'done' | 'more' | 'failed';

export type Reconciler = {
  readonly name: string;
  /** Keys not yet known to agree. */
  readonly pending: number;
  readonly status: ReconcilerStatus;
  /** Looks at up to `limit` keys and writes what is wanted; at first lists the target. A failure is in the status. */
  upserts(limit?: number): Outcome;
  /** Looks at up to `limit` keys and removes what is not wanted. */
  deletes(limit?: number): Outcome;
  /** Asks that the next walk looks at the target again; what differs then becomes dirty. */
  refresh(): void;
  /** What differs between the table and the target as it lists itself now. */
  differences(): Difference[];
  /** Why `key` is not in its wanted state, or undefined when it is. */
  trouble(key: string): string | undefined;
};

const targetsInUse = new WeakSet<object>();

/** Gives `target` its one reconciler; a second one throws. */
export function takeTarget(target: { readonly name: string }): void {
  if (targetsInUse.has(target)) throw new Error(`Cannot give target ${target.name} another reconciler: it has one`);
  targetsInUse.add(target);
}

/** Some entries of a call failed, each for its own reason; the others took effect. */
export class EntryErrors extends StentorError {
  readonly failures: ReadonlyMap<string, unknown>;
  constructor(failures: ReadonlyMap<string, unknown>) {
    const [first] = failures.values();
    super(codeOf(first) ?? 'ENTRY', failures.size === 1 ? messageOf(first) : `${messageOf(first)} (and ${failures.size - 1} more)`);
    this.failures = failures;
  }
}

/** Writes each entry by itself, so that one which cannot be written does not keep the others from it. Throws EntryErrors at the end. */
export function forEachEntry<K extends string, V>(entries: Entries<K, V>, write: (key: K, value: V) => void): void {
  const failures = new Map<string, unknown>();
  for (const [key, value] of entries) {
    try {
      write(key, value);
    } catch (error) {
      failures.set(key, error);
    }
  }
  if (failures.size > 0) throw new EntryErrors(failures);
}

export function reconciler<K extends string, V>(desired: Table<K, V>, target: Target<K, V>, options: ReconcilerOptions<V> = {}): Reconciler {
  takeTarget(target);
  const ledger = ledgerOf(desired, target.name, options);
  let listed = false;
  const look = () => {
    try {
      ledger.observe(target.list());
      listed = true;
    } catch (error) {
      ledger.failed({ kind: 'remove', entries: [], more: false }, error);
    }
  };
  const step = (batch: Batch<K, V>, write: (entries: Entries<K, V>) => void): Outcome => {
    if (batch.entries.length > 0) {
      try {
        write(batch.entries);
      } catch (error) {
        ledger.failed(batch, error);
        return 'failed';
      }
      ledger.settled(batch);
    }
    return batch.more ? 'more' : 'done';
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
      if (!listed) look();
      return listed ? step(ledger.puts(limit), (entries) => target.put(entries)) : 'failed';
    },
    deletes: (limit) => (listed ? step(ledger.removals(limit), (entries) => target.remove(entries)) : 'failed'),
    refresh() {
      listed = false;
    },
    differences: () => differencesBetween(desired, target, options.same ?? sameRow),
    trouble: (key) => ledger.trouble(key),
  };
}

const KEYS_PER_STEP = 1024;

/**
 * Upserts walk the list forwards, deletes backwards, a failed step ends the walk: nothing ever points at something missing.
 * The same holds for every beginning of a walk, so one may also end after any step that got something done because `enough`
 * says so.
 */
export function walkUntil(reconcilers: readonly Reconciler[], enough: () => boolean): Outcome {
  const upserts = reconcilers.map((one) => ({ one, step: one.upserts }));
  const deletes = reconcilers.toReversed().map((one) => ({ one, step: one.deletes }));
  for (const { one, step } of [...upserts, ...deletes]) {
    let outcome: Outcome;
    do {
      const before = one.pending;
      outcome = step(KEYS_PER_STEP);
      if (outcome === 'failed') return 'failed';
      if (one.pending !== before && enough()) return 'more';
    } while (outcome === 'more');
  }
  return 'done';
}

/** A whole walk. False when a target failed; the failure is in its reconciler's status. */
export function walk(reconcilers: readonly Reconciler[]): boolean {
  return walkUntil(reconcilers, () => false) === 'done';
}

/** What one call to a target writes; `more` when there are keys that it did not look at. */
export type Batch<K, V> = { readonly kind: 'put' | 'remove'; readonly entries: Entries<K, V>; readonly more: boolean };

/** What a reconciler remembers about its target; the same for targets that answer at once and for those that answer later. */
export type Ledger<K extends string, V> = {
  readonly pending: number;
  readonly status: ReconcilerStatus;
  observe(found: Iterable<readonly [K, V]>): void;
  puts(limit?: number): Batch<K, V>;
  removals(limit?: number): Batch<K, V>;
  settled(batch: Batch<K, V>): void;
  /** The call failed: for the keys that EntryErrors name, or else for all. */
  failed(batch: Batch<K, V>, error: unknown): void;
  trouble(key: string): string | undefined;
};

export function ledgerOf<K extends string, V>(desired: Table<K, V>, name: string, options: ReconcilerOptions<V>): Ledger<K, V> {
  const { same = sameRow, withdrawalsAlwaysSafe = false } = options;
  const actual = new Map<K, V>();
  const dirty = new Set<K>();
  const doomed = new Set<K>();
  const unsure = new Set<K>();
  const changes = desired.changes();
  let failures = 0;
  let error: string | undefined;
  const agrees = (key: K, want: V) => {
    const have = actual.get(key);
    return have !== undefined && !unsure.has(key) && same(have, want);
  };
  const settle = (kind: 'put' | 'remove', [key, value]: readonly [K, V]) => {
    if (kind === 'put') actual.set(key, value);
    else actual.delete(key);
    (kind === 'put' ? dirty : doomed).delete(key); // what changed since is among the changes
    unsure.delete(key);
  };
  const pending = () => dirty.size + doomed.size + changes.pending;
  return {
    get pending() {
      return pending();
    },
    get status() {
      return { name, entries: actual.size, pending: pending(), failures, error };
    },
    observe(found) {
      for (const key of actual.keys()) dirty.add(key);
      actual.clear();
      unsure.clear();
      for (const [key, value] of found) {
        actual.set(key, value);
        dirty.add(key);
      }
      error = undefined;
    },
    puts(limit = Infinity) {
      const entries: [K, V][] = [];
      for (const key of changes.take(Math.max(0, limit - dirty.size)).keys()) dirty.add(key);
      let left = limit;
      for (const key of dirty) {
        if (left-- <= 0) return { kind: 'put', entries, more: true };
        const want = desired.get(key);
        if (want !== undefined && !agrees(key, want)) entries.push([key, want]);
        else {
          dirty.delete(key);
          if (want === undefined) doomed.add(key);
        }
      }
      return { kind: 'put', entries, more: changes.pending > 0 };
    },
    removals(limit = Infinity) {
      const entries: [K, V][] = [];
      if (!desired.complete && !withdrawalsAlwaysSafe) return { kind: 'remove', entries, more: false };
      let left = limit;
      for (const key of doomed) {
        if (left-- <= 0) return { kind: 'remove', entries, more: true };
        const have = actual.get(key);
        if (have !== undefined && !desired.has(key)) entries.push([key, have]);
        else doomed.delete(key);
      }
      return { kind: 'remove', entries, more: false };
    },
    settled(batch) {
      for (const entry of batch.entries) settle(batch.kind, entry);
      error = undefined;
    },
    failed({ kind, entries }, thrown) {
      for (const entry of entries) {
        const [key, value] = entry;
        if (thrown instanceof EntryErrors && !thrown.failures.has(key)) settle(kind, entry);
        else {
          unsure.add(key);
          if (kind === 'put') actual.set(key, value);
        }
      }
      failures++;
      error = messageOf(thrown);
    },
    trouble(key) {
      const own = key as K; // a key of this table or of no table
      if (!dirty.has(own) && !doomed.has(own)) return undefined;
      return error ?? `${name} has not been reached yet`;
    },
  };
}

function differencesBetween<K extends string, V>(desired: Table<K, V>, target: Target<K, V>, same: (a: V, b: V) => boolean): Difference[] {
  if (!desired.complete) throw new StentorError('INCOMPLETE', `Cannot compare ${target.name} with table ${desired.name}, which has not heard from all its sources yet`);
  const found = new Map(target.list());
  const out: Difference[] = [];
  for (const [key, want] of desired.entries()) {
    const have = found.get(key);
    if (have === undefined) out.push({ target: target.name, key, kind: 'missing' });
    else if (!same(have, want)) out.push({ target: target.name, key, kind: 'different' });
  }
  for (const key of found.keys()) if (!desired.has(key)) out.push({ target: target.name, key, kind: 'extra' });
  return out;
}
