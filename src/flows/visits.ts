// SPDX-License-Identifier: Apache-2.0
// Who talks to service addresses: flows of the wire and of pods that live, by frontend and client.
//
//   192.168.0.10:40000 ─┐
//   192.168.0.10:40001 ─┼─▶ 192.168.0.225:80/TCP: 3 flows, 2 of them of 192.168.0.10
//   192.168.0.11:51234 ─┘

import { addressPort, ipFromBytes, writeIp } from '../base/ip.ts';
import type { Ip } from '../base/ip.ts';
import { ConntrackFlag } from '../datapath/schema.gen.ts';
import { entryAt, flowAt } from './conntrack.ts';
import { protocolNames } from './drop-event.ts';

export type Visits = {
  readonly address: Ip;
  /** '192.168.0.225:80/TCP'. */
  readonly frontend: string;
  readonly flows: number;
  /** Of clients, of these flows. */
  readonly packets: number;
  /** Who has most of them. */
  readonly client: { readonly address: Ip; readonly flows: number };
};

export type VisitCount = {
  /** Takes an entry of conntrack into account. */
  add(key: Buffer, value: Buffer): void;
  visits(): readonly Visits[];
};

type Counted = { flows: number; packets: number; readonly clients: Map<string, number> };

/** Of these addresses alone. */
export function visitCount(addresses: Iterable<Ip>): VisitCount {
  const wanted = new Set(Array.from(addresses, bytesOf));
  const counts = new Map<string, Counted>();
  return {
    add(key, value) {
      if (wanted.size === 0 || value.readUInt32LE(entryAt.flags) & ConntrackFlag.reply) return;
      const destination = key.toString('latin1', flowAt.destination, flowAt.sourcePort);
      if (!wanted.has(destination)) return;
      const port = key.toString('latin1', flowAt.destinationPort, flowAt.protocol + 1);
      const counted = counts.get(`${destination}${port}`) ?? { flows: 0, packets: 0, clients: new Map<string, number>() };
      counts.set(`${destination}${port}`, counted);
      const client = key.toString('latin1', flowAt.source, flowAt.destination);
      counted.clients.set(client, (counted.clients.get(client) ?? 0) + 1);
      counted.flows++;
      counted.packets += Number(value.readBigUInt64LE(entryAt.packets));
    },
    visits: () => Array.from(counts, ([frontend, counted]) => visitsOf(Buffer.from(frontend, 'latin1'), counted)),
  };
}

function bytesOf(address: Ip): string {
  const bytes = Buffer.alloc(16);
  writeIp(address, bytes, 0);
  return bytes.toString('latin1');
}

function visitsOf(frontend: Buffer, { flows, packets, clients }: Counted): Visits {
  const address = ipFromBytes(frontend);
  const protocol = frontend.readUInt8(18);
  let most: readonly [client: string, flows: number] = ['', 0];
  for (const one of clients) if (one[1] > most[1]) most = one;
  return {
    address,
    frontend: `${addressPort(address, frontend.readUInt16BE(16))}/${protocolNames[protocol] ?? protocol}`,
    flows,
    packets,
    client: { address: ipFromBytes(Buffer.from(most[0], 'latin1')), flows: most[1] },
  };
}
