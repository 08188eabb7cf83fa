// SPDX-License-Identifier: Apache-2.0
// Which addresses a node that has more than its share should hand over, so that one that came back has some again: few at a time.

import type { Ip } from '../base/ip.ts';
import { loadBound, score } from './owners.ts';
import type { OwnerRow } from './owners.ts';

/** Of what is too much, this part at once. */
const AT_ONCE = 1 / 8;

/** Those whose successor, as everybody will work it out, has room; first the ones that suit it best. */
export function surplusOf(self: string, rows: Iterable<OwnerRow>): readonly Ip[] {
  const owned = [...rows].filter(({ owner }) => owner !== undefined);
  const loads = new Map<string, number>();
  for (const { owner = '' } of owned) loads.set(owner, (loads.get(owner) ?? 0) + 1);
  const load = (node: string) => loads.get(node) ?? 0;
  const offers = owned.flatMap(({ ip, held, owner, candidates }) => {
    if (owner !== self || held === undefined) return [];
    const best = Math.max(...candidates.map(({ level }) => level));
    const able = candidates.filter(({ level }) => level === best).map(({ node }) => node);
    const [heir] = able.filter((node) => node !== self).toSorted((a, b) => score(b, ip) - score(a, ip));
    const bound = loadBound(owned.length, able.length);
    return heir !== undefined && able.includes(self) && load(self) > bound ? [{ ip, heir, bound, suits: score(heir, ip) }] : [];
  });
  const excess = load(self) - Math.max(...offers.map(({ bound }) => bound));
  const out: Ip[] = [];
  for (const { ip, heir, bound } of offers.toSorted((a, b) => b.suits - a.suits)) {
    if (out.length >= excess * AT_ONCE) break;
    if (load(heir) >= bound) continue;
    loads.set(heir, load(heir) + 1);
    out.push(ip);
  }
  return out;
}
