// SPDX-License-Identifier: Apache-2.0
// A reconciler for targets that answer later: Kubernetes status, program attachments on devices. The same ledger as
// reconcile.ts, in a loop of its own; one call under way at a time. Nothing in the kernel may point at what it makes.

import { backoff } from './clock.ts';
import { ledgerOf } from './ledger.ts';
import type { Batch, Entries, ReconcilerOptions, ReconcilerStatus } from './ledger.ts';
import { differencesIn, takeTarget } from './reconcile.ts';
import type { Difference } from './reconcile.ts';
import { sameRow } from './same.ts';
import type { Table } from './table.ts';

export type AsyncTarget<K extends string, V> = {
  readonly name: string;
  list(): Promise<Iterable<readonly [K, V]>>;
  put(entries: Entries<K, V>): Promise<void>;
  remove(entries: Entries<K, V>): Promise<void>;
};

export type AsyncReconciler = {
  readonly name: string;
  readonly status: ReconcilerStatus;
  trouble(key: string): string | undefined;
  /** Says that the table may have changed. */
  wake(): void;
  /** Asks to look at the target again; what differs then becomes dirty. */
  refresh(): void;
  /** Says that somebody else may have changed the target at `key`: it is written again. */
  doubt(key: string): void;
  /** What differs between the table and the target as it lists itself now. */
  differences(): Promise<Difference[]>;
  /** Runs until `signal` aborts. */
  run(signal: AbortSignal): Promise<void>;
};

const FIRST_RETRY_MS = 100;
const LAST_RETRY_MS = 30_000;

export function asyncReconciler<K extends string, V>(
  desired: Table<K, V>,
  target: AsyncTarget<K, V>,
  options: ReconcilerOptions<V> = {},
): AsyncReconciler {
  takeTarget(target);
  const ledger = ledgerOf(desired, target.name, options);
  let ring: () => void = () => {};
  let rung = true;
  let listed = false;
  const wait = (ms: number | undefined, signal: AbortSignal) =>
    new Promise<void>((resolve) => {
      if ((ms === undefined && rung) || signal.aborted) return resolve();
      const timer = ms === undefined ? undefined : setTimeout(resolve, ms);
      ring = () => {
        if (ms === undefined || signal.aborted) {
          clearTimeout(timer);
          resolve();
        }
      };
    });
  const attempt = async (batch: Batch<K, V>, write: (entries: Entries<K, V>) => Promise<void>) => {
    if (batch.entries.length === 0) return true;
    try {
      await write(batch.entries);
    } catch (error) {
      ledger.failed(batch, error);
      return false;
    }
    ledger.settled(batch);
    return true;
  };
  const list = async () => {
    try {
      listed = true; // unless somebody asks again meanwhile
      ledger.observe(await target.list());
      return true;
    } catch (error) {
      listed = false;
      ledger.failed({ kind: 'remove', entries: [], waiting: 0, more: false }, error);
      return false;
    }
  };
  const pass = async () => {
    const put = await attempt(ledger.puts(), (entries) => target.put(entries));
    const removed = await attempt(ledger.removals(), (entries) => target.remove(entries)); // also when a put failed: neither rests on the other
    return put && removed;
  };
  const wake = () => {
    rung = true;
    ring();
  };
  return {
    name: target.name,
    get status() {
      return ledger.status;
    },
    trouble: (key) => ledger.trouble(key),
    wake,
    refresh() {
      listed = false;
      wake();
    },
    doubt(key) {
      ledger.doubt(key);
      wake();
    },
    async differences() {
      const found = await target.list();
      return differencesIn(desired, target.name, { list: () => found, same: options.same ?? sameRow });
    },
    async run(signal) {
      signal.addEventListener('abort', () => ring(), { once: true });
      let tries = 0;
      while (!signal.aborted) {
        rung = false;
        const done = (listed || (await list())) && (await pass());
        tries = done ? 0 : tries + 1;
        await wait(done ? undefined : backoff(tries - 1, FIRST_RETRY_MS, LAST_RETRY_MS), signal);
      }
    },
  };
}
