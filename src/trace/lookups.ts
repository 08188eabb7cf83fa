// SPDX-License-Identifier: Apache-2.0
// What the programs and the host's stack look up, answered from the tables that their maps and routes are made of.

import { addressPort, cidrContains, cidrOf, cidrText, familyOf, ip } from '../base/ip.ts';
import type { Cidr, Ip } from '../base/ip.ts';
import { mapKinds } from '../datapath/maps.ts';
import type { InterfaceRow } from '../datapath/network.ts';
import { IpcacheFlag, LbAddressFlag, LbServiceFlag, LbSkipKind } from '../datapath/schema.gen.ts';
import type { LbBackend, LbService, LbSkip } from '../datapath/schema.gen.ts';
import type { EndpointRow } from '../endpoints/endpoint.ts';
import type { EndpointTables } from '../endpoints/tables.ts';
import type { IdentitySources } from '../identities/tables.ts';
import type { NodeTables } from '../nodes/tables.ts';
import type { SkipTables } from '../redirects/tables.ts';
import type { ServiceTables } from '../services/tables.ts';
import { protocolNumber } from './packet.ts';
import type { Moving } from './packet.ts';

export type TraceTables = {
  /** Name of this node. */
  readonly self: string;
  readonly endpoints: Pick<EndpointTables, 'endpoints' | 'exemptPods'>;
  readonly services: Pick<
    ServiceTables,
    'services' | 'frontends' | 'redirects' | 'lbServices' | 'lbSlots' | 'lbSourceRanges' | 'lbBackends' | 'lbAddresses'
  >;
  readonly skips: Pick<SkipTables, 'lbSkips'>;
  readonly nodes: Pick<NodeTables, 'nodes' | 'interfaces' | 'routes' | 'ipcache' | 'deviceEntries' | 'attachments'>;
  /** Pods of other nodes by 'namespace/name', for their names. */
  readonly remotePods: IdentitySources['remotePods'];
  readonly masquerade: { readonly ipv4: boolean; readonly ipv6: boolean };
  /** What a service without backends does: refuse, or drop. */
  readonly noBackendReject: boolean;
  /** First port of the NAT range. */
  readonly natPortFirst: number;
  /** Network namespace of the node itself. */
  readonly hostCookie: bigint;
  /** Only the node's own sockets are translated. */
  readonly socketLbHostOnly: boolean;
};

const NONE = ip('::');

export function endpointAt(address: Ip, { endpoints }: TraceTables): EndpointRow | undefined {
  return [...endpoints.endpoints.by('address', address)][0];
}

export function podName({ namespace, pod }: EndpointRow): string {
  return `${namespace}/${pod}`;
}

/** Why the sockets of a pod stay as they are; bpf/sock.bpf.c is_exempt(). */
export function exemption(pod: EndpointRow, { endpoints, socketLbHostOnly }: TraceTables): string | undefined {
  return socketLbHostOnly ? 'socketLB.hostNamespaceOnly' : endpoints.exemptPods.get(podName(pod))?.because;
}

/** Who asks for a service. 'host': this node; 'outside': the wire. */
export type Client = Omit<LbSkip, 'service'> | 'host' | 'outside';

/** As the programs name the client: the socket's network namespace, or the pod's interface. */
export function clientAt(pod: EndpointRow | undefined, by: 'socket' | 'packet'): Client {
  if (!pod) return 'host';
  if (by === 'packet') return { kind: LbSkipKind.interface, cookie: BigInt(pod.interfaceIndex) };
  return { kind: LbSkipKind.netns, cookie: BigInt(pod.netnsCookie === '' ? 0 : pod.netnsCookie) };
}

export type ServiceFound = {
  readonly key: string;
  readonly name: string;
  /** With the backends that are this client's. */
  readonly entry: LbService;
  /** The policy that leads it to pods of this node, or that it skips. */
  readonly redirect: { readonly policy: string; readonly skipped: boolean } | undefined;
};

/** bpf/lib/service.h service_address(): LB_ADDRESS_FLAG_* of the destination; a loopback address is the node's own (bpf/sock.bpf.c). */
export function addressFlags(address: Ip, { services }: TraceTables): number {
  if (isLoopback(address)) return LbAddressFlag.node;
  return services.lbAddresses.get(mapKinds.lbAddresses.text(address))?.value.flags ?? 0;
}

/** bpf/lib/service.h service_find() with service_inside() and service_outside(): as the client has it; `flags`: of the destination. */
export function serviceAt(packet: Moving, flags: number, tables: TraceTables, client: Client): ServiceFound | undefined {
  const { lbServices, frontends, redirects } = tables.services;
  const any = familyOf(packet.destination) === 4 ? ip('0.0.0.0') : ip('::');
  for (const destination of (flags & LbAddressFlag.node) === 0 ? [packet.destination] : [packet.destination, any]) {
    const key = serviceKey({ ...packet, destination });
    const found = lbServices.get(key)?.value;
    if (!found) continue;
    const policy = redirects.get(key)?.policy ?? '';
    const redirect = client === 'outside' || found.redirectBackends === 0 ? undefined : { policy, skipped: skips(client, found, tables) };
    const entry = entryFor(found, client, redirect);
    return entry.id === 0 ? undefined : { key, name: frontends.get(key)?.service ?? policy, entry, redirect };
  }
  return undefined;
}

