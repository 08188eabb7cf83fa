// SPDX-License-Identifier: Apache-2.0
// Addresses of pods, out of the node's own podCIDRs (Node.spec.podCIDRs, one for each family).
//
// Never handed out: the first address of a prefix, and of an IPv4 prefix also the last (network and broadcast). An address that was
// given back is given again as late as possible, so that nobody's old connections find a new pod behind it.

import { cidrAddress, cidrContains, cidrIndex, cidrSize, cidrText, familyOf } from '../base/ip.ts';
import type { Cidr, Ip } from '../base/ip.ts';

/** No address is left. The message names the range and how many of it are in use. */
export type RangeFull = { readonly kind: 'full'; readonly message: string };

/** IPv6 ranges are used up to this many addresses. */
const LARGEST = 65_536n;

/**
 * An address of `range` for `owner`: the one that it has in `used` already, else the next free one after `last`.
 * `used`: every address in use with its owner.
 */
export function addressFor(owner: string, range: Cidr, used: ReadonlyMap<Ip, string>, last: Ip | undefined): Ip | RangeFull {
  for (const [address, holder] of used) if (holder === owner && cidrContains(range, address)) return address;
  const start = last === undefined ? undefined : cidrIndex(range, last);
  for (const index of indexesAfter(Number(start ?? 0n), range)) {
    const address = cidrAddress(range, BigInt(index));
    if (!used.has(address)) return address;
  }
  const holders = new Set(Array.from(used, ([address, holder]) => (cidrContains(range, address) ? holder : owner)));
  holders.delete(owner);
  return {
    kind: 'full',
    message: `Range is full: all ${usableSize(range)} addresses of ${cidrText(range)} are in use, by ${holders.size} pods`,
  };
}

/** How many addresses of the range can be handed out. */
export function usableSize(range: Cidr): number {
  const [first, last] = usable(range);
  return Math.max(0, last - first + 1);
}

/** First and last index that may be handed out. */
function usable(range: Cidr): readonly [first: number, last: number] {
  const size = cidrSize(range);
  if (familyOf(range.ip) === 4) return [1, Number(size) - 2];
  return [1, Number(size < LARGEST ? size : LARGEST) - 1];
}

function* indexesAfter(start: number, range: Cidr): Iterable<number> {
  const [first, last] = usable(range);
  for (let index = Math.max(first, start + 1); index <= last; index++) yield index;
  for (let index = first; index <= Math.min(last, start); index++) yield index;
}
