// SPDX-License-Identifier: Apache-2.0
// What CNI calls do: ADD, DEL and GC write and delete rows of `endpoints`, then wait until the kernel has what follows from them; CHECK
// and STATUS look.

import { createHash, randomBytes } from 'node:crypto';
import { statfsSync } from 'node:fs';
import { assign } from '../base/assign.ts';
import type { Engine } from '../base/commit.ts';
import { messageOf } from '../base/errors.ts';
import { cidr, cidrText, familyOf, macFromBytes } from '../base/ip.ts';
import type { Cidr, Ip, Mac } from '../base/ip.ts';
import type { Reconciler } from '../base/reconcile.ts';
import type { Writer } from '../base/table.ts';
import { ANYWHERE, GATEWAY, GATEWAY_MAC, interfaceIndexOf, podLinkFault } from '../datapath/pod-links.ts';
import type { DiskTrouble } from './disk.ts';
import { FIRST_ENDPOINT_ID, LAST_ENDPOINT_ID, usableMtu } from '../endpoints/endpoint.ts';
import type { EndpointRow } from '../endpoints/endpoint.ts';
import type { AddRequest, AttachmentName, CheckRequest, CniCall, DelRequest, GcRequest } from '../endpoints/cni-protocol.ts';
import { CniCode, failed } from '../endpoints/cni-reply.ts';
import type { CniReply } from '../endpoints/cni-reply.ts';
import { addressFor } from '../ipam/addresses.ts';
import { netnsInode } from '../kernel/netns.ts';
import { NetlinkSocket } from '../kernel/socket.ts';

export type CniOptions = {
  readonly endpoints: Writer<string, EndpointRow>;
  readonly engine: Engine;
  /** The reconcilers that an endpoint needs, each with the keys that it has there. */
  readonly needs: readonly { readonly reconciler: Reconciler; readonly keysOf: (endpoint: EndpointRow) => readonly string[] }[];
  /** While the interface of an endpoint is on its way out: settles when it is gone. */
  readonly leaving: (hostInterface: string) => Promise<void> | undefined;
  /** The podCIDRs to use, or why there are none. */
  readonly ranges: () => readonly Cidr[] | string;
  readonly mtu: () => number;
  /** Why no pod can be served, or undefined. */
  readonly unready: () => string | undefined;
  /** Why endpoints' files cannot be written now. */
  readonly disk: () => Promise<DiskTrouble | undefined>;
};

/** f_type of namespaces in statfs(2): linux/magic.h. */
const NSFS = 0x6e736673;

export function cniHandler(options: CniOptions): (request: CniCall) => Promise<CniReply> {
  const cursor = new Map<string, Ip>(); // last address handed out, by range
  return async (request) => {
    const refusal = await refusalByDisk(request, options);
    if (refusal) return refusal;
    switch (request.kind) {
      case 'add':
        return add(request, options, cursor);
      case 'del':
        return remove(request, options);
      case 'check':
        return check(request, options);
      case 'status':
        return status(options);
      case 'gc':
        return collect(request, options);
    }
  };
}

/** Files are written on the main thread: a disk that hangs is asked before (disk.ts), so that a call waits and not the agent. */
async function refusalByDisk(request: CniCall, { disk }: CniOptions): Promise<CniReply | undefined> {
  if (request.kind !== 'add' && request.kind !== 'del' && request.kind !== 'gc') return undefined;
  const trouble = await disk();
  if (trouble === undefined || (request.kind !== 'add' && trouble.kind !== 'hangs')) return undefined; // removing needs no room
  const what =
    request.kind === 'add'
      ? `add pod ${request.namespace}/${request.pod}`
      : request.kind === 'del'
        ? `delete container ${request.containerId}`
        : 'collect garbage';
  return failed(CniCode.tryAgainLater, `Cannot ${what}: ${trouble.message}`);
}

