// SPDX-License-Identifier: Apache-2.0
// What a reconciler remembers about its target; the same for targets that answer at once and for those that answer later.
//
//   table ──changes──▶ dirty ──▶ put ─────▶ target
//                        ▲ └──▶ doomed ──▶ remove ──▶ target
//                        │ failed: unsure
//                        └────────────────────┘
//
// A key stays dirty, or doomed if the table has no row for it, until the target agrees; there is no other retry state. After
// a failed batch its keys are unsure: the target may hold either value, so they are written again whatever is remembered.
// Nothing is removed while the table is incomplete, unless the target declares that a withdrawal is always safe.

import { codeOf, messageOf, StentorError } from './errors.ts';
import { sameRow } from './same.ts';
import type { Table } from './table.ts';

export type Entries<K, V> = readonly (readonly [K, V])[];

export type ReconcilerOptions<V> = {
  readonly same?: (a: V, b: V) => boolean;
  /** Removing is right even while the table may still grow. */
  readonly withdrawalsAlwaysSafe?: boolean;
  /** Why `key` cannot be written yet: what it points at is missing, although those before it in the walk had their turn. */
  readonly waitsFor?: (key: string) => string | undefined;
  /** Whether `key` has to stay for now although it is not wanted: something that pointed at it is still on its way out. */
  readonly staysFor?: (key: string) => boolean;
};

export type ReconcilerStatus = {
  readonly name: string;
  readonly entries: number;
  readonly pending: number;
  readonly failures: number;
  /** Why nothing can be written or listed. */
  readonly error: string | undefined;
  /** Keys that cannot be written while others can, each with the reason. */
  readonly refused: ReadonlyMap<string, string>;
};

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

/** The same for writing that takes its time, one entry after the other. Rejects with EntryErrors. */
export async function forEachEntryLater<K extends string, V>(
  entries: Entries<K, V>,
  write: (key: K, value: V) => Promise<unknown>,
): Promise<void> {
  const failures = new Map<string, unknown>();
  for (const [key, value] of entries) await write(key, value).catch((error: unknown) => failures.set(key, error));
  if (failures.size > 0) throw new EntryErrors(failures);
}

/** What one call to a target writes; `waiting` keys were left out; `more` when there are keys that it did not look at. */
export type Batch<K, V> = {
  readonly kind: 'put' | 'remove';
  readonly entries: Entries<K, V>;
  readonly waiting: number;
  readonly more: boolean;
};

export type Ledger<K extends string, V> = {
  readonly pending: number;
  readonly status: ReconcilerStatus;
  /** All that the target has. */
  observe(found: Iterable<readonly [K, V]>): void;
  /** The next of what the target has, up to `enough`; true at the end. Writes in between do no harm. */
  compare(found: Iterator<readonly [K, V]>, enough: () => boolean): boolean;
  doubt(key: string): void;
  puts(limit?: number): Batch<K, V>;
  removals(limit?: number): Batch<K, V>;
  settled(batch: Batch<K, V>): void;
  /** The call failed: for the keys that EntryErrors name, or else for all. */
  failed(batch: Batch<K, V>, error: unknown): void;
  trouble(key: string): string | undefined;
};

type State<K, V> = {
  readonly actual: Map<K, V>;
  readonly dirty: Set<K>;
  readonly doomed: Set<K>;
  readonly unsure: Set<K>;
  readonly refused: Map<K, string>;
  /** While a comparison is under way: keys that it has met, or that were written since it began and so are known better. */
  met: Set<K> | undefined;
  failures: number;
  error: string | undefined;
};

