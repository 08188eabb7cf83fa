// SPDX-License-Identifier: Apache-2.0
// A half-open connection in two frames: a SYN and, whatever came back, the RST that ends it (RFC 9293). No application hears of it.

import { familyOf, ipToWire, macToBytes } from '../base/ip.ts';
import type { Ip, Mac } from '../base/ip.ts';
import { Protocol } from './protocols.ts';
import { checksum, ethernet, EtherType } from './segment-frames.ts';

export type Knock = {
  readonly from: Mac;
  readonly to: Mac;
  readonly source: Ip;
  readonly destination: Ip;
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** Of 32 bits. */
  readonly sequence: number;
};

const Flag = { syn: 0x02, reset: 0x04 } as const;
const TTL = 64;
const MSS = [2, 4, 0x02, 0x18]; // 536: what every host takes
const WINDOW = 1024;

export function synFrame(knock: Knock): Buffer {
  return frameOf(knock, segment(knock, Flag.syn, Buffer.from(MSS)));
}

/** After it nothing of the connection is left, also where the answer is still under way. */
export function resetFrame(knock: Knock): Buffer {
  return frameOf(knock, segment({ ...knock, sequence: (knock.sequence + 1) >>> 0 }, Flag.reset, Buffer.alloc(0)));
}

function segment({ source, destination, sourcePort, destinationPort, sequence }: Knock, flags: number, options: Buffer): Buffer {
  const out = Buffer.concat([Buffer.alloc(20), options]);
  out.writeUInt16BE(sourcePort, 0);
  out.writeUInt16BE(destinationPort, 2);
  out.writeUInt32BE(sequence, 4);
  out.writeUInt8((out.length / 4) << 4, 12);
  out.writeUInt8(flags, 13);
  out.writeUInt16BE(WINDOW, 14);
  const pseudo = Buffer.concat([ipToWire(source), ipToWire(destination), Buffer.from([0, Protocol.TCP, 0, out.length])]);
  out.writeUInt16BE(checksum(Buffer.concat([pseudo, out])), 16);
  return out;
}

function frameOf({ from, to, source, destination }: Knock, body: Buffer): Buffer {
  const isFour = familyOf(source) === 4;
  const head = ethernet(macToBytes(from), macToBytes(to), isFour ? EtherType.ipv4 : EtherType.ipv6);
  const addresses = Buffer.concat([ipToWire(source), ipToWire(destination)]);
  const ip = isFour
    ? Buffer.concat([Buffer.from([0x45, 0, 0, 20 + body.length, 0, 0, 0x40, 0, TTL, Protocol.TCP, 0, 0]), addresses])
    : Buffer.concat([Buffer.from([0x60, 0, 0, 0, 0, body.length, Protocol.TCP, TTL]), addresses]);
  if (isFour) ip.writeUInt16BE(checksum(ip), 10);
  return Buffer.concat([head, ip, body]);
}