async function add(request: AddRequest, options: CniOptions, cursor: Map<string, Ip>): Promise<CniReply> {
  const { endpoints, engine } = options;
  const key = hostInterfaceOf(request);
  const entered = podNetns(request.netns);
  if (typeof entered === 'string')
    return failed(
      CniCode.invalidEnvironment,
      `Cannot use CNI_NETNS=${request.netns}: ${entered}, wanted the path of a pod's network namespace`,
    );
  const present = endpoints.table.get(key);
  const endpoint = present?.netns === request.netns ? present : newEndpoint({ ...request, ...entered }, options, cursor);
  if ('kind' in endpoint) return endpoint;
  endpoints.put(key, endpoint);
  await engine.settled();
  const trouble = troubleOf(endpoint, options);
  if (trouble === undefined) return { kind: 'added', attachment: attachmentOf(endpoint) };
  if (endpoint !== present) await end([key], options); // one that was there before may have a pod that works: its end is a DEL
  return failed(CniCode.tryAgainLater, `Cannot connect pod ${request.namespace}/${request.pod}: ${trouble}`);
}

async function remove(request: DelRequest, options: CniOptions): Promise<CniReply> {
  const key = hostInterfaceOf(request);
  if (options.endpoints.table.has(key)) await end([key], options);
  return { kind: 'done' };
}

/** Ends endpoints, and waits until their interfaces are gone and after them all else. */
async function end(keys: readonly string[], { endpoints, engine, leaving }: CniOptions): Promise<void> {
  for (const key of keys) endpoints.delete(key);
  await engine.settled();
  for (const key of keys) await leaving(key);
  await engine.settled();
}

/** CNI specification 1.1.0, CHECK: an error unless the interface is as ADD left it. */
function check(request: CheckRequest, options: CniOptions): CniReply {
  const { containerId, ifName, netns } = request;
  const endpoint = options.endpoints.table.get(hostInterfaceOf(request));
  if (!endpoint)
    return failed(CniCode.unknownContainer, `Cannot check ${ifName} of container ${containerId}: it was never added, or is deleted`);
  const wrong =
    troubleOf(endpoint, options) ??
    differenceOf(endpoint, request) ??
    podLinkFault(endpoint.interfaceIndex, { ...endpoint, name: ifName, netns });
  return wrong === undefined
    ? { kind: 'done' }
    : failed(CniCode.notAsAdded, `Cannot vouch for ${ifName} of pod ${endpoint.namespace}/${endpoint.pod}: ${wrong}`);
}

function differenceOf({ addresses }: EndpointRow, request: CheckRequest): string | undefined {
  const [has, named] = [addresses, request.addresses].map((list) => list.toSorted().join(', '));
  return has === named ? undefined : `it has the addresses ${has || 'none'}, prevResult names ${named || 'none'}`;
}

function status({ unready }: CniOptions): CniReply {
  const reason = unready();
  return reason === undefined ? { kind: 'done' } : failed(CniCode.notAvailable, `Cannot serve ADD: ${reason}`);
}

/** CNI specification 1.1.0, GC: whatever the runtime does not name is deleted. It does not ask while an ADD is under way. */
async function collect({ valid }: GcRequest, options: CniOptions): Promise<CniReply> {
  const named = new Set(valid.map(hostInterfaceOf));
  const keys = Array.from(options.endpoints.table.entries(), ([key]) => key);
  await end(
    keys.filter((key) => !named.has(key)),
    options,
  );
  return { kind: 'done' };
}

