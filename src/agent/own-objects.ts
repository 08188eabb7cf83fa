// SPDX-License-Identifier: Apache-2.0
// Objects in the API that this node wrote, watched for what others make of them: one that is deleted or changed is written again.
//
//   watch ──▶ gone, or not what we wrote ──a second later──▶ the reconciler doubts it ──▶ created or patched
//
// The pause is for whoever writes the same object again and again: we answer once a second, not as fast as we can. What a definition
// does not let us store (an older one drops fields) comes back as it was before, and is not written a second time.

import { sameRow } from '../base/same.ts';
import type { Table } from '../base/table.ts';
import type { Sink } from '../kube/source.ts';
import type { KubeObject } from '../kube/types.ts';

const PAUSE_MS = 1000;

export type OwnObjectsOptions<V extends KubeObject> = {
  /** What they should be. */
  readonly desired: Table<string, V>;
  /** What we wrote of an object; undefined: it is another node's. */
  readonly ours: (found: V) => V | undefined;
  /** Asks for an object to be written again. */
  readonly doubt: (key: string) => void;
  readonly pauseMs?: number;
};

export function ownObjects<V extends KubeObject>({ desired, ours, doubt, pauseMs = PAUSE_MS }: OwnObjectsOptions<V>): Sink<V> {
  const due = new Set<string>();
  const spoilt = new Map<string, V>(); // as they were when we last asked
  let timer: NodeJS.Timeout | undefined;
  const ask = (key: string) => {
    due.add(key);
    timer ??= setTimeout(() => {
      timer = undefined;
      for (const one of due) doubt(one);
      due.clear();
    }, pauseMs).unref();
  };
  const keyOf = (object: string) => object.slice(object.indexOf(' ') + 1);
  return {
    read(found) {
      const row = ours(found);
      return (object) => {
        const key = keyOf(object);
        const wanted = desired.get(key);
        if (row === undefined || wanted === undefined) return;
        if (has(row, wanted)) {
          due.delete(key);
          spoilt.delete(key);
        } else if (!sameRow(spoilt.get(key), row)) {
          spoilt.set(key, row);
          ask(key);
        }
      };
    },
    forget(object) {
      const key = keyOf(object);
      spoilt.delete(key);
      if (desired.has(key)) ask(key);
    },
    complete: () => undefined,
  };
}

/** Whether everything of `wanted` is in `found`; others may have added to it. */
function has(found: unknown, wanted: unknown): boolean {
  if (typeof wanted !== 'object' || wanted === null || Array.isArray(wanted)) return sameRow(found, wanted);
  if (typeof found !== 'object' || found === null) return false;
  const fields = new Map(Object.entries(found));
  return Object.entries(wanted).every(([name, value]) => has(fields.get(name), value));
}
