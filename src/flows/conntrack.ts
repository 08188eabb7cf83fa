// SPDX-License-Identifier: Apache-2.0
// Entries of conntrack as bytes: who looks through the whole map reads a few fields in place instead of decoding hundreds of
// thousands of entries.

import { Protocol } from '../datapath/protocols.ts';
import { configDefaults, ConntrackFlag } from '../datapath/schema.gen.ts';

/** Byte offsets in struct flow; up to `protocol` they are also those of struct conntrack_entry. */
export const flowAt = { source: 0, destination: 16, sourcePort: 32, destinationPort: 34, protocol: 36 } as const;
/** Byte offsets in struct conntrack_entry. */
export const entryAt = { flags: 36, lastSeen: 44 } as const;

/** bpf/lib/conntrack.h conntrack_expired(). `now`: seconds of CLOCK_MONOTONIC. */
export function isExpired(key: Buffer, value: Buffer, now: number): boolean {
  const flags = value.readUInt32LE(entryAt.flags);
  const idle = (now - value.readUInt32LE(entryAt.lastSeen)) | 0;
  const isTcp = key.readUInt8(flowAt.protocol) === Protocol.TCP;
  if (isTcp && flags & ConntrackFlag.closing) return idle > configDefaults.timeoutTcpClosing;
  return idle > (isTcp && flags & ConntrackFlag.answered ? configDefaults.timeoutTcp : configDefaults.timeoutAny);
}
