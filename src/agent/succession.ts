// SPDX-License-Identifier: Apache-2.0
// The end of an upgrade: once every program on the node is this agent's, what flows did meanwhile with programs of another version is
// copied, and the maps of that version are removed.

import { setTimeout as after } from 'node:timers/promises';
import { messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Datapath } from '../datapath/programs.ts';

export type SuccessionOptions = {
  readonly datapath: Datapath;
  /** Why some program may still be another's, or undefined. */
  readonly unready: () => string | undefined;
  readonly log: Log;
};

/** Packets of no known flow wait so long for theirs, if this process ends while programs are swapped. */
export const HANDOVER_MS = 2000;
/** Longer than that no packet waits: what has not been copied by then was never known. */
const WAIT_MOST_MS = 10_000;
const LOOK_MS = 100;
/** While programs are swapped: a connection sends again what is lost after 200 ms at the earliest. */
const COPY_MS = 50;
/** So many times as long as a copy took the agent has for the rest. */
const REST = 3;

/** Resolves when there is nothing left to take over, or `signal` ends; then the next agent goes on. */
export async function succession({ datapath, unready, log }: SuccessionOptions, signal: AbortSignal): Promise<void> {
  const before = datapath.predecessors;
  if (before.length === 0) return;
  log.info('Takes over the maps of another version', { maps: before });
  let began: number | undefined;
  while (unready() !== undefined && !signal.aborted) {
    let pause = LOOK_MS;
    if (datapath.swapping) {
      const now = performance.now();
      began ??= now;
      if (now - began < WAIT_MOST_MS) datapath.awaitFlows(HANDOVER_MS);
      await datapath.inherit().catch(() => {}); // said in the end
      pause = Math.max(COPY_MS, REST * (performance.now() - now));
    }
    await after(pause, undefined, { signal }).catch(() => {});
  }
  if (signal.aborted) return;
  try {
    const entries = await datapath.inherit();
    datapath.forgetPredecessors();
    log.info('Took over the maps of another version', { entriesOfTheLastMoment: entries });
  } catch (error) {
    log.error('Cannot take over the maps of another version; they stay', { error: messageOf(error) });
  }
}