function newEndpoint(
  request: AddRequest & Entered,
  { endpoints, ranges, mtu }: CniOptions,
  cursor: Map<string, Ip>,
): EndpointRow | CniReply {
  const usable = ranges();
  if (typeof usable === 'string') return failed(CniCode.tryAgainLater, usable);
  const rows = Array.from(endpoints.table.entries(), ([, row]) => row);
  const used = new Map(rows.flatMap((row) => row.addresses.map((address) => [address, row.hostInterface] as const)));
  const hostInterface = hostInterfaceOf(request);
  const addresses: Ip[] = [];
  for (const range of usable) {
    const found = addressFor(hostInterface, range, used, cursor.get(cidrText(range)));
    if (typeof found !== 'string') return failed(CniCode.noAddressLeft, found.message);
    addresses.push(found);
  }
  for (const [i, range] of usable.entries()) cursor.set(cidrText(range), addresses[i] ?? range.ip);
  const id = freeId(rows);
  if (id === undefined)
    return failed(CniCode.noAddressLeft, `Cannot number another endpoint: all of ${FIRST_ENDPOINT_ID} to ${LAST_ENDPOINT_ID} are in use`);
  const { containerId, ifName, netns, cookie, namespace, pod, uid } = request;
  return {
    hostInterface,
    id,
    interfaceIndex: interfaceIndexOf(id),
    containerId,
    interfaceName: ifName,
    netns,
    netnsCookie: cookie,
    namespace,
    pod,
    uid: uid ?? '',
    addresses,
    mac: randomMac(),
    mtu: usableMtu(mtu(), addresses),
  };
}

function freeId(rows: readonly EndpointRow[]): number | undefined {
  const ids = new Map(rows.map((row) => [row.hostInterface, row.id]));
  return assign((key) => ids.get(key), [...ids.keys(), ''], numbersAfter(Math.max(0, ...ids.values()))).get('');
}

function* numbersAfter(start: number): Iterable<number> {
  for (let id = start + 1; id <= LAST_ENDPOINT_ID; id++) yield id;
  for (let id = FIRST_ENDPOINT_ID; id <= start; id++) yield id;
}

/** A pod's network namespace. */
type Entered = { readonly cookie: string };

/** What keeps `path` from being a pod's network namespace. It is opened only if it is a namespace: anything else may block whoever does. */
function podNetns(path: string): Entered | string {
  try {
    if (statfsSync(path).type !== NSFS) return 'it is no namespace';
    return netnsInode(path) === netnsInode('/proc/self/ns/net') ? "it is the node's own" : { cookie: netnsCookie(path) };
  } catch (error) {
    return messageOf(error);
  }
}

/** In decimal. */
export function netnsCookie(netns: string): string {
  using socket = NetlinkSocket.open({ netns });
  return String(socket.netnsCookie);
}

/** Why the endpoint does not work yet, or undefined when it does. */
function troubleOf(endpoint: EndpointRow, { needs }: CniOptions): string | undefined {
  for (const { reconciler, keysOf } of needs) {
    for (const key of keysOf(endpoint)) {
      const trouble = reconciler.trouble(key);
      if (trouble !== undefined) return trouble;
    }
  }
  return undefined;
}

/** `lxc` and 12 hex digits, as people look for it in `ip link`. */
function hostInterfaceOf({ containerId, ifName }: AttachmentName): string {
  return `lxc${createHash('sha256').update(`${containerId}:${ifName}`).digest('hex').slice(0, 12)}`;
}

/** Locally administered, unicast. */
function randomMac(): Mac {
  const bytes = randomBytes(6);
  bytes[0] = ((bytes[0] ?? 0) & 0xfc) | 0x02;
  return macFromBytes(bytes);
}

function attachmentOf({
  hostInterface,
  interfaceName,
  netns,
  mac,
  mtu,
  addresses,
}: EndpointRow): Extract<CniReply, { kind: 'added' }>['attachment'] {
  return {
    interfaces: [
      { name: hostInterface, mac: GATEWAY_MAC },
      { name: interfaceName, mac, mtu, sandbox: netns },
    ],
    ips: addresses.map((address) => ({ address: cidr(address), gateway: GATEWAY[familyOf(address)], interface: 1 })),
    routes: addresses.map((address) => ({ destination: ANYWHERE[familyOf(address)], gateway: GATEWAY[familyOf(address)] })),
  };
}
