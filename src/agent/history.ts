// SPDX-License-Identifier: Apache-2.0
// The flows of this node on its disk. Opening takes as long as the disk does, and nobody waits for it: what comes meanwhile is held.
// What is wrong with the disk is a Problem of history, and of nothing else.
//
//   flows ─ append ─▶ held ─ open ─▶ store        observers ─ through() ─▶ what the ring has not any more

import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { problem } from '../base/problem.ts';
import type { Problem } from '../base/problem.ts';
import type { FlowRing } from '../flows/flow-ring.ts';
import type { Flow, LostEvent } from '../flows/flow.ts';
import { openStore } from '../history/open.ts';
import type { HistoryEntry } from '../history/rows.ts';
import { PATIENCE_MS } from '../history/store.ts';
import type { Store, Trouble } from '../history/store.ts';
import { throughPast } from '../history/through.ts';
import type { PastQuery, Through } from '../history/through.ts';
import { uuidCounter, uuidsOf } from '../history/uuid.ts';

export type FlowHistory = {
  /** What the next flow is called. */
  readonly uuid: () => string;
  append(flows: readonly Flow[]): void;
  lose(lost: LostEvent): void;
  /** Undefined where there is no history yet, or the ring has all that is asked for. */
  through(ring: FlowRing, query: PastQuery, signal: AbortSignal): Through | undefined;
  /** Undefined: not open, or not wanted. */
  readonly store: Store | undefined;
  /** What is wrong with it now. */
  readonly problems: readonly Problem[];
  /** Keeps flows until `signal`, and then what is left. */
  run(signal: AbortSignal): Promise<void>;
};

export type HistoryOptions = {
  readonly directory: string;
  /** 'cluster/node'. */
  readonly node: string;
  /** 0: nothing is kept. */
  readonly maxBytes: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly report: (problems: readonly Problem[]) => void;
};

/** Flows that are held until the store is open; of more than these only the number is known. */
const HELD = 20_000;
const REOPEN_MS = 10_000;

export function flowHistory(options: HistoryOptions): FlowHistory {
  const { node, maxBytes, clock } = options;
  const uuids = uuidsOf(node);
  const counter = uuidCounter(uuids, clock.now());
  const troubles = troublesOf(options);
  let store: Store | undefined;
  let held: HistoryEntry[] = [];
  const keep = (entry: HistoryEntry) => {
    if (store) store.add(entry);
    else if (maxBytes > 0 && held.length < HELD) held.push(entry);
  };
  const opened = (fresh: Store) => {
    counter.skip(fresh.position); // where the clock was set back
    store = fresh;
    held.forEach(fresh.add);
    held = [];
  };
  return {
    uuid: counter.next,
    append(flows) {
      if (store) store.append(flows);
      else for (const flow of flows) keep({ kind: 'flow', flow });
    },
    lose: (lost) => keep({ kind: 'lost', lost }),
    through: (ring, query, signal) => store && throughPast({ store, ring, uuids }, query, signal),
    get store() {
      return store;
    },
    get problems() {
      return troubles.problems;
    },
    async run(signal) {
      if (maxBytes === 0) return;
      const fresh = await openPatiently(options, troubles, signal);
      if (!fresh) return;
      opened(fresh);
      options.log.info('History opened', { directory: options.directory, bytes: fresh.bytes, blocks: fresh.places.length });
      await fresh.run(signal);
      await fresh.close();
    },
  };
}

type Troubles = {
  readonly problems: readonly Problem[];
  readonly watch: <T>(work: Promise<T>) => Promise<T>;
  readonly tell: (trouble: Trouble) => void;
};

async function openPatiently(options: HistoryOptions, { tell, watch }: Troubles, signal: AbortSignal): Promise<Store | undefined> {
  const { directory } = options;
  while (!signal.aborted) {
    try {
      return await watch(openStore({ ...options, report: tell }));
    } catch (error) {
      tell({ disk: { kind: 'fails', message: `${directory} cannot be opened: ${messageOf(error)}` }, damaged: [] });
      await delay(REOPEN_MS, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }
  return undefined;
}

/** Every reason of a Problem of history. */
export const HISTORY_REASONS = ['HistoryDiskFull', 'HistoryDiskFails', 'HistoryDiskHangs', 'HistoryDamaged'] as const;

const REASON = { full: 'HistoryDiskFull', fails: 'HistoryDiskFails', hangs: 'HistoryDiskHangs' } as const;
const MEANWHILE = {
  full: 'no flows are kept, those that are there stay',
  fails: 'no flows are kept, those that are there stay',
  hangs: 'flows wait in memory while there is room, then they are lost; everything else goes on',
} as const;
const ADVICE = {
  full: 'Make room there, or give history less (hubble.history.maxSizeMiB); it goes on by itself',
  fails: 'Correct what the message names; it is tried again by itself',
  hangs: 'Look for the disk or server behind it (dmesg); history goes on by itself once it answers',
} as const;

function troublesOf({ directory, report }: HistoryOptions): Troubles {
  let problems: readonly Problem[] = [];
  const tell = (trouble: Trouble) => {
    problems = problemsOf(directory, trouble);
    report(problems);
  };
  return {
    get problems() {
      return problems;
    },
    tell,
    async watch(work) {
      let hangs = false;
      const timer = setTimeout(() => {
        hangs = true;
        tell({ disk: { kind: 'hangs', message: `${directory} has not answered within ${PATIENCE_MS / 1000} s` }, damaged: [] });
      }, PATIENCE_MS).unref();
      try {
        return await work;
      } finally {
        clearTimeout(timer);
        if (hangs) tell({ disk: undefined, damaged: [] });
      }
    },
  };
}

function problemsOf(directory: string, { disk, damaged }: Trouble): readonly Problem[] {
  const wrong =
    disk &&
    problem({
      object: `File ${directory}`,
      reason: REASON[disk.kind],
      message: `${disk.message}; ${MEANWHILE[disk.kind]}`,
      advice: ADVICE[disk.kind],
    });
  const aside = damaged.map((path) =>
    problem({
      object: `File ${path}`,
      reason: 'HistoryDamaged',
      message: 'A file of flows was damaged and is set aside; what was whole of it is kept, the rest is a gap',
      advice: 'Look for the cause on the disk (dmesg), and remove the file',
    }),
  );
  return [...(wrong ? [wrong] : []), ...aside];
}
