// SPDX-License-Identifier: Apache-2.0
// One walk of a packet through the tables, and how it ends.

import type { DropReason } from '../datapath/schema.gen.ts';
import { dropReasonNames } from '../datapath/schema.gen.ts';
import type { TraceTables } from './lookups.ts';
import type { Moving, Place, Step, Verdict, Way } from './packet.ts';

/** `steps` grows as it goes, `backends` is how many could have been chosen, `choice` is the program's random number. */
export type Walk = { readonly tables: TraceTables; readonly choice: number; readonly steps: Step[]; backends: number };
export type End = Pick<Way, 'verdict' | 'out'>;

/** Adds a step: what was looked up, what was found, what follows. */
export function say(walk: Walk, hook: Place, lookedUp: string, [found, decision]: readonly [string | undefined, string]): void {
  walk.steps.push({ hook, lookedUp, found, decision });
}

export function end(verdict: Verdict, out: Moving): End {
  return { verdict, out };
}

export function dropped(reason: DropReason, out: Moving): End {
  return end({ kind: 'dropped', reason: dropReasonNames[reason] ?? String(reason) }, out);
}
