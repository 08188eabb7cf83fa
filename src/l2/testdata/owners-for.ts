// SPDX-License-Identifier: Apache-2.0
// What the three derivations of ownership.ts come to together, for tests that have no tables.

import { candidatesAmong } from '../candidates.ts';
import type { Everybody } from '../candidates.ts';
import type { Claim } from '../members.ts';
import { choicesFor, ownerOf } from '../owners.ts';
import type { OwnerRow, OwnersInput } from '../owners.ts';
import type { VipRow } from '../vips.ts';

export type Given = Everybody & Omit<OwnersInput, 'claim'> & { readonly vips: Iterable<VipRow> };

export function ownersFor({ vips, ...given }: Given): readonly (readonly [string, OwnerRow])[] {
  const among = candidatesAmong(given);
  const all = Array.from(vips, (vip) => ({ vip, candidates: among(vip) })).toSorted((a, b) => (a.vip.ip < b.vip.ip ? -1 : 1));
  const claims = new Map<string, Claim>(
    given.members.flatMap(({ node, claims: own }) => own.map((claim) => [`${node} ${claim.ip}`, claim] as const)),
  );
  const input = { ...given, claim: (node: string, ip: string) => claims.get(`${node} ${ip}`) };
  const choices = new Map(
    choicesFor(
      all.map(({ vip, candidates }) => [vip.ip, candidates] as const),
      input,
    ),
  );
  return all.map(({ vip, candidates }) => [vip.ip, ownerOf(vip, candidates, choices.get(vip.ip), input)] as const);
}
