// SPDX-License-Identifier: Apache-2.0
// Who holds the ports of an address towards a destination. Two flows to one destination cannot leave with the same address and port,
// so each pair of address and destination has the NAT range for itself:
//
//   10.244.1.5:40000 ─┐                        ┌─ 192.168.0.11:40000 ─▶ 203.0.113.10:80/TCP
//   10.244.1.6:40000 ─┴─ leave as 192.168.0.11 ┴─ 192.168.0.11:51234 ─▶ 203.0.113.10:80/TCP

import { addressPort, ipFromBytes, writeIp } from '../base/ip.ts';
import type { Ip } from '../base/ip.ts';
import { ConntrackFlag } from '../datapath/schema.gen.ts';
import type { Flow } from '../datapath/schema.gen.ts';
import { entryAt, flowAt, yieldsPort } from './conntrack.ts';
import { protocolNames } from './drop-event.ts';

export type Destination = Pick<Flow, 'destination' | 'destinationPort' | 'protocol'>;

export type PortUse = {
  /** What the flows leave as. */
  readonly address: Ip;
  /** Where they arrive. */
  readonly to: Destination;
  readonly ports: number;
  /** By the address that opened the flows, most first. */
  readonly holders: readonly { readonly source: Ip; readonly ports: number }[];
};

export type PortCount = {
  /** Takes an entry of conntrack into account. */
  add(key: Buffer, value: Buffer): void;
  /** Of addresses that others than their owner leave with. Most ports first. */
  uses(): readonly PortUse[];
};

export type PortCountOptions = {
  /** Of flows to these, be it that they name them or that a service leads there. */
  readonly only?: readonly Destination[];
  /** How many pairs of address and destination are counted at once. Of more, those with few ports are forgotten again and again, so
   * that of the others a few may be missing. */
  readonly pairs?: number;
};

/** `now`: seconds of CLOCK_MONOTONIC. */
export function portCount(now: number, { only, pairs = Infinity }: PortCountOptions = {}): PortCount {
  const wanted = only && new Set(only.map(bytesOf));
  const counts = new Map<string, Map<string, number>>();
  return {
    add(key, value) {
      const flags = value.readUInt32LE(entryAt.flags);
      const opens = (flags & ConntrackFlag.reply) === 0;
      if (!opens || !(flags & ConntrackFlag.sourceNat || isOwn(key, value)) || yieldsPort(key, value, now)) return;
      const protocol = key.toString('latin1', flowAt.protocol, flowAt.protocol + 1);
      const to = `${partOf(value)}${protocol}`;
      if (wanted && !wanted.has(to) && !wanted.has(`${partOf(key)}${protocol}`)) return;
      const pair = `${value.toString('latin1', flowAt.source, flowAt.destination)}${to}`;
      const holder = key.toString('latin1', flowAt.source, flowAt.destination);
      const holders = counts.get(pair) ?? new Map<string, number>();
      holders.set(holder, (holders.get(holder) ?? 0) + 1);
      counts.set(pair, holders);
      if (counts.size > pairs) forgetFew(counts, pairs / 2);
    },
    uses: () =>
      Array.from(counts, ([pair, holders]) => useOf(pair, holders))
        .filter(({ address, holders }) => holders.some(({ source }) => source !== address))
        .sort((a, b) => b.ports - a.ports),
  };
}

/** Leaves at most `size` pairs, those with most ports. */
function forgetFew(counts: Map<string, ReadonlyMap<string, number>>, size: number): void {
  const portsOf = (holders: ReadonlyMap<string, number>) => holders.values().reduce((sum, ports) => sum + ports, 0);
  const sorted = Array.from(counts, ([pair, holders]) => ({ pair, ports: portsOf(holders) })).sort((a, b) => a.ports - b.ports);
  for (const { pair } of sorted.slice(0, Math.ceil(sorted.length - size))) counts.delete(pair);
}

/** The node's own flow, which has its port of the range as the flows of pods have theirs: it stays as it is, and nothing forwards it. */
function isOwn(key: Buffer, value: Buffer): boolean {
  const elsewhere = ConntrackFlag.destinationNat | ConntrackFlag.routed | ConntrackFlag.local;
  return (value.readUInt32LE(entryAt.flags) & elsewhere) === 0 && key.compare(value, 0, flowAt.protocol, 0, flowAt.protocol) === 0;
}

/** Address and port of the destination. */
function partOf(bytes: Buffer): string {
  return `${bytes.toString('latin1', flowAt.destination, flowAt.sourcePort)}${bytes.toString('latin1', flowAt.destinationPort, flowAt.protocol)}`;
}

function bytesOf({ destination, destinationPort, protocol }: Destination): string {
  const bytes = Buffer.alloc(flowAt.protocol + 1);
  writeIp(destination, bytes, flowAt.destination);
  bytes.writeUInt16BE(destinationPort, flowAt.destinationPort);
  return `${partOf(bytes)}${String.fromCharCode(protocol)}`;
}

function useOf(pair: string, holders: ReadonlyMap<string, number>): PortUse {
  const bytes = Buffer.from(pair, 'latin1');
  const sorted = Array.from(holders, ([source, ports]) => ({ source: ipFromBytes(Buffer.from(source, 'latin1')), ports })).sort(
    (a, b) => b.ports - a.ports || (a.source < b.source ? -1 : 1),
  );
  return {
    address: ipFromBytes(bytes),
    to: { destination: ipFromBytes(bytes, 16), destinationPort: bytes.readUInt16BE(32), protocol: bytes.readUInt8(34) },
    ports: sorted.reduce((sum, one) => sum + one.ports, 0),
    holders: sorted,
  };
}

/** '203.0.113.10:80/TCP'; '203.0.113.10/ICMPv4', as a ping has no port. */
export function destinationText({ destination, destinationPort, protocol }: Destination): string {
  return `${destinationPort === 0 ? destination : addressPort(destination, destinationPort)}/${protocolNames[protocol] ?? protocol}`;
}
