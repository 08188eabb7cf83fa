// SPDX-License-Identifier: Apache-2.0
// Ranges of addresses, as the blocks of a pool give them.

import { cidrSize, familyOf, ipFromNumber, numberOf, parseCidr, parseIp } from '../base/ip.ts';
import type { Family, Ip } from '../base/ip.ts';
import type { CiliumLoadBalancerIPPool } from '../kube/types.ts';

export type Range = {
  readonly family: Family;
  readonly first: bigint;
  readonly last: bigint;
  /** Its first and its last address are not handed out. */
  readonly fenced: boolean;
};

export type Block = NonNullable<NonNullable<CiliumLoadBalancerIPPool['spec']>['blocks']>[number];

/** What is wrong with a block, as Problems say it. */
export type BadBlock = { readonly reason: 'InvalidBlock' | 'BlockNotAtItsStart'; readonly message: string; readonly advice: string };

export type Ranges = { readonly ranges: readonly Range[]; readonly wrong: readonly BadBlock[] };

/** The blocks that can be read, in their order, and what is wrong with the others. `fenced`: allowFirstLastIPs is No. */
export function rangesOf(blocks: readonly Block[], fenced: boolean): Ranges {
  const ranges: Range[] = [];
  const wrong: BadBlock[] = [];
  for (const [i, block] of blocks.entries()) {
    const found = block.cidr === undefined ? fromTo(block) : prefix(block, fenced);
    if (typeof found === 'string') wrong.push(invalid(`spec.blocks[${i}] ${found}`));
    else {
      ranges.push(found);
      wrong.push(...oddities(block, found, i));
    }
  }
  return { ranges, wrong };
}

function prefix({ cidr = '' }: Block, fenced: boolean): Range | string {
  const found = cidr.includes('/') ? parseCidr(cidr) : undefined;
  if (found === undefined) return `has cidr ${cidr}, wanted a prefix such as 192.168.0.192/28`;
  const [family, first, size] = [familyOf(found.ip), numberOf(found.ip), cidrSize(found)];
  return { family, first, last: first + size - 1n, fenced: fenced && size > 2n };
}

function fromTo({ start, stop }: Block): Range | string {
  if (start === undefined || start === '') return 'has neither cidr nor start, wanted one of them';
  const [first, last] = [parseIp(start), parseIp(stop === undefined || stop === '' ? start : stop)];
  if (first === undefined) return `has start ${start}, wanted an IP address`;
  if (last === undefined) return `has stop ${stop}, wanted an IP address`;
  const family = familyOf(first);
  if (familyOf(last) !== family) return `goes from ${start} to ${stop}, wanted both of one family`;
  if (numberOf(first) > numberOf(last)) return `goes from ${start} down to ${stop}, wanted start before stop`;
  return { family, first: numberOf(first), last: numberOf(last), fenced: false };
}

/** What is in effect, but perhaps not as it was meant. */
function* oddities({ cidr, start, stop }: Block, range: Range, i: number): Iterable<BadBlock> {
  if (cidr === undefined) return;
  if (start !== undefined || stop !== undefined) yield invalid(`spec.blocks[${i}] has cidr and start or stop, of which cidr is in effect`);
  const written = parseIp(cidr.split('/')[0] ?? '');
  if (written !== undefined && numberOf(written) !== range.first)
    yield {
      reason: 'BlockNotAtItsStart',
      message: `spec.blocks[${i}] has cidr ${cidr}, which is ${rangeText(range)}`,
      advice: `Write the prefix by its first address if that is meant, or use start and stop`,
    };
}

function invalid(message: string): BadBlock {
  return { reason: 'InvalidBlock', message, advice: 'Correct the block; the other ones are in effect' };
}

export function rangeSize({ first, last }: Range): bigint {
  return last - first + 1n;
}

export function rangeHas(range: Range, address: Ip): boolean {
  if (familyOf(address) !== range.family) return false;
  const number = numberOf(address);
  return number >= range.first && number <= range.last;
}

/** Whether it is one of the two addresses at the ends that are not handed out. */
export function isReserved(range: Range, address: Ip): boolean {
  if (!range.fenced || !rangeHas(range, address)) return false;
  const number = numberOf(address);
  return number === range.first || number === range.last;
}

/** First and last address that are handed out. */
export function usable({ first, last, fenced }: Range): readonly [first: bigint, last: bigint] {
  return fenced ? [first + 1n, last - 1n] : [first, last];
}

export function overlap(a: Range, b: Range): boolean {
  return a.family === b.family && a.first <= b.last && b.first <= a.last;
}

/** '192.168.0.220-192.168.0.239', or the one address. */
export function rangeText(range: Range, dash = '-'): string {
  const [first, last] = [ipFromNumber(range.first, range.family), ipFromNumber(range.last, range.family)];
  return range.first === range.last ? first : `${first}${dash}${last}`;
}
