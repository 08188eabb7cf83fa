// SPDX-License-Identifier: Apache-2.0
// A table: immutable rows by key, with indexes, exactly one writer, and for each reader what changed since it last looked.
//
//              put, delete, complete            get, by, entries
//   one writer ──────────────────────▶ table ◀────────────────── anybody
//                                        │
//                                        └── changes(): key → the row as this reader last saw it
//
// A table is complete once its writer has said so: before that, a missing row may only be a row not heard of yet, and nobody
// may delete anything on the strength of it. Rows never change; a change is a new row under the same key.

export type Changes<K, R> = {
  /** The keys touched since the last take, oldest `limit` first, each with the row that this reader saw then (undefined: none). */
  take(limit?: number): ReadonlyMap<K, R | undefined>;
  readonly pending: number;
  /** Whether the next take would have `key`, if it were without limit. */
  has(key: K): boolean;
};

export type Table<K extends string, R> = {
  readonly name: string;
  readonly size: number;
  /** False until the writer has put everything it found when it started. Never false again. */
  readonly complete: boolean;
  get(key: K): R | undefined;
  has(key: K): boolean;
  entries(): Iterable<readonly [K, R]>;
  /** Rows under `value` in `index`. Throws on an index that the table does not have. */
  by(index: string, value: string): Iterable<R>;
  /** Starts with every present row as changed. */
  changes(): Changes<K, R>;
  /** Takes the right to write; a second call throws. */
  writer(owner: string): Writer<K, R>;
};

export type Writer<K extends string, R> = {
  readonly table: Table<K, R>;
  put(key: K, row: R): void;
  delete(key: K): void;
  complete(): void;
};

export type TableOptions<R> = {
  readonly indexes?: Readonly<Record<string, (row: R) => Iterable<string>>>;
  /** A put of a row that is the same changes nothing. Default: identity. */
  readonly same?: (a: R, b: R) => boolean;
};

const NOTHING: ReadonlyMap<never, never> = new Map<never, never>();

export function table<K extends string, R>(name: string, options: TableOptions<R> = {}): Table<K, R> {
  const { indexes = {}, same = Object.is } = options;
  const rows = new Map<K, R>();
  const index = new Map(Object.entries(indexes).map(([n, keysOf]) => [n, { keysOf, keys: new Map<string, Set<K>>() }]));
  const readers: Map<K, R | undefined>[] = [];
  let owner: string | undefined;
  let complete = false;

  const reindex = (key: K, before: R | undefined, after: R | undefined) => {
    for (const { keysOf, keys } of index.values()) {
      if (before !== undefined) for (const value of keysOf(before)) removeFrom(keys, value, key);
      if (after !== undefined) for (const value of keysOf(after)) addTo(keys, value, key);
    }
  };
  const replace = (key: K, before: R | undefined, after: R | undefined) => {
    if (after === undefined) rows.delete(key);
    else rows.set(key, after);
    if (index.size > 0) reindex(key, before, after);
    for (const reader of readers) if (!reader.has(key)) reader.set(key, before);
  };

  const self: Table<K, R> = {
    name,
    get size() {
      return rows.size;
    },
    get complete() {
      return complete;
    },
    get: (key) => rows.get(key),
    has: (key) => rows.has(key),
    entries: () => rows.entries(),
    *by(indexName, value) {
      const found = index.get(indexName);
      if (!found)
        throw new RangeError(`Cannot look up index '${indexName}' of table ${name}, wanted one of: ${[...index.keys()].join(', ')}`);
      for (const key of found.keys.get(value) ?? []) {
        const row = rows.get(key);
        if (row !== undefined) yield row;
      }
    },
    changes() {
      let seen = new Map<K, R | undefined>();
      for (const key of rows.keys()) seen.set(key, undefined);
      readers.push(seen);
      return {
        get pending() {
          return seen.size;
        },
        has: (key) => seen.has(key),
        take(limit = Infinity) {
          if (seen.size === 0) return NOTHING;
          const taken = seen.size <= limit ? seen : splitFrom(seen, limit);
          if (taken !== seen) return taken;
          seen = new Map();
          readers[readers.indexOf(taken)] = seen;
          return taken;
        },
      };
    },
    writer(by) {
      if (owner !== undefined) throw new Error(`Cannot make ${by} a writer of table ${name}: ${owner} is its one writer`);
      owner = by;
      return {
        table: self,
        put(key, row) {
          const before = rows.get(key);
          if (before === undefined || !same(before, row)) replace(key, before, row);
        },
        delete(key) {
          const before = rows.get(key);
          if (before !== undefined) replace(key, before, undefined);
        },
        complete() {
          complete = true;
        },
      };
    },
  };
  return self;
}

/** Moves the first `limit` entries of `map` into a new one. */
function splitFrom<K, V>(map: Map<K, V>, limit: number): Map<K, V> {
  const out = new Map<K, V>();
  for (const [key, value] of map) {
    if (out.size >= limit) break;
    out.set(key, value);
    map.delete(key);
  }
  return out;
}

function addTo<K>(keys: Map<string, Set<K>>, value: string, key: K): void {
  const set = keys.get(value);
  if (set) set.add(key);
  else keys.set(value, new Set([key]));
}

function removeFrom<K>(keys: Map<string, Set<K>>, value: string, key: K): void {
  const set = keys.get(value);
  if (set?.delete(key) && set.size === 0) keys.delete(value);
}
