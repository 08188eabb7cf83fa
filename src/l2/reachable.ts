// SPDX-License-Identifier: Apache-2.0
// Whether a Service is found on the LAN at all of its addresses, as a condition of it says. Whoever answers for the first address tells it; where
// nobody does, the first node by name.

import type { Table } from '../base/table.ts';
import { sightsOf } from './members.ts';
import type { MemberRow, Seen } from './members.ts';
import type { OwnerRow } from './owners.ts';

/** As an object of the API has it, without the time. */
export type Reachable = { readonly status: 'True' | 'False' | 'Unknown'; readonly reason: string; readonly message: string };

export const REACHABLE = 'stentor.dev/Reachable';

/** The addresses of a Service that somebody should find. */
export function toBeFound(owners: Table<string, OwnerRow>, service: string): readonly OwnerRow[] {
  return [...owners.by('service', service)].filter(({ policies, balanced }) => policies.length > 0 || balanced);
}

/** `rows`: of its addresses that are to be announced; `peers`: the other nodes. */
export function* reachableFor(
  service: string,
  rows: readonly OwnerRow[],
  { peers, isFirst }: { readonly peers: readonly MemberRow[]; readonly isFirst: boolean },
): Iterable<readonly [string, Reachable]> {
  const [first] = rows.toSorted((a, b) => (a.ip < b.ip ? -1 : 1));
  if (first && (first.held !== undefined || (first.owner === undefined && isFirst))) yield [service, reachableOf(rows, peers)];
}

function reachableOf(rows: readonly OwnerRow[], peers: readonly MemberRow[]): Reachable {
  const alone = rows.find(({ owner }) => owner === undefined);
  if (alone) return { status: 'False', reason: 'NobodyAnswers', message: `nobody answers for ${alone.ip} on the LAN: ${alone.why}` };
  const seen = rows.map(({ ip, owner }) => ({ ip, owner, sights: sightsOf(ip, peers) }));
  const lost = seen.find(({ sights }) => sights.length > 0 && !sights.some(({ found }) => found));
  if (lost)
    return {
      status: 'False',
      reason: 'NotFound',
      message: `other nodes ask for ${lost.ip} on the LAN and do not find it at ${lost.owner}${missingText(lost.sights)}`,
    };
  const unasked = seen.find(({ sights }) => sights.length === 0);
  if (unasked) return { status: 'Unknown', reason: 'NobodyAsks', message: `no other node on the segment of ${unasked.ip} asks for it` };
  return { status: 'True', reason: 'Found', message: 'other nodes ask for it on the LAN and find it' };
}

/** What is missing where the link address is found. */
export function missingText(sights: readonly Seen[]): string {
  const missing = [...new Set(sights.flatMap((sight) => sight.missing ?? []))].toSorted();
  return missing.length === 0 ? '' : `: nothing answers at ${missing.join(', ')}`;
}
