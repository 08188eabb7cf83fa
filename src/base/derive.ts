// SPDX-License-Identifier: Apache-2.0
// A derivation keeps a table equal to a pure, synchronous function of other tables.
//
//   inputs ──changed keys──▶ input key ──compute──▶ rows of `out` (and Problems)
//
// The function is called once for each input key that something changed about. What it yielded before for that key and does
// not yield now is withdrawn. Two input keys may yield the same row key: the row is that of the one that came first (or that `prefer`
// puts first), and when it lets go the others are computed again. Ownership lives here and nowhere else.

import type { Problem, ProblemBook } from './problem.ts';
import type { Table, Writer } from './table.ts';

/** Where a derivation hears which of its input keys to compute again; take() hands over those of up to `limit` changes. */
export type Input<I> = {
  readonly complete: boolean;
  readonly pending: number;
  /** See late(). */
  readonly late?: boolean;
  take(into: Set<I>, limit?: number): void;
};

export type Derivation = {
  readonly name: string;
  /** Input keys waiting to be computed. */
  readonly pending: number;
  /** Computes up to `limit` input keys, also those that get dirty meanwhile because somebody let go of a row. */
  run(limit?: number): void;
};

export type DerivationOptions<I extends string, K extends string, R> = {
  readonly name: string;
  readonly inputs: readonly Input<I>[];
  readonly out: Writer<K, R>;
  /**
   * Computes nothing before every input is complete, but for those that are late. For rows that say less when an input is missing: what is in the kernel is
   * better than half of what is wanted.
   */
  readonly whole?: boolean;
  /** Pure and synchronous; may read any table, also the row that it made last time. */
  readonly compute: (key: I) => Iterable<readonly [K, R] | Problem>;
  readonly problems?: ProblemBook;
  /** Says what is wrong when `loser` also wants a row that `winner` has. Without it, all who share a row want it the same. */
  readonly conflict?: (key: K, winner: I, loser: I) => Problem | undefined;
  /** Sorts those who want one row: the first has it. What it asks of a key may change only when that key is computed again. Default: who came first. */
  readonly prefer?: (a: I, b: I) => number;
};

/** Input keys for every change of `source`; `keysOf` sees the row now and the row as last seen. Default: the row's own key. */
export function from<I extends string, K extends string, R>(
  source: Table<K, R>,
  keysOf: (key: K, row: R | undefined, before: R | undefined) => Iterable<I> = (key) => [key as string as I], // same key space by default
): Input<I> {
  const changes = source.changes();
  return {
    get complete() {
      return source.complete;
    },
    get pending() {
      return changes.pending;
    },
    take(into, limit) {
      for (const [key, before] of changes.take(limit)) for (const input of keysOf(key, source.get(key), before)) into.add(input);
    },
  };
}

/** One input key for all changes, however many: they are taken together, so that what looks at everything does so once. */
export function fromAny<K extends string, R>(
  source: Table<K, R>,
  concerns: (row: R | undefined, before: R | undefined) => boolean = () => true,
): Input<'all'> {
  const each = from<'all', K, R>(source, (_, row, before) => (concerns(row, before) ? ['all'] : []));
  return {
    get complete() {
      return each.complete;
    },
    get pending() {
      return each.pending;
    },
    take: (into) => each.take(into),
  };
}

/** An input that a whole derivation does not wait for; its table is not complete before it. For rows that others do not depend on. */
export function late<I>(input: Input<I>): Input<I> {
  return {
    late: true,
    get complete() {
      return input.complete;
    },
    get pending() {
      return input.pending;
    },
    take: (into, limit) => input.take(into, limit),
  };
}

export function derive<I extends string, K extends string, R>(options: DerivationOptions<I, K, R>): Derivation {
  const { name, inputs, out, compute, problems, conflict, prefer } = options;
  const made = new Map<I, K | readonly K[]>(); // many an input key makes one row
  const claims = new Map<K, I | Disputed<I>>(); // nearly every row has one claim
  const dirty = new Set<I>();

  const release = (key: K, input: I) => {
    const holders = claims.get(key);
    if (typeof holders === 'object' && holders.all.size > 1) {
      holders.all.delete(input);
      if (holders.owner === input) award(holders);
    } else {
      claims.delete(key);
      out.delete(key);
    }
  };

  /** A row goes from one to another: whoever wants it hears of that. */
  const award = (disputed: Disputed<I>, asked?: I) => {
    disputed.owner = firstOf(disputed.all, prefer);
    for (const one of disputed.all) if (one !== asked) dirty.add(one);
  };

  const claim = (key: K, input: I): I => {
    const holders = claims.get(key);
    if (holders === undefined || holders === input) {
      claims.set(key, input);
      return input;
    }
    const disputed = typeof holders === 'object' ? holders : { owner: holders, all: new Set([holders]) };
    claims.set(key, disputed);
    disputed.all.add(input);
    if (firstOf(disputed.all, prefer) !== disputed.owner) award(disputed, input);
    return disputed.owner;
  };

  const update = (input: I) => {
    const rows = new Map<K, R>();
    const wrong: Problem[] = [];
    for (const item of compute(input)) {
      if ('kind' in item) wrong.push(item);
      else rows.set(item[0], item[1]);
    }
    for (const key of listOf(made.get(input))) if (!rows.has(key)) release(key, input);
    for (const [key, row] of rows) {
      const owner = claim(key, input);
      if (owner === input) out.put(key, row);
      else {
        const lost = conflict?.(key, owner, input);
        if (lost) wrong.push(lost);
      }
    }
    const [only, ...more] = rows.keys();
    if (only === undefined) made.delete(input);
    else made.set(input, more.length === 0 ? only : [only, ...more]);
    problems?.report(`${name} ${input}`, wrong);
  };

  const waits = () => options.whole === true && !inputs.every((input) => input.complete || input.late === true);
  const pending = () => (waits() ? 0 : dirty.size + inputs.reduce((sum, input) => sum + input.pending, 0));
  return {
    name,
    get pending() {
      return pending();
    },
    run(limit = Infinity) {
      if (waits()) return;
      let left = limit;
      for (const input of inputs) if (dirty.size < limit) input.take(dirty, limit);
      for (const input of dirty) {
        if (left-- <= 0) break;
        dirty.delete(input);
        update(input);
      }
      if (inputs.every((input) => input.complete) && pending() === 0) out.complete();
    },
  };
}

function listOf<K extends string>(keys: K | readonly K[] = []): readonly K[] {
  return typeof keys === 'string' ? [keys] : keys;
}

/** Those who want one row; never empty. */
type Disputed<I> = { owner: I; readonly all: Set<I> };

function firstOf<I>(all: ReadonlySet<I>, prefer: ((a: I, b: I) => number) | undefined): I {
  let best: I | undefined;
  for (const one of all) {
    if (best === undefined || (prefer && prefer(one, best) < 0)) best = one;
    if (!prefer) break;
  }
  if (best === undefined) throw new Error('Cannot find the owner of a row that nobody claims');
  return best;
}
