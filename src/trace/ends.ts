// SPDX-License-Identifier: Apache-2.0
// From the words of a question to a packet: addresses, or the names that people know them by.
//
//   10.244.1.5   [fd00::5]:80   host   outside   node2   shop/cart:80   shop/cart:http

import { familyOf, ip, parseIp } from '../base/ip.ts';
import type { Family, Ip } from '../base/ip.ts';
import { isOwnAddress } from './lookups.ts';
import type { TraceTables } from './lookups.ts';
import { Protocol } from './packet.ts';
import type { Packet } from './packet.ts';

export type Question = { readonly protocol: string; readonly source: string; readonly destination: string; readonly raw: boolean };

/** What one word may mean: addresses, at most one for each family. */
type Meant = { readonly addresses: readonly Ip[]; readonly host: boolean; readonly port: number | undefined };

const FAMILIES = [4, 6] as const;
/** Of the range that the kernel gives to clients. */
const CLIENT_PORT = 40_000;
/** RFC 5737 and RFC 3849: nobody has them. */
const OUTSIDE: readonly Ip[] = [ip('198.51.100.1'), ip('2001:db8::1')];

/** The packet that is meant, or what cannot be understood. */
export function packetFor({ protocol: word, source: from, destination: to, raw }: Question, tables: TraceTables): Packet | string {
  const protocol = Object.values(Protocol).find((known) => known === word.toLowerCase());
  if (!protocol) return `Cannot trace '${word}', wanted tcp, udp or icmp`;
  const source = meantBy(from, { tables, protocol, wanted: 'pod' });
  const destination = meantBy(to, { tables, protocol, wanted: 'service' });
  if (typeof source === 'string') return source;
  if (typeof destination === 'string') return destination;
  if (protocol !== 'icmp' && destination.port === undefined) return `Cannot trace ${protocol} to '${to}' without a port, wanted ${to}:PORT`;
  if (protocol === 'icmp' && (source.port ?? destination.port) !== undefined)
    return `Cannot trace icmp with a port, wanted an address or a name alone`;
  const pair = pairOf(source, destination);
  if (!pair) return `Cannot trace from '${from}' to '${to}': they have no address of the same family`;
  const ports =
    protocol === 'icmp'
      ? { sourcePort: 0, destinationPort: 0 }
      : { sourcePort: source.port ?? CLIENT_PORT, destinationPort: destination.port ?? 0 };
  return { protocol, ...pair, ...ports, raw };
}

function pairOf(source: Meant, destination: Meant): Pick<Packet, 'source' | 'destination'> | undefined {
  for (const family of FAMILIES) {
    const [from, to] = [source, destination].map(({ addresses }) => ofFamily(addresses, family));
    if (from !== undefined && to !== undefined) return { source: source.host ? 'host' : from, destination: to };
  }
  return undefined;
}

function ofFamily(addresses: readonly Ip[], family: Family): Ip | undefined {
  return addresses.find((address) => familyOf(address) === family);
}

type Context = {
  readonly tables: TraceTables;
  readonly protocol: Protocol;
  /** What a name is first. */ readonly wanted: 'pod' | 'service';
};

function meantBy(text: string, context: Context): Meant | string {
  const address = parseIp(text);
  if (address !== undefined) return { addresses: [address], host: false, port: undefined };
  const [name, portWord] = splitEnd(text);
  const addresses = named(name, context);
  if (addresses === undefined)
    return `Cannot find '${text}', wanted an address, host, outside, the name of a node, or namespace/name of ${context.wanted === 'pod' ? 'a pod of this node: ask for pods of other nodes there' : 'a service or of a pod'}`;
  const port = portWord === undefined ? undefined : portOf(portWord, name, context);
  if (portWord !== undefined && port === undefined)
    return `Cannot use the port '${portWord}' of '${text}', wanted 1 to 65535${name.includes('/') ? ` or a ${context.protocol} port of the service` : ''}`;
  return { addresses, host: name === 'host' && context.wanted === 'pod', port };
}

/** 'name:port' and '[address]:port'. */
function splitEnd(text: string): readonly [name: string, port: string | undefined] {
  const bracketed = /^\[(.*)\](?::(.+))?$/.exec(text);
  if (bracketed) return [bracketed[1] ?? '', bracketed[2]];
  const colon = text.indexOf(':');
  return colon < 0 ? [text, undefined] : [text.slice(0, colon), text.slice(colon + 1)];
}

function portOf(word: string, name: string, { tables, protocol }: Context): number | undefined {
  if (/^\d{1,5}$/.test(word)) return Number(word) > 0 && Number(word) < 65_536 ? Number(word) : undefined;
  return tables.services.services.get(name)?.ports.find((port) => port.name === word && port.protocol.toLowerCase() === protocol)?.port;
}

function named(name: string, { tables, wanted }: Context): readonly Ip[] | undefined {
  const address = parseIp(name);
  if (address !== undefined) return [address];
  const { services, nodes, remotePods, self } = tables;
  if (name === 'outside') return OUTSIDE;
  if (name === 'host') return ownAddresses(tables);
  const node = nodes.nodes.get(name)?.addresses;
  if (node) return name === self ? ownAddresses(tables) : node;
  const service = services.services.get(name)?.clusterIps;
  const pod = podNamed(name, tables);
  return wanted === 'pod' ? pod : (service ?? pod ?? remotePods.get(name)?.addresses);
}

function ownAddresses(tables: TraceTables): readonly Ip[] {
  return tables.nodes.nodes.get(tables.self)?.addresses.filter((address) => isOwnAddress(address, tables)) ?? [];
}

/** A pod of this node by its name, or the first one of a workload by the workload's. */
function podNamed(name: string, { endpoints }: TraceTables): readonly Ip[] | undefined {
  const [exact] = [...endpoints.endpoints.by('pod', name)];
  if (exact) return exact.addresses;
  const own = Array.from(endpoints.endpoints.entries(), ([, row]) => row).filter((row) =>
    `${row.namespace}/${row.pod}`.startsWith(`${name}-`),
  );
  return own.toSorted((a, b) => (a.pod < b.pod ? -1 : 1))[0]?.addresses;
}
