// SPDX-License-Identifier: Apache-2.0
// Objects by resource and key, one revision counter, and for each resource a bounded log of changes that watches read
// through cursors. No rules about content: those are in store-writes.ts.
//
//   put/remove ──▶ objects (newest version)          list: a sorted array of frozen objects, cached until the next write
//              └─▶ log  [ …, change, change, change ] ◀── cursor ◀── cursor        dropped from the left when too long
import { expired, tooLargeVersion } from './api-error.ts';
import { frozen } from './json.ts';
import type { KubeObject } from './json.ts';

export type Change = {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly revision: number;
  readonly object: KubeObject;
  readonly previous: KubeObject | undefined;
};

/** Reads one resource's changes in order; `next` is undefined when there is nothing new. */
export type Cursor = {
  /** Throws ApiError 410 when the log no longer reaches back to the cursor. */
  next(): Change | undefined;
  /** Calls `wake` soon after changes have been made (never inside the write); one at a time. */
  onChange(wake: () => void): void;
  close(): void;
};

export type Storage = {
  revision(): number;
  get(id: string, key: string): KubeObject | undefined;
  /** Sorted by key. The array is never changed afterwards: it is a snapshot. */
  all(id: string): readonly KubeObject[];
  /** Stores the object under the next revision and returns it as stored (with resourceVersion set, frozen). */
  put(id: string, key: string, object: KubeObject): KubeObject;
  remove(id: string, key: string): KubeObject | undefined;
  /** Starts after the given revision. ApiError 410 when that is too old, 504 when it is in the future. */
  cursor(id: string, after: number): Cursor;
  /** The newest revision at which this resource changed. */
  changedAt(id: string): number;
};

export const keyOf = (namespace: string | undefined, name: string): string => `${namespace ?? ''}/${name}`;

type Shelf = {
  readonly objects: Map<string, KubeObject>;
  sorted: readonly KubeObject[] | undefined;
  log: Change[];
  /** How many changes were dropped from the left of the log. */
  dropped: number;
  /** The revision of the newest dropped change. */
  compacted: number;
  readonly wakes: Set<() => void>;
};

const newShelf = (): Shelf => ({ objects: new Map(), sorted: undefined, log: [], dropped: 0, compacted: 0, wakes: new Set() });

const withRevision = (object: KubeObject, revision: number): KubeObject =>
  frozen({ ...object, metadata: { ...object.metadata, resourceVersion: String(revision) } });

const compareKeys = (a: readonly [string, unknown], b: readonly [string, unknown]): number => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0);

const cursorOf = (shelf: Shelf, start: number): Cursor => {
  let position = start;
  let wake: (() => void) | undefined;
  return {
    next() {
      if (position < shelf.dropped) throw expired(`too old resource version: the history before revision ${shelf.compacted} is gone`);
      const change = shelf.log[position - shelf.dropped];
      if (change) position += 1;
      return change;
    },
    onChange(listener) {
      if (wake) shelf.wakes.delete(wake);
      wake = listener;
      shelf.wakes.add(listener);
    },
    close() {
      if (wake) shelf.wakes.delete(wake);
    },
  };
};

/** The index in the log of the first change after a revision (binary search: revisions ascend). */
const positionAfter = (log: readonly Change[], revision: number): number => {
  let low = 0;
  let high = log.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const change = log[middle];
    if (change && change.revision <= revision) low = middle + 1;
    else high = middle;
  }
  return low;
};

/** Drops the oldest changes beyond the limit, in slices: each moves the whole log. */
const trim = (shelf: Shelf, limit: number): void => {
  const excess = shelf.log.length - limit;
  if (excess < limit / 4) return;
  shelf.compacted = shelf.log[excess - 1]?.revision ?? shelf.compacted;
  shelf.log = shelf.log.slice(excess);
  shelf.dropped += excess;
};

/** Collects shelves that changed and, once in this turn's microtasks, wakes their readers and trims their logs. */
const createFlusher = (historyLimit: number): ((shelf: Shelf) => void) => {
  const dirty = new Set<Shelf>();
  const flush = (): void => {
    const changed = [...dirty];
    dirty.clear();
    for (const shelf of changed) {
      for (const wake of shelf.wakes) wake();
      trim(shelf, historyLimit);
    }
  };
  return (shelf) => {
    if (dirty.size === 0) queueMicrotask(flush);
    dirty.add(shelf);
  };
};

const FIRST_REVISION = 1000; // so that no revision looks like an index

/** `historyLimit`: how many changes of each resource a watch can resume from. */
export const createStorage = (historyLimit: number): Storage => {
  const shelves = new Map<string, Shelf>();
  const flushSoon = createFlusher(historyLimit);
  let revision = FIRST_REVISION;

  const shelfOf = (id: string): Shelf => {
    const shelf = shelves.get(id) ?? newShelf();
    shelves.set(id, shelf);
    return shelf;
  };
  const record = (shelf: Shelf, change: Change): void => {
    shelf.log.push(change);
    shelf.sorted = undefined;
    flushSoon(shelf);
  };

  return {
    revision: () => revision,
    get: (id, key) => shelves.get(id)?.objects.get(key),
    all(id) {
      const shelf = shelfOf(id);
      shelf.sorted ??= [...shelf.objects].toSorted(compareKeys).map(([, object]) => object);
      return shelf.sorted;
    },
    put(id, key, object) {
      const shelf = shelfOf(id);
      const previous = shelf.objects.get(key);
      const stored = withRevision(object, (revision += 1));
      shelf.objects.set(key, stored);
      record(shelf, { type: previous ? 'MODIFIED' : 'ADDED', revision, object: stored, previous });
      return stored;
    },
    remove(id, key) {
      const shelf = shelfOf(id);
      const previous = shelf.objects.get(key);
      if (!previous) return undefined;
      const last = withRevision(previous, (revision += 1));
      shelf.objects.delete(key);
      record(shelf, { type: 'DELETED', revision, object: last, previous });
      return last;
    },
    cursor(id, after) {
      const shelf = shelfOf(id);
      if (after > revision) throw tooLargeVersion(after, revision);
      if (after < shelf.compacted) throw expired(`too old resource version: ${after} (${shelf.compacted})`);
      return cursorOf(shelf, shelf.dropped + positionAfter(shelf.log, after));
    },
    changedAt: (id) => shelves.get(id)?.log.at(-1)?.revision ?? shelves.get(id)?.compacted ?? 0,
  };
};
