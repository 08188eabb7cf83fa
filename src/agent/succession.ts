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
/** While programs are swapped: a connection sends again what is lost after 200 ms at the earliest. */
const COPY_MS = 50;
/** So long the programs have for themselves at first: most swaps are done by then. */
const SWAP_MS = 500;
/** So many times as long as a copy took the agent has for the rest; what waits is sent again after ever longer times. */
const REST = 1;

/** Resolves when there is nothing left to take over, or `signal` ends; then the next agent goes on. */
export async function succession({ datapath, unready, log }: SuccessionOptions, signal: AbortSignal): Promise<void> {
  const before = datapath.predecessors;
  if (before.length === 0) return;
  log.info('Takes over the maps of another version', { maps: before });
  let began: number | undefined;
  let due = 0;
  const wait = () => {
    if (!datapath.swapping) return;
    began ??= performance.now();
    if (performance.now() - began < WAIT_MOST_MS) datapath.awaitFlows(HANDOVER_MS);
  };
  const waiting = setInterval(wait, HANDOVER_MS / 4); // also while a copy takes long
  while (unready() !== undefined && !signal.aborted) {
    const now = performance.now();
    if (datapath.swapping && due === 0) due = now + SWAP_MS;
    if (datapath.swapping && now >= due) {
      await datapath.inherit().catch(() => {}); // said in the end
      due = performance.now() + Math.max(COPY_MS, REST * (performance.now() - now));
    }
    await after(COPY_MS, undefined, { signal }).catch(() => {});
  }
  clearInterval(waiting);
  if (signal.aborted) return;
  try {
    const entries = await datapath.inherit();
    datapath.forgetPredecessors();
    log.info('Took over the maps of another version', { entriesOfTheLastMoment: entries });
  } catch (error) {
    log.error('Cannot take over the maps of another version; they stay', { error: messageOf(error) });
  }
}
