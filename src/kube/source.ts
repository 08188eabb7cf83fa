// SPDX-License-Identifier: Apache-2.0
// A Source: the objects of one kind, as rows of tables.
//
//   watch ──objects──▶ rowsOf ──rows──▶ table          one kind may fill several tables: one sink each
//                            └─Problem─▶ problems
//
// Tables are complete after the first whole list. What a later list does not have is removed; what it has as before changes
// nothing. An object that cannot be read is a Problem, and its rows stay as they were when it could.

import { setImmediate as turn } from 'node:timers/promises';

import { systemClock } from '../base/clock.ts';
import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import { problem } from '../base/problem.ts';
import type { Problem, ProblemBook } from '../base/problem.ts';
import { sameRow } from '../base/same.ts';
import type { Writer } from '../base/table.ts';
import { nameOf } from './client.ts';
import type { KubeClient, Selection } from './client.ts';
import { isStatus } from './kube-error.ts';
import { pathOf } from './resources.ts';
import type { Resource } from './resources.ts';
import { watchKind } from './watch.ts';
import type { Update } from './watch.ts';

/** Where the rows of objects go. */
export type Sink<T> = {
  /** What an object means, ready to be written: called as it arrives, so that the object itself need not be kept. */
  read(object: T): (object: string) => void;
  forget(object: string): void;
  complete(): void;
};

/** Rows of `writer`'s table. Throws of `rowsOf` and Problems that it yields are reported under the object's name. */
export function sink<T, K extends string, R>(
  writer: Writer<K, R>,
  rowsOf: (object: T) => Iterable<readonly [K, R] | Problem>,
  problems?: ProblemBook,
): Sink<T> {
  const made = new Map<string, readonly K[]>(); // by object
  const { table } = writer;
  const report = (object: string, rows: readonly Problem[]) => problems?.report(`${table.name} ${object}`, rows);
  return {
    read(object) {
      const rows: (readonly [K, R])[] = [];
      const wrong: Problem[] = [];
      try {
        for (const item of rowsOf(object)) {
          if ('kind' in item) wrong.push(item);
          else rows.push(item);
        }
      } catch (error) {
        return (name) => report(name, [unreadable(name, error)]);
      }
      return (name) => {
        const keys = rows.map(([key]) => key);
        for (const key of made.get(name) ?? []) if (!keys.includes(key)) writer.delete(key);
        for (const [key, row] of rows) if (!table.has(key) || !sameRow(table.get(key), row)) writer.put(key, row);
        if (keys.length > 0) made.set(name, keys);
        else made.delete(name);
        report(name, wrong);
      };
    },
    forget(name) {
      for (const key of made.get(name) ?? []) writer.delete(key);
      made.delete(name);
      report(name, []);
    },
    complete: () => writer.complete(),
  };
}

export type SourceStatus = {
  readonly name: string;
  /** Objects known. */
  readonly objects: number;
  /** Everything has been heard once. */
  readonly synced: boolean;
  readonly failures: number;
  /** Why we may be out of date; undefined while the server follows us. */
  readonly error: string | undefined;
  /** Milliseconds since the epoch; undefined: never. */
  readonly lastSuccess: number | undefined;
  readonly lastError: number | undefined;
};

export type Source = {
  readonly name: string;
  readonly status: SourceStatus;
  /** Runs until `signal` aborts. */
  run(signal: AbortSignal): Promise<void>;
};

export type SourceOptions<T> = Selection & {
  readonly client: KubeClient;
  readonly resource: Resource;
  readonly namespace?: string;
  readonly sinks: readonly Sink<T>[];
  /** A kind that the API does not know, or does not let us read, has no objects: nobody waits for it. It is asked for again. */
  readonly optional?: boolean;
  /** Called when rows may have changed. */
  readonly changed: () => void;
  readonly clock?: Clock;
  readonly limit?: number;
  readonly silenceMs?: number;
};

/** An object that has been read and not yet written. Nothing in it holds on to the object itself. */
type Reading = { readonly name: string; readonly writes: readonly ((object: string) => void)[] };

const OBJECTS_PER_TURN = 200;

export function kubeSource<T>(options: SourceOptions<T>): Source {
  const { client, resource, namespace, sinks, changed, optional = false, clock = systemClock, ...rest } = options;
  const name = resource.plural;
  const known = new Set<string>();
  let status: Omit<SourceStatus, 'name' | 'objects'> = {
    synced: false,
    failures: 0,
    error: undefined,
    lastSuccess: undefined,
    lastError: undefined,
  };

  const pick = (object: T): Reading => ({ name: nameOf(object) ?? '', writes: readBy(sinks, object) });
  const put = (reading: Reading) => {
    known.add(reading.name);
    for (const write of reading.writes) write(`${resource.kind} ${reading.name}`);
  };
  const drop = (key: string) => {
    known.delete(key);
    for (const one of sinks) one.forget(`${resource.kind} ${key}`);
  };
  const replace = async (found: readonly Reading[]) => {
    for (const [i, reading] of found.entries()) {
      put(reading);
      if (i % OBJECTS_PER_TURN === OBJECTS_PER_TURN - 1) await turn();
    }
    const present = new Set(found.map((reading) => reading.name));
    for (const key of known) if (!present.has(key)) drop(key);
    for (const one of sinks) one.complete();
  };
  const on = async (update: Update<Reading>) => {
    if (update.kind === 'trouble') {
      status = { ...status, failures: status.failures + 1, error: messageOf(update.error), lastError: clock.now() };
      if (!optional || status.synced || !(isStatus(update.error, 404) || isStatus(update.error, 403))) return;
      for (const one of sinks) one.complete();
      return changed();
    }
    status = { ...status, error: undefined, lastSuccess: clock.now() };
    if (update.kind === 'watching') return;
    if (update.kind === 'changed') put(update.object);
    else if (update.kind === 'deleted') drop(update.object.name);
    else {
      await replace(update.objects);
      status = { ...status, synced: true };
    }
    changed();
  };
  return {
    name,
    get status() {
      return { name, objects: known.size, ...status };
    },
    run: (signal) => watchKind({ ...rest, client, path: pathOf(resource, namespace), pick, on, signal }),
  };
}

function readBy<T>(sinks: readonly Sink<T>[], object: T): Reading['writes'] {
  return sinks.map((one) => one.read(object));
}

function unreadable(object: string, error: unknown): Problem {
  return problem({
    object,
    reason: 'UnreadableObject',
    message: messageOf(error),
    advice: 'Correct the object; what it said before stays in effect until then',
  });
}