/** bpf/lib/service.h service_admits(): `found`: as clients on the wire have it. */
export function admits({ id, flags }: LbService, client: Ip, tables: TraceTables): boolean {
  if ((flags & LbServiceFlag.sourceRanges) === 0) return true;
  return isInRange(id, client, tables) === ((flags & LbServiceFlag.sourceRangesDeny) === 0);
}

/** bpf/lib/service.h address_admits(). */
export function addressAdmits(address: Ip, client: Ip, tables: TraceTables): boolean {
  const { flags, guards } = tables.services.lbAddresses.get(mapKinds.lbAddresses.text(address))?.value ?? { flags: 0, guards: [] };
  const admitting = guards.map((id, i) => id !== 0 && isInRange(id, client, tables) === ((flags & (LbAddressFlag.deny << i)) === 0));
  return guards.every((id) => id === 0) || admitting.includes(true);
}

function isInRange(service: number, client: Ip, { services }: TraceTables): boolean {
  const [width, above] = familyOf(client) === 4 ? [32, 96] : [128, 0];
  for (let bits = width; bits >= 0; bits--) {
    const prefixLength = 32 + above + bits;
    if (services.lbSourceRanges.has(mapKinds.lbSourceRanges.text({ service, address: cidrOf(client, bits).ip, prefixLength }))) return true;
  }
  return false;
}

function entryFor(found: LbService, client: Client, redirect: ServiceFound['redirect']): LbService {
  if (client === 'outside') return { ...found, id: found.outside, backends: found.outsideBackends };
  return redirect && !redirect.skipped ? { ...found, id: found.redirect, backends: found.redirectBackends } : found;
}

function skips(client: Exclude<Client, 'outside'>, { redirect }: LbService, { skips: { lbSkips }, hostCookie }: TraceTables): boolean {
  const named = client === 'host' ? { kind: LbSkipKind.netns, cookie: hostCookie } : client;
  return lbSkips.has(mapKinds.lbSkips.text({ ...named, service: redirect }));
}

export function serviceKey(packet: Moving): string {
  return mapKinds.lbServices.text({ address: packet.destination, port: packet.destinationPort, protocol: protocolNumber(packet) });
}

export type BackendFound = { readonly slot: number; readonly id: number; readonly backend: LbBackend };

/** bpf/lib/service.h service_backend(): the slot is `choice` modulo their number, and the next one where that leads nowhere. */
export function backendOf({ id: service, backends }: LbService, choice: number, { services }: TraceTables): BackendFound | undefined {
  if (backends === 0) return undefined;
  for (const attempt of [0, 1]) {
    const slot = (choice + attempt) % backends;
    const id = services.lbSlots.get(mapKinds.lbSlots.text({ service, slot }))?.value.backend;
    const backend = id === undefined ? undefined : services.lbBackends.get(mapKinds.lbBackends.text({ id }))?.value;
    if (id !== undefined && backend) return { slot, id, backend };
  }
  return undefined;
}

/** The longest prefix of the ipcache that holds the address. */
export function prefixOf(address: Ip, { nodes }: TraceTables): { readonly prefix: string; readonly keepsAddress: boolean } | undefined {
  const [width, above] = familyOf(address) === 4 ? [32, 96] : [128, 0];
  for (let bits = width; bits >= 0; bits--) {
    const prefix = cidrOf(address, bits);
    const row = nodes.ipcache.get(mapKinds.ipcache.text({ address: prefix.ip, prefixLength: bits + above }));
    if (row) return { prefix: cidrText(prefix), keepsAddress: (row.value.flags & IpcacheFlag.noMasquerade) !== 0 };
  }
  return undefined;
}

/** What the node sends as on this interface; undefined where it is no uplink, or has no address of the family. */
export function uplinkAddress(link: number, family: 4 | 6, { nodes }: TraceTables): Ip | undefined {
  const device = nodes.deviceEntries.get(mapKinds.devices.text(link))?.value;
  const address = family === 4 ? device?.ipv4 : device?.ipv6;
  return address === NONE ? undefined : address;
}

/** What pods are masqueraded to on this interface, or undefined where they are not; as bpf/pod.bpf.c masquerade_address() without the ipcache. */
export function masqueradeAddress(link: number, family: 4 | 6, tables: TraceTables): Ip | undefined {
  const { masquerade } = tables;
  return (family === 4 ? masquerade.ipv4 : masquerade.ipv6) ? uplinkAddress(link, family, tables) : undefined;
}

