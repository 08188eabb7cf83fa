// SPDX-License-Identifier: Apache-2.0
// Whatever numbers are handed out (ids, slots) come from here: what was assigned before and is still valid never moves.

import type { Derivation } from './derive.ts';
import { problem } from './problem.ts';
import type { Problem, ProblemBook } from './problem.ts';
import type { Table, Writer } from './table.ts';

/**
 * Numbers for `wanted`, earlier keys first. A key keeps its number from `previous`, which answers undefined for a number that is
 * no longer valid, unless an earlier key has the same; the others take the next numbers that `free` yields and nobody has. Keys
 * for which none is left are missing in the result.
 */
export function assign<K>(previous: (key: K) => number | undefined, wanted: Iterable<K>, free: Iterable<number>): Map<K, number> {
  const out = new Map<K, number>();
  const taken = new Set<number>();
  const rest: K[] = [];
  for (const key of new Set(wanted)) {
    const number = previous(key);
    if (number === undefined || taken.has(number)) rest.push(key);
    else {
      out.set(key, number);
      taken.add(number);
    }
  }
  const numbers = free[Symbol.iterator]();
  for (const key of rest) {
    let next = numbers.next();
    while (next.done !== true && taken.has(next.value)) next = numbers.next();
    if (next.done === true) break;
    out.set(key, next.value);
    taken.add(next.value);
  }
  return out;
}

/**
 * The numbers 0 to n - 1 for n wanted keys, with as few moves as can be: a key stays unless its slot is beyond the end, then it
 * takes a hole (swap with last). `previous` lists keys by slot.
 */
export function assignSlots<K>(previous: readonly K[], wanted: readonly K[]): K[] {
  const want = new Set(wanted);
  const slots: (K | undefined)[] = previous.slice(0, want.size).map((key) => (want.delete(key) ? key : undefined));
  const homeless = [...previous.slice(slots.length).filter((key) => want.delete(key)), ...want];
  const next = homeless.values();
  return [...slots.map((key) => key ?? next.next().value), ...next].filter((key) => key !== undefined);
}

export type Numbered = { readonly id: number };

export type NumberingOptions<K extends string, R> = {
  readonly name: string;
  readonly from: Table<K, R>;
  readonly out: Writer<K, Numbered>;
  /** The number that `key` has in the place where numbers are durable. Read when the key is first seen. */
  readonly previous: (key: K, row: R) => number | undefined;
  /** Numbers that are durable somewhere and must not go to another key while `from` is incomplete. */
  readonly reserved: Iterable<number>;
  /** First and last number to hand out. */
  readonly range: readonly [first: number, last: number];
  /** Hears of rows for which no number is left; they get one as soon as there is one. */
  readonly problems?: ProblemBook;
};

/** A derivation that gives every row of a table a number. A freed number is reused as late as possible. */
export function number<K extends string, R>(options: NumberingOptions<K, R>): Derivation {
  const { name, from, out, previous, range, problems } = options;
  const [first, last] = range;
  const changes = from.changes();
  const reserved = new Set(options.reserved);
  const taken = new Set<number>();
  const waiting = new Set<K>();
  let cursor = [...reserved].reduce((a, b) => Math.max(a, b), first - 1);

  function* free(): Iterable<number> {
    for (let tries = first; tries <= last && taken.size <= last - first; tries++) {
      cursor = cursor >= last ? first : cursor + 1;
      if (!taken.has(cursor) && !reserved.has(cursor)) yield cursor;
    }
  }
  const before = (key: K): number | undefined => {
    const row = from.get(key);
    const id = row === undefined ? undefined : previous(key, row);
    return id !== undefined && id >= first && id <= last && !taken.has(id) ? id : undefined;
  };
  const forget = (key: K) => {
    const has = out.table.get(key);
    if (has) taken.delete(has.id);
    out.delete(key);
    waiting.delete(key);
  };
  return {
    name,
    get pending() {
      return changes.pending;
    },
    run() {
      for (const key of changes.take().keys()) {
        if (!from.has(key)) forget(key);
        else if (!out.table.has(key)) waiting.add(key);
      }
      for (const [key, id] of assign(before, waiting, free())) {
        taken.add(id);
        waiting.delete(key);
        out.put(key, { id });
      }
      problems?.report(name, waiting.size === 0 ? [] : [noneLeft(from.name, waiting.size, range)]);
      if (!from.complete) return;
      reserved.clear();
      out.complete();
    },
  };
}

function noneLeft(rows: string, waiting: number, [first, last]: readonly [number, number]): Problem {
  return problem({
    object: `Table ${rows}`,
    reason: 'NoNumberLeft',
    message: `${waiting} rows of ${rows} have no number: all of ${first} to ${last} are in use`,
    advice: 'Remove what is no longer needed',
  });
}
