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
