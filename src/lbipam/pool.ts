// SPDX-License-Identifier: Apache-2.0
// The row of a CiliumLoadBalancerIPPool, and which pools overlap.

import { parseIp } from '../base/ip.ts';
import type { Ip } from '../base/ip.ts';
import type { CiliumLoadBalancerIPPool, Condition, Labels } from '../kube/types.ts';
import { selectorOf, selects } from '../services/label-selector.ts';
import type { Selector } from '../services/label-selector.ts';
import { overlap, rangeHas, rangesOf, rangeText } from './range.ts';
import type { BadBlock, Range } from './range.ts';

export type PoolRow = {
  readonly name: string;
  readonly uid: string | undefined;
  readonly resourceVersion: string | undefined;
  readonly generation: number;
  /** RFC 3339. */
  readonly created: string;
  /** Gives no new addresses. */
  readonly disabled: boolean;
  /** A string says why it cannot be read: then nothing is selected. */
  readonly services: Selector | string;
  readonly ranges: readonly Range[];
  readonly wrong: readonly BadBlock[];
  /** Addresses that somebody has agreed to leave for one of it, once nothing gives them any more. */
  readonly replaces: readonly Ip[];
  /** As they are in the API. */
  readonly conditions: readonly Condition[];
};

/** On a pool: addresses that Services may leave for one of it. */
export const MOVE = 'lbipam.stentor.dev/move';

export function* poolRows({ metadata, spec = {}, status }: CiliumLoadBalancerIPPool): Iterable<readonly [string, PoolRow]> {
  const { name, uid, resourceVersion, generation = 0, creationTimestamp = '', annotations = {} } = metadata;
  const { ranges, wrong } = rangesOf(spec.blocks ?? [], spec.allowFirstLastIPs === 'No');
  yield [
    name,
    {
      name,
      uid,
      resourceVersion,
      generation,
      created: creationTimestamp,
      disabled: spec.disabled === true,
      services: selectorOf(spec.serviceSelector),
      ranges,
      wrong,
      replaces: (annotations[MOVE] ?? '').split(',').flatMap((text) => parseIp(text.trim()) ?? []),
      conditions: status?.conditions ?? [],
    },
  ];
}

export function poolSelects({ services }: PoolRow, labels: Labels): boolean {
  return typeof services !== 'string' && selects(services, labels);
}

export function poolHas({ ranges }: PoolRow, address: Ip): boolean {
  return ranges.some((range) => rangeHas(range, address));
}

export function poolText({ ranges }: PoolRow): string {
  return ranges.map((range) => rangeText(range)).join(', ');
}

/** The older first: it is asked first, and of two that overlap it is the one that goes on. */
export function inOrder(pools: Iterable<PoolRow>): readonly PoolRow[] {
  return [...pools].toSorted((a, b) => compare(a.created, b.created) || compare(a.name, b.name));
}

export function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** By name of the pool, what is said of the overlap. `pools` in order. */
export function conflictsAmong(pools: readonly PoolRow[]): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  const seen: { readonly range: Range; readonly pool: string }[] = [];
  for (const { name, ranges } of pools)
    for (const range of ranges) {
      const other = seen.find((one) => overlap(one.range, range));
      if (other && !found.has(name))
        found.set(name, `range '${rangeText(range, ' - ')}' overlaps range '${rangeText(other.range, ' - ')}' of IP Pool '${other.pool}'`);
      seen.push({ range, pool: name });
    }
  return found;
}
