// SPDX-License-Identifier: Apache-2.0
// Hands out parts of a prefix. Where an address comes from is decided by its name, so a service has the same address in
// every run unless two names collide.
import { createHash } from 'node:crypto';
import { cidrAddress, cidrSize } from '../../src/base/ip.ts';
import type { Cidr, Ip } from '../../src/base/ip.ts';

/** The first addresses of a service range are left to those who choose theirs. */
const RESERVED = 256n;

/** A free address of the prefix for a name, or undefined when all are taken. */
export function addressFor(name: string, prefix: Cidr, isTaken: (address: Ip) => boolean): Ip | undefined {
  const usable = cidrSize(prefix) - RESERVED - 1n; // the last one is a broadcast address to some
  const first = createHash('sha256').update(name).digest().readBigUInt64BE(0) % usable;
  for (let step = 0n; step < usable; step++) {
    const address = cidrAddress(prefix, RESERVED + ((first + step) % usable));
    if (!isTaken(address)) return address;
  }
  return undefined;
}

/** The `index`-th subnet with a prefix length of `bits`, as text. */
export function subnetAt(prefix: Cidr, bits: number, index: number): string {
  const width = prefix.ip.includes(':') ? 128 : 32;
  return `${cidrAddress(prefix, BigInt(index) << BigInt(width - bits))}/${bits}`;
}