export function isUplink(link: number, { nodes }: TraceTables): boolean {
  return nodes.deviceEntries.has(mapKinds.devices.text(link));
}

/** The node whose address or pod's address it is. */
export function nodeOf(address: Ip, { nodes }: TraceTables): string | undefined {
  for (const [name, node] of nodes.nodes.entries())
    if (node.addresses.includes(address) || node.podCidrs.some((range) => cidrContains(range, address))) return name;
  return undefined;
}

export function isOwnAddress(address: Ip, { nodes, self }: TraceTables): boolean {
  if (isLoopback(address) || nodes.nodes.get(self)?.addresses.includes(address)) return true;
  for (const [, row] of nodes.interfaces.entries()) if (row.addresses.some((own) => own.ip === address)) return true;
  return false;
}

/** In this node's podCIDRs, whether a pod has it or not. */
export function isOwnPodAddress(address: Ip, { nodes, self }: TraceTables): boolean {
  return nodes.nodes.get(self)?.podCidrs.some((range) => cidrContains(range, address)) ?? false;
}

export function isLoopback(address: Ip): boolean {
  return familyOf(address) === 4 ? address.startsWith('127.') : address === '::1';
}

function isLinkLocal(address: Ip): boolean {
  return /^fe[89ab][0-9a-f]:/.test(address);
}

export function isMulticast(address: Ip): boolean {
  if (familyOf(address) === 6) return /^ff[0-9a-f]{2}:/.test(address);
  const first = Number(address.split('.')[0]);
  return (first >= 224 && first < 240) || address === '255.255.255.255';
}

/** Where the main routing table leads. `text` says by which route. */
export type RouteFound =
  | { readonly kind: 'own'; readonly text: string }
  | { readonly kind: 'link'; readonly text: string; readonly link: number; readonly name: string; readonly source: Ip | undefined };

type Candidate = { readonly prefix: Cidr; readonly text: string; readonly link: number; readonly source?: Ip | undefined };

/** The longest match among our routes, the prefixes of interfaces and default routes; an address of this node comes before all. */
export function routeTo(address: Ip, tables: TraceTables): RouteFound | undefined {
  if (isOwnAddress(address, tables)) return { kind: 'own', text: `local ${address}` };
  if (isLinkLocal(address)) return undefined; // RFC 4291 section 2.5.6: routers do not forward it
  let best: Candidate | undefined;
  for (const candidate of candidates(address, tables))
    if (cidrContains(candidate.prefix, address) && (best === undefined || candidate.prefix.bits > best.prefix.bits)) best = candidate;
  return best && { kind: 'link', text: best.text, link: best.link, name: linkName(best.link, tables), source: best.source };
}

function* candidates(address: Ip, tables: TraceTables): Iterable<Candidate> {
  for (const [key, route] of tables.nodes.routes.entries()) {
    if (route.kind === 'link')
      yield { prefix: route.destination, text: `${key} dev ${linkName(route.link, tables)}`, link: route.link, source: route.source };
    else {
      const segment = segmentOf(route.gateway, tables); // without one the kernel has refused the route
      if (segment)
        yield {
          prefix: route.destination,
          text: `${key} via ${route.gateway} dev ${segment.name}`,
          link: segment.index,
          source: sourceOn(segment, address),
        };
    }
  }
  for (const [, row] of tables.nodes.interfaces.entries()) {
    if (!row.up) continue;
    const same = row.addresses.filter((own) => familyOf(own.ip) === familyOf(address));
    for (const { ip: own, bits } of same)
      yield { prefix: cidrOf(own, bits), text: `${cidrText(cidrOf(own, bits))} dev ${row.name}`, link: row.index, source: own };
    if (row.defaultRoute && same.length > 0)
      yield { prefix: cidrOf(address, 0), text: `default dev ${row.name}`, link: row.index, source: sourceOn(row, address) };
  }
}

function segmentOf(gateway: Ip, { nodes }: TraceTables): InterfaceRow | undefined {
  for (const [, row] of nodes.interfaces.entries())
    if (row.up && row.addresses.some(({ ip: own, bits }) => cidrContains(cidrOf(own, bits), gateway))) return row;
  return undefined;
}

function sourceOn({ addresses }: InterfaceRow, destination: Ip): Ip | undefined {
  return addresses.find((own) => familyOf(own.ip) === familyOf(destination))?.ip;
}

function linkName(link: number, { nodes, endpoints }: TraceTables): string {
  const name = nodes.interfaces.get(String(link))?.name;
  if (name !== undefined) return name;
  for (const [key, endpoint] of endpoints.endpoints.entries()) if (endpoint.interfaceIndex === link) return key;
  return `interface ${link}`;
}

/** 'address:port'; an address alone where the protocol has no ports. */
export function endText(protocol: Moving['protocol'], address: Ip, port: number | undefined): string {
  return protocol === 'icmp' || port === undefined ? address : addressPort(address, port);
}
