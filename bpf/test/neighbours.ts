// SPDX-License-Identifier: Apache-2.0
// ARP (RFC 826) and neighbour discovery (RFC 4861) as frames.

import assert from 'node:assert/strict';
import { ip, ipToWire, macToBytes, parseMac } from '../../src/base/ip.ts';
import { ethernet } from './packet.ts';
import type { Packet } from './packet.ts';

export type Arp = {
  readonly operation: number;
  readonly senderMac: string;
  readonly sender: string;
  readonly targetMac: string;
  readonly target: string;
};

export const NOBODY = '00:00:00:00:00:00';
export const BROADCAST = 'ff:ff:ff:ff:ff:ff';

export function macBytes(text: string): Buffer {
  return macToBytes(parseMac(text) ?? assert.fail(`no MAC: ${text}`));
}

export function arpFrame(from: string, to: string, { operation, senderMac, sender, targetMac, target }: Arp): Buffer {
  const fixed = Buffer.from([0, 1, 8, 0, 6, 4, 0, operation]);
  return Buffer.concat([
    ethernet(from, to, 0x0806),
    fixed,
    macBytes(senderMac),
    ipToWire(ip(sender)),
    macBytes(targetMac),
    ipToWire(ip(target)),
  ]);
}

type Ends = Pick<Packet, 'from' | 'to' | 'source' | 'destination'>;
export type LinkOption = { readonly type: number; readonly mac: string };

/** A solicitation (135) or an advertisement (136, `flags` in the first byte of `rest`). */
export function neighbourMessage(
  ends: Ends,
  type: 135 | 136,
  target: string,
  more: { readonly flags?: number; readonly option?: LinkOption },
): Packet {
  const { flags = 0, option } = more;
  const bytes = option ? Buffer.concat([Buffer.from([option.type, 1]), macBytes(option.mac)]) : Buffer.alloc(0);
  const data = Buffer.concat([ipToWire(ip(target)), bytes]);
  return { ...ends, ttl: 255, body: { kind: 'icmp', type, code: 0, rest: (flags << 24) >>> 0, data } };
}
