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

const LOOK_MS = 100;

/** Resolves when there is nothing left to take over, or `signal` ends; then the next agent goes on. */
export async function succession({ datapath, unready, log }: SuccessionOptions, signal: AbortSignal): Promise<void> {
  const before = datapath.predecessors;
  if (before.length === 0) return;
  log.info('Takes over the maps of another version', { maps: before });
  while (unready() !== undefined && !signal.aborted) await after(LOOK_MS, undefined, { signal }).catch(() => {});
  if (signal.aborted) return;
  try {
    const entries = await datapath.inherit();
    datapath.forgetPredecessors();
    log.info('Took over the maps of another version', { entriesOfTheLastMoment: entries });
  } catch (error) {
    log.error('Cannot take over the maps of another version; they stay', { error: messageOf(error) });
  }
}
