// SPDX-License-Identifier: Apache-2.0
// What handlers of metrics have in common.

import type { Flow } from '../flow.ts';
import { Verdict } from '../flow-enums.ts';
import type { Context } from './context.ts';
import { Family } from './series.ts';
import type { FamilyOptions, Label } from './series.ts';

/** Whether an option without a value, such as `query`, was given. */
export type Has = (option: string) => boolean;

export type Handler = { readonly families: readonly Family[]; readonly count: (flow: Flow) => void };

export const closed = (name: string): Label => ({ name, open: false });
export const open = (name: string): Label => ({ name, open: true });

export const wasForwarded = ({ verdict }: Flow): boolean => verdict === Verdict.FORWARDED || verdict === Verdict.REDIRECTED;

/** A family with the labels of the context behind its own, and an array for their values that is used for each flow anew. */
export type Vector = { readonly family: Family; readonly values: string[]; readonly own: number };

export function vector(options: Omit<FamilyOptions, 'labels' | 'limit'>, own: readonly Label[], context: Context): Vector {
  const family = new Family({ ...options, labels: [...own, ...context.labels], limit: context.limit });
  return { family, values: Array.from({ length: family.labels.length }, () => ''), own: own.length };
}

/** One counter: `fill` writes its own labels, and says whether the flow counts. */
export function counter({ family, values, own }: Vector, context: Context, fill: (flow: Flow, into: string[]) => boolean): Handler {
  const count = (flow: Flow) => {
    if (!fill(flow, values)) return;
    context.fill(flow, values, own);
    family.add(values);
  };
  return { families: [family], count };
}