export function ledgerOf<K extends string, V>(desired: Table<K, V>, name: string, options: ReconcilerOptions<V>): Ledger<K, V> {
  const { same = sameRow, withdrawalsAlwaysSafe = false, waitsFor = () => undefined, staysFor = () => false } = options;
  const state: State<K, V> = {
    actual: new Map(),
    dirty: new Set(),
    doomed: new Set(),
    unsure: new Set(),
    refused: new Map(),
    met: undefined,
    failures: 0,
    error: undefined,
  };
  const { actual, dirty, doomed, unsure, refused } = state;
  const changes = desired.changes();
  const agrees = (key: K, want: V) => {
    const have = actual.get(key);
    return have !== undefined && !unsure.has(key) && same(have, want);
  };
  const pending = () => dirty.size + doomed.size + changes.pending;
  return {
    get pending() {
      return pending();
    },
    get status() {
      return { name, entries: actual.size, pending: pending(), failures: state.failures, error: state.error, refused };
    },
    observe: (found) => observe(state, found),
    compare: (found, enough) => compare({ state, found, same, enough }),
    doubt(key) {
      unsure.add(key as K); // a key of this table or of no table
      dirty.add(key as K); // likewise
    },
    puts(limit = Infinity) {
      const entries: [K, V][] = [];
      let waiting = 0;
      for (const key of changes.take(limit).keys()) dirty.add(key); // behind those that are left over
      const more = dirty.size > limit || changes.pending > 0;
      let left = Math.min(limit, dirty.size); // those that have to wait go to the end, where they are not met again
      for (const key of dirty) {
        if (left-- <= 0) break;
        const want = desired.get(key);
        if (want === undefined || agrees(key, want)) {
          dirty.delete(key);
          refused.delete(key);
          if (want === undefined) doomed.add(key);
          else actual.set(key, want); // one row is enough: what was listed is like it
        } else if (waitsFor(key) === undefined) entries.push([key, want]);
        else {
          waiting++;
          postpone(dirty, key);
        }
      }
      return { kind: 'put', entries, waiting, more };
    },
    removals(limit = Infinity) {
      const entries: [K, V][] = [];
      if (!desired.complete && !withdrawalsAlwaysSafe) return { kind: 'remove', entries, waiting: 0, more: false };
      let left = limit;
      for (const key of doomed) {
        if (staysFor(key)) continue;
        if (left-- <= 0) return { kind: 'remove', entries, waiting: 0, more: true };
        const have = actual.get(key);
        if (have !== undefined && !desired.has(key)) entries.push([key, have]);
        else doomed.delete(key);
      }
      return { kind: 'remove', entries, waiting: 0, more: false };
    },
    settled(batch) {
      for (const entry of batch.entries) settle(state, batch.kind, entry);
      state.error = undefined;
    },
    failed: (batch, thrown) => fail(state, batch, thrown),
    trouble(key) {
      const own = key as K; // a key of this table or of no table
      if (!dirty.has(own) && !doomed.has(own) && !changes.has(own)) return undefined;
      return refused.get(own) ?? state.error ?? waitsFor(key) ?? `${name} has not been reached yet`;
    },
  };
}

function observe<K, V>(state: State<K, V>, found: Iterable<readonly [K, V]>): void {
  const { actual, dirty, unsure } = state;
  for (const key of actual.keys()) dirty.add(key);
  actual.clear();
  unsure.clear();
  state.met = undefined;
  for (const [key, value] of found) {
    actual.set(key, value);
    dirty.add(key);
  }
  state.error = undefined;
}

type Comparison<K, V> = {
  readonly state: State<K, V>;
  readonly found: Iterator<readonly [K, V]>;
  readonly same: (a: V, b: V) => boolean;
  readonly enough: () => boolean;
};

function compare<K, V>({ state, found, same, enough }: Comparison<K, V>): boolean {
  const { actual, dirty } = state;
  const met = (state.met ??= new Set());
  for (let next = found.next(); next.done !== true; next = found.next()) {
    const [key, value] = next.value;
    const have = actual.get(key);
    if (!met.has(key) && (have === undefined || !same(have, value))) {
      actual.set(key, value);
      dirty.add(key);
    }
    met.add(key);
    if (enough()) return false;
  }
  for (const key of actual.keys()) {
    if (met.has(key)) continue;
    actual.delete(key);
    dirty.add(key);
  }
  state.met = undefined;
  return true;
}

function settle<K, V>(
  { actual, dirty, doomed, unsure, refused, met }: State<K, V>,
  kind: 'put' | 'remove',
  [key, value]: readonly [K, V],
): void {
  if (kind === 'put') actual.set(key, value);
  else actual.delete(key);
  (kind === 'put' ? dirty : doomed).delete(key); // what changed since is among the changes
  unsure.delete(key);
  refused.delete(key);
  met?.add(key);
}

function fail<K extends string, V>(state: State<K, V>, { kind, entries }: Batch<K, V>, thrown: unknown): void {
  const single = thrown instanceof EntryErrors ? thrown.failures : undefined;
  for (const entry of entries) {
    const [key, value] = entry;
    if (single && !single.has(key)) {
      settle(state, kind, entry);
      continue;
    }
    state.unsure.add(key);
    state.met?.add(key);
    if (single) state.refused.set(key, messageOf(single.get(key)));
    if (kind !== 'put') continue;
    state.actual.set(key, value);
    postpone(state.dirty, key);
  }
  state.failures++;
  state.error = single ? undefined : messageOf(thrown);
}

/** To the end: others have their turn first. */
function postpone<K>(keys: Set<K>, key: K): void {
  keys.delete(key);
  keys.add(key);
}
