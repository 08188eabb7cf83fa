// SPDX-License-Identifier: Apache-2.0
// Who has which number.
//
//   agreed on, by a CiliumIdentity ──▶ its number, on every node
//   not yet ─────────────────────────▶ a number of this node's own, at once; and a CiliumIdentity is asked for by its name
//
// The name of a CiliumIdentity is its number, and the API accepts a name once. So nobody uses an agreed number that may turn
// out to be another's, and nobody waits for one.

import { problem, type Problem } from '../base/problem.ts';
import type { Table } from '../base/table.ts';
import type { IdentityRow } from './facts.ts';
import type { Labels } from './labels.ts';
import { isIn, proposal, type Identity, type Range } from './numbers.ts';

/** A number to ask for. */
export type Wanted = { readonly id: Identity; readonly labels: Labels };

/** Of several numbers for one label set the oldest is used, of the same second the least: the same on every node, and it stays. */
export function agreedOn(labels: Labels, identities: Table<string, IdentityRow>, range: Range): Identity | undefined {
  let best: IdentityRow | undefined;
  for (const row of identities.by('labels', labels)) {
    if (!isIn(range, row.id)) continue;
    if (best === undefined || row.created < best.created || (row.created === best.created && row.id < best.id)) best = row;
  }
  return best?.id;
}

/** A number to ask for, for each of the label sets that have none. */
export function* wantedIdentities(labelSets: Iterable<Labels>, identities: Table<string, IdentityRow>, range: Range): Iterable<readonly [string, Wanted] | Problem> {
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

/** What is known of a CiliumIdentity that nobody refers to. Times are milliseconds since the Unix epoch. */
export type Unused = {
  readonly id: string;
  /** Since when it has been marked; undefined: it is not. */
  readonly marked: number | undefined;
};

export type Garbage = { readonly mark: readonly string[]; readonly unmark: readonly string[]; readonly remove: readonly string[] };

/** After this long without a CiliumEndpoint that refers to it an identity may be removed. */
export const GRACE_MS = 30 * 60_000;

/**
 * What to do about identities: one without a CiliumEndpoint is marked, and removed by a later pass once the mark is older than
 * the grace; a reference takes the mark away. The grace is what keeps a number from another label set while an agent that
 * could not reach the API still uses it.
 */
export function garbageIn(identities: Iterable<Unused>, used: ReadonlySet<string>, now: number): Garbage {
  const all = [...identities];
  const unused = all.filter(({ id }) => !used.has(id));
  return {
    mark: unused.filter(({ marked }) => marked === undefined).map(({ id }) => id),
    unmark: all.filter(({ id, marked }) => marked !== undefined && used.has(id)).map(({ id }) => id),
    remove: unused.filter(({ marked }) => marked !== undefined && now - marked >= GRACE_MS).map(({ id }) => id),
  };
}
