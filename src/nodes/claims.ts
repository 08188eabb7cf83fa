// SPDX-License-Identifier: Apache-2.0
// Who has an address or a prefix that several want: what the values say before a Node, a Node before a pod, and among these the older.

import { olderFirst } from '../base/age.ts';
import type { Aged } from '../base/age.ts';
import { problem } from '../base/problem.ts';
import type { Problem } from '../base/problem.ts';

/** What an input key of a derivation stands for: 'node node2', 'pod shop/cart-1'. */
type Claimant = { readonly kind: string; readonly name: string };

const RANK: readonly string[] = ['endpoint', 'native', 'node', 'pod'];

/** Sorts those who want one row. `age`: of a Node or a pod. */
export function firstClaim(age: (claimant: Claimant) => Aged | undefined): (a: string, b: string) => number {
  return (a, b) => {
    const [one, other] = [claimant(a), claimant(b)];
    const order = RANK.indexOf(one.kind) - RANK.indexOf(other.kind);
    return order === 0 ? olderFirst([age(one), one.name], [age(other), other.name]) : order;
  };
}

/** Pods or Nodes with one address. Prefixes of several Nodes are another Problem (overlaps.ts), those of the values none. */
export function addressConflict(row: string, winner: string, loser: string): Problem | undefined {
  const [has, wants] = [claimant(winner), claimant(loser)];
  if (!row.endsWith('/128') || has.kind === 'native') return undefined;
  const isPod = wants.kind === 'pod';
  return problem({
    object: `${isPod ? 'Pod' : 'Node'} ${wants.name}`,
    reason: 'SameAddress',
    message: `${row.slice(0, row.lastIndexOf('/'))} belongs to ${has.kind === 'pod' ? 'Pod' : 'Node'} ${has.name}, and is taken for it`,
    advice: isPod
      ? 'Delete the pod, so that it gets another address when it is made anew; if that repeats, look for Nodes with one podCIDR'
      : 'Delete the Node that is not there any more, or give one of the two another address',
  });
}

function claimant(key: string): Claimant {
  const space = key.indexOf(' ');
  return { kind: key.slice(0, space), name: key.slice(space + 1) };
}
