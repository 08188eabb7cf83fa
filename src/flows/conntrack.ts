// SPDX-License-Identifier: Apache-2.0
// Entries of conntrack as bytes: who looks through the whole map reads a few fields in place instead of decoding hundreds of
// thousands of entries.

import { Protocol } from '../datapath/protocols.ts';
import { configDefaults, ConntrackFlag } from '../datapath/schema.gen.ts';

/** Byte offsets in struct flow; up to `protocol` they are also those of struct conntrack_entry. */
export const flowAt = { source: 0, destination: 16, sourcePort: 32, destinationPort: 34, protocol: 36 } as const;
/** Byte offsets in struct conntrack_entry. */
export const entryAt = { flags: 36, interfaceIndex: 40, lastSeen: 44, packets: 56 } as const;

/** The key of the other direction: what this one leaves as, reversed. */
export function oppositeKey(key: Buffer, value: Buffer): Buffer {
  const opposite = Buffer.from(key);
  value.copy(opposite, flowAt.source, flowAt.destination, flowAt.sourcePort);
  value.copy(opposite, flowAt.destination, flowAt.source, flowAt.destination);
  value.copy(opposite, flowAt.sourcePort, flowAt.destinationPort, flowAt.protocol);
  value.copy(opposite, flowAt.destinationPort, flowAt.sourcePort, flowAt.destinationPort);
  return opposite;
}

/** Seconds after its last packet in which a flow is forgotten: bpf/lib/conntrack.h conntrack_expired(). */
export function timeoutOf(flags: number, protocol: number): number {
  if (protocol !== Protocol.TCP) return configDefaults.timeoutAny;
  if (flags & ConntrackFlag.closing) return configDefaults.timeoutTcpClosing;
  return flags & ConntrackFlag.answered ? configDefaults.timeoutTcp : configDefaults.timeoutAny;
}

/** `now`: seconds of CLOCK_MONOTONIC. */
export function isExpired(key: Buffer, value: Buffer, now: number): boolean {
  return idleOf(value, now) > timeoutOf(value.readUInt32LE(entryAt.flags), key.readUInt8(flowAt.protocol));
}

/** Whether another flow may have the port of this one: bpf/lib/conntrack.h conntrack_yields(). */
export function yieldsPort(key: Buffer, value: Buffer, now: number): boolean {
  const halfClosed = key.readUInt8(flowAt.protocol) === Protocol.TCP && value.readUInt32LE(entryAt.flags) & ConntrackFlag.halfClosed;
  return (halfClosed && idleOf(value, now) > configDefaults.timeoutTcpHalfClosed) || isExpired(key, value, now);
}

function idleOf(value: Buffer, now: number): number {
  return (now - value.readUInt32LE(entryAt.lastSeen)) | 0;
}
