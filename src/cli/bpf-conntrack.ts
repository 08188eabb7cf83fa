// SPDX-License-Identifier: Apache-2.0
// The conntrack map in words. It has two entries for a flow; each says what one direction becomes. What is expired counts as absent, to
// the data plane and here.

import { addressPort } from '../base/ip.ts';
import { ConntrackFlag, conntrackFlagNames } from '../datapath/schema.gen.ts';
import type { ConntrackEntry, Flow } from '../datapath/schema.gen.ts';
import { timeoutOf } from '../flows/conntrack.ts';

export type ConntrackPair = { readonly key: Flow; readonly value: ConntrackEntry };

/** IN: towards a pod of this node. SVC: from a service address to a backend. */
export type Direction = 'IN' | 'OUT' | 'SVC';

export type ConntrackRow = {
  readonly protocol: string;
  readonly direction: Direction;
  readonly source: string;
  readonly destination: string;
  /** What the packet leaves as, where that is something else. */
  readonly translatedSource: string | undefined;
  readonly translatedDestination: string | undefined;
  /** Seconds of CLOCK_MONOTONIC. */
  readonly lastSeen: number;
  readonly expires: number;
  readonly packets: number;
  readonly bytes: number;
  readonly flags: number;
  readonly flagNames: readonly string[];
  /** Ids of `bpf lb list`; 0: none. */
  readonly service: number;
  readonly backend: number;
};

const protocols: Readonly<Record<number, string>> = { 1: 'ICMP', 6: 'TCP', 17: 'UDP', 58: 'ICMPv6', 132: 'SCTP' };

/** The living entries. `now`: seconds of CLOCK_MONOTONIC. */
export function* conntrackRows(pairs: Iterable<ConntrackPair>, now: number): Iterable<ConntrackRow> {
  for (const { key, value } of pairs) {
    const expires = value.lastSeen + timeoutOf(value.flags, key.protocol);
    if (expires < now) continue;
    const has = (flag: ConntrackFlag) => (value.flags & flag) !== 0;
    yield {
      protocol: protocols[key.protocol] ?? String(key.protocol),
      direction: has(ConntrackFlag.destinationNat) && !has(ConntrackFlag.reply) ? 'SVC' : has(ConntrackFlag.local) ? 'IN' : 'OUT',
      source: addressPort(key.source, key.sourcePort),
      destination: addressPort(key.destination, key.destinationPort),
      translatedSource: has(ConntrackFlag.sourceNat) ? addressPort(value.source, value.sourcePort) : undefined,
      translatedDestination: has(ConntrackFlag.destinationNat) ? addressPort(value.destination, value.destinationPort) : undefined,
      lastSeen: value.lastSeen,
      expires,
      packets: value.packets,
      bytes: value.bytes,
      flags: value.flags,
      flagNames: Object.entries(conntrackFlagNames).flatMap(([bit, name]) => (value.flags & Number(bit) ? [pascalCase(name)] : [])),
      service: value.service,
      backend: value.backend,
    };
  }
}

function pascalCase(name: string): string {
  return name
    .split('_')
    .map((word) => `${word.slice(0, 1)}${word.slice(1).toLowerCase()}`)
    .join('');
}

/** `remaining`: with the time that is left, which needs `now`. */
export function conntrackLine(row: ConntrackRow, now: number, remaining: boolean): string {
  const { protocol, direction, source, destination, expires, packets, bytes, flags, flagNames, service, backend } = row;
  const left = remaining ? ` (remaining: ${expires - now} sec(s))` : '';
  const words = flagNames.length > 0 ? `[ ${flagNames.join(' ')} ] ` : '';
  return `${protocol} ${direction} ${source} -> ${destination} expires=${expires}${left} Packets=${packets} Bytes=${bytes} Flags=0x${flags.toString(16).padStart(4, '0')} ${words}RevNAT=${service} BackendID=${backend}\n`;
}

/** Undefined: nothing is translated. A reply is IN, as it is the answer to what went OUT. */
export function natLine(row: ConntrackRow, now: number): string | undefined {
  const { protocol, source, destination, translatedSource, translatedDestination, flags, lastSeen } = row;
  if (translatedSource === undefined && translatedDestination === undefined) return undefined;
  const changes = [
    translatedSource === undefined ? [] : [`XLATE_SRC ${translatedSource}`],
    translatedDestination === undefined ? [] : [`XLATE_DST ${translatedDestination}`],
  ].flat();
  return `${protocol} ${flags & ConntrackFlag.reply ? 'IN' : 'OUT'} ${source} -> ${destination} ${changes.join(' ')} LastSeen=${Math.max(0, now - lastSeen)}sec ago\n`;
}
