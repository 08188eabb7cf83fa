// SPDX-License-Identifier: Apache-2.0
// Numbers of identities, as Hubble clients and other tools know them.
//
//   0               unknown
//   1 to 10         reserved
//   256 to 65535    agreed on by the cluster, each with a CiliumIdentity; with a cluster id n: n << 16 to (n << 16) + 65535
//   0x01000001 on   prefixes and names, on one node (not given out yet)
//   0x02000001 on   other nodes, on one node (not given out yet)
//   0x03000001 on   label sets of this node's pods until the cluster has agreed on their number: they never leave the node

import type { Brand } from '../base/brand.ts';
import { textHash } from '../base/hash.ts';
import type { Labels } from './labels.ts';

export type Identity = Brand<number, 'Identity'>;

export const Reserved = {
  unknown: 0,
  host: 1,
  world: 2,
  unmanaged: 3,
  health: 4,
  init: 5,
  remoteNode: 6,
  kubeApiServer: 7,
  ingress: 8,
  worldIpv4: 9,
  worldIpv6: 10,
} as const satisfies Readonly<Record<string, number>>;

const FIRST = 256;
const CLUSTER_SIZE = 1 << 16;
const LAST = 0xff_ffff; // as much as fits on the wire

export type Range = readonly [first: number, last: number];

/** Numbers of this node's own, for label sets without an agreed number. */
export const PROVISIONAL: Range = [0x0300_0001, 0x03ff_ffff];

/** Throws RangeError for what is no 32-bit number. */
export function identity(value: number): Identity {
  if (!Number.isInteger(value) || value < 0 || value > 0xffff_ffff)
    throw new RangeError(`Cannot use ${value} as an identity, wanted a 32-bit number`);
  return value as Identity; // in range, checked above
}

/** The number that a CiliumIdentity's name says, or undefined. */
export function agreedIdentity(name: string): Identity | undefined {
  if (!/^[1-9]\d{2,7}$/.test(name)) return undefined;
  const value = Number(name);
  return value >= FIRST && value <= LAST ? identity(value) : undefined;
}

/** The numbers that a cluster gives to its pods. `clusterId`: 0 to 255. */
export function rangeOf(clusterId: number): Range {
  return [Math.max(FIRST, clusterId * CLUSTER_SIZE), clusterId * CLUSTER_SIZE + CLUSTER_SIZE - 1];
}

export function isIn([first, last]: Range, value: number): boolean {
  return value >= first && value <= last;
}

/**
 * The number to ask for: where the hash of the labels points, or the next one after it that is not taken; undefined when all
 * are. Whoever knows the same of what is taken asks for the same.
 */
export function proposal(labels: Labels, range: Range, taken: (value: number) => boolean): Identity | undefined {
  const [first, last] = range;
  const size = last - first + 1;
  const start = textHash(labels) % size;
  for (let i = 0; i < size; i++) {
    const value = first + ((start + i) % size);
    if (!taken(value)) return identity(value);
  }
  return undefined;
}
