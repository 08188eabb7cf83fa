// SPDX-License-Identifier: Apache-2.0
// BPF maps as Targets: a table of desired entries on one side, a map on the other. Every map that the agent writes is named here
// once, with the text of its keys.

import { addressPort } from '../base/ip.ts';
import type { Ip } from '../base/ip.ts';
import { EntryErrors } from '../base/ledger.ts';
import type { Entries } from '../base/ledger.ts';
import type { Target } from '../base/reconcile.ts';
import type { Codec } from '../kernel/codec.ts';
import { ipCodec, u32Codec } from '../kernel/codec.ts';
import { KernelError } from '../kernel/errors.ts';
import type { BpfMap } from '../kernel/map.ts';
import { protocolText } from './protocols.ts';
import {
  deviceCodec,
  endpointCodec,
  ipcacheEntryCodec,
  ipcacheKeyCodec,
  l2AnswerCodec,
  l2KeyCodec,
  lbAddressCodec,
  lbBackendCodec,
  lbBackendKeyCodec,
  lbFrontendCodec,
  lbMaglevCodec,
  lbMaglevKeyCodec,
  lbMaglevPartCodec,
  lbMaglevPartKeyCodec,
  lbMemberCodec,
  lbMemberValueCodec,
  lbServiceCodec,
  lbSkipCodec,
  lbSlotCodec,
  lbSkipKindNames,
  lbSlotValueCodec,
  lbSourceRangeCodec,
  lbSourceRangeValueCodec,
  netnsCodec,
} from './schema.gen.ts';

/** A row of a desired-entries table; mapEntry() gives it its key in the table. */
export type MapEntry<K, V> = { readonly key: K; readonly value: V };

export type MapKind<K, V> = { readonly name: string; readonly key: Codec<K>; readonly value: Codec<V>; readonly text: (key: K) => string };

export const mapKinds = {
  endpoints: { name: 'endpoints', key: ipCodec, value: endpointCodec, text: (address: Ip) => address },
  devices: { name: 'devices', key: u32Codec, value: deviceCodec, text: (index: number) => String(index) },
  ipcache: {
    name: 'ipcache',
    key: ipcacheKeyCodec,
    value: ipcacheEntryCodec,
    text: ({ address, prefixLength }: { address: Ip; prefixLength: number }) => `${address}/${prefixLength}`,
  },
  lbServices: {
    name: 'lb_services',
    key: lbFrontendCodec,
    value: lbServiceCodec,
    text: ({ address, port, protocol }: { address: Ip; port: number; protocol: number }) =>
      `${addressPort(address, port)}/${protocolText(protocol)}`,
  },
  lbSlots: {
    name: 'lb_slots',
    key: lbSlotCodec,
    value: lbSlotValueCodec,
    text: ({ service, slot }: { service: number; slot: number }) => `${service}/${slot}`,
  },
  lbBackends: { name: 'lb_backends', key: lbBackendKeyCodec, value: lbBackendCodec, text: ({ id }: { id: number }) => String(id) },
  lbMembers: {
    name: 'lb_members',
    key: lbMemberCodec,
    value: lbMemberValueCodec,
    text: ({ service, backend }: { service: number; backend: number }) => `${service}/${backend}`,
  },
  lbSourceRanges: {
    name: 'lb_source_ranges',
    key: lbSourceRangeCodec,
    value: lbSourceRangeValueCodec,
    text: ({ service, address, prefixLength }: { service: number; address: Ip; prefixLength: number }) =>
      `${service} ${address}/${prefixLength - 32}`,
  },
  lbSkips: {
    name: 'lb_skips',
    key: lbSkipCodec,
    value: u32Codec,
    text: ({ cookie, kind, service }: { cookie: bigint; kind: number; service: number }) => `${lbSkipKindNames[kind]}/${cookie}/${service}`,
  },
  lbMaglevParts: {
    name: 'lb_maglev_parts',
    key: lbMaglevPartKeyCodec,
    value: lbMaglevPartCodec,
    text: ({ service, generation, part }: { service: number; generation: number; part: number }) => `${service}/${generation}/${part}`,
  },
  lbMaglev: {
    name: 'lb_maglev',
    key: lbMaglevKeyCodec,
    value: lbMaglevCodec,
    text: ({ service }: { service: number }) => String(service),
  },
  lbAddresses: { name: 'lb_addresses', key: ipCodec, value: lbAddressCodec, text: (address: Ip) => address },
  l2Answers: {
    name: 'l2_answers',
    key: l2KeyCodec,
    value: l2AnswerCodec,
    text: ({ address, interfaceIndex }: { address: Ip; interfaceIndex: number }) => `${address}%${interfaceIndex}`,
  },
  sockExempt: { name: 'sock_exempt', key: netnsCodec, value: u32Codec, text: ({ cookie }: { cookie: bigint }) => String(cookie) },
} as const;

/** The row that makes a map entry, with its key in the table. */
export function mapEntry<K, V>(kind: MapKind<K, V>, key: K, value: V): readonly [string, MapEntry<K, V>] {
  return [kind.text(key), { key, value }];
}

export function mapTarget<K, V>(kind: MapKind<K, V>, map: BpfMap): Target<string, MapEntry<K, V>> {
  return {
    name: kind.name,
    *list() {
      for (const [key, value] of map.entries()) yield mapEntry(kind, kind.key.decode(key), kind.value.decode(value));
    },
    put(entries) {
      const keys = keysOf(kind, entries);
      const values = Buffer.alloc(entries.length * kind.value.size);
      for (const [i, [, entry]] of entries.entries()) kind.value.encodeInto(entry.value, values, i * kind.value.size);
      writeEach(entries, (from, count) =>
        map.updateBatch(keys.subarray(from * kind.key.size), values.subarray(from * kind.value.size), count),
      );
    },
    remove(entries) {
      const keys = keysOf(kind, entries);
      writeEach(entries, (from, count) => map.deleteBatch(keys.subarray(from * kind.key.size), count));
    },
  };
}

/**
 * A batch ends with the entry that fails, and another begins behind it: a full map still takes other values for the keys that it has. Throws
 * EntryErrors.
 */
function writeEach(entries: Entries<string, unknown>, write: (from: number, count: number) => void): void {
  const failures = new Map<string, unknown>();
  for (let from = 0; from < entries.length;) {
    try {
      write(from, entries.length - from);
      break;
    } catch (error) {
      if (!(error instanceof KernelError) || error.done === undefined) throw error;
      const failed = entries[from + error.done];
      if (failed) failures.set(failed[0], error);
      from += error.done + 1;
    }
  }
  if (failures.size > 0) throw new EntryErrors(failures);
}

function keysOf<K, V>(kind: MapKind<K, V>, entries: Entries<string, MapEntry<K, V>>): Buffer {
  const keys = Buffer.alloc(entries.length * kind.key.size);
  for (const [i, [, entry]] of entries.entries()) kind.key.encodeInto(entry.key, keys, i * kind.key.size);
  return keys;
}
