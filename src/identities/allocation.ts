// SPDX-License-Identifier: Apache-2.0
// Who has which number.
//
//   agreed on, by a CiliumIdentity ──▶ its number, on every node
//   not yet ─────────────────────────▶ a number of this node's own, at once; and a CiliumIdentity is asked for by its name
//
// The name of a CiliumIdentity is its number, and the API accepts a name once. So nobody uses an agreed number that may turn
// out to be another's, and nobody waits for one.

import { problem } from '../base/problem.ts';
import type { Problem } from '../base/problem.ts';
import type { Table } from '../base/table.ts';
import type { IdentityRow } from './facts.ts';
import type { Labels } from './labels.ts';
import { isIn, proposal } from './numbers.ts';
import type { Identity, Range } from './numbers.ts';

/** A number to ask for. */
export type Wanted = { readonly id: Identity; readonly labels: Labels };

/** Of several numbers for one label set the oldest is used, of the same second the least: the same on every node, and it stays. */
export function agreedOn(labels: Labels, identities: Table<string, IdentityRow>, range: Range): Identity | undefined {
  let best: IdentityRow | undefined;
  for (const row of identities.by('labels', labels)) {
    if (row.retired || !isIn(range, row.id)) continue;
    if (best === undefined || row.created < best.created || (row.created === best.created && row.id < best.id)) best = row;
  }
  return best?.id;
}

/** A number to ask for, for each of the label sets that have none. */
export function* wantedIdentities(
  labelSets: Iterable<Labels>,
  identities: Table<string, IdentityRow>,
  range: Range,
): Iterable<readonly [string, Wanted] | Problem> {
  const asked = new Set<number>();
  let without = 0;
  for (const labels of [...labelSets].toSorted()) {
    if (agreedOn(labels, identities, range) !== undefined) continue;
    const id = proposal(labels, range, (value) => asked.has(value) || identities.has(`${value}`));
    if (id === undefined) without++;
    else {
      asked.add(id);
      yield [`${id}`, { id, labels }];
    }
  }
  if (without > 0) yield noneLeft(without, range);
}

function noneLeft(without: number, [first, last]: Range): Problem {
  return problem({
    object: 'Table cilium_identities',
    reason: 'NoIdentityLeft',
    message: `${without} label sets have no number: all of ${first} to ${last} are in use`,
    advice: 'Find the label that differs from pod to pod (kubectl get ciliumidentities) and exclude it with `labels` in the values',
  });
}

/** A CiliumIdentity as the operator sees it. Times are milliseconds since the Unix epoch. */
export type Candidate = {
  readonly id: string;
  /** Since when no CiliumEndpoint refers to it; undefined: none of the earlier passes found it so. */
  readonly unusedSince: number | undefined;
  readonly retired: boolean;
};

/** What a pass does: `spare` takes marks away, `mark` says since when it is unused, `retire` and `remove` follow. */
export type Garbage = {
  readonly spare: readonly string[];
  readonly mark: readonly string[];
  readonly retire: readonly string[];
  readonly remove: readonly string[];
};

/** How long an agent may be behind the API, or may use a number of which it could not tell the API yet. */
export const GRACE_MS = 30 * 60_000;

/**
 * What to do about identities that no CiliumEndpoint refers to (`used`: those that one does): marked by the first pass, retired
 * after the grace, removed after another. An agent stops to use a retired number as soon as it hears of it, so by the time that
 * the number is free for other labels nobody has it.
 */
export function garbageIn(candidates: Iterable<Candidate>, used: ReadonlySet<string>, now: number): Garbage {
  const out = { spare: [] as string[], mark: [] as string[], retire: [] as string[], remove: [] as string[] }; // elements to come
  for (const { id, unusedSince, retired } of candidates) {
    if (used.has(id)) {
      if (unusedSince !== undefined) out.spare.push(id);
    } else if (unusedSince === undefined) out.mark.push(id);
    else if (!retired && now - unusedSince >= GRACE_MS) out.retire.push(id);
    else if (retired && now - unusedSince >= 2 * GRACE_MS) out.remove.push(id);
  }
  return out;
}
