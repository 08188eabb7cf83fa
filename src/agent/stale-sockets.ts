// SPDX-License-Identifier: Apache-2.0
// Closes UDP sockets whose backend their service has no more. Nothing else would tell them: a datagram to a pod that is gone is lost
// in silence, and a connected socket never asks for another backend.
//
//   sets lost a backend ──▶ sock_reverse: who is connected to one that is none? ──▶ their sockets, namespace by namespace: SOCK_DESTROY
//
// Only sockets that named a service are looked for, so one that was connected to the pod itself stays. The owner sees ECONNABORTED.

import { setImmediate as turn } from 'node:timers/promises';
import { messageOf } from '../base/errors.ts';
import { addressPort } from '../base/ip.ts';
import type { Log } from '../base/log.ts';
import type { Table } from '../base/table.ts';
import { mapKinds } from '../datapath/maps.ts';
import { Protocol } from '../datapath/protocols.ts';
import { sockReverseCodec, sockReverseKeyCodec } from '../datapath/schema.gen.ts';
import type { SockReverse, SockReverseKey } from '../datapath/schema.gen.ts';
import type { EndpointRow } from '../endpoints/endpoint.ts';
import type { BpfMap } from '../kernel/map.ts';
import { isKernelError } from '../kernel/errors.ts';
import { connectedUdpSockets, destroyUdpSocket, openSockDiag } from '../kernel/sock-diag.ts';
import type { NetlinkSocket } from '../kernel/socket.ts';
import { frontendKey } from '../services/frontends.ts';
import type { Backend, BackendSet } from '../services/frontends.ts';
import type { ServiceTables } from '../services/tables.ts';

export type StaleSocketsOptions = {
  readonly services: Pick<ServiceTables, 'frontends' | 'redirects' | 'sets'>;
  readonly endpoints: Table<string, EndpointRow>;
  /** The map sock_reverse. */
  readonly map: BpfMap;
  readonly log: Log;
  readonly signal: AbortSignal;
};

/** Several backends tend to go at once. */
const BATCH_MS = 50;
/** Entries that are looked at before the event loop gets a turn. */
const SLICE = 2000;

/** The returned function is to be called after each commit: it looks at what changed, and closes sockets a little later. */
export function staleSockets(options: StaleSocketsOptions): () => void {
  const { services, log, signal } = options;
  const changes = services.sets.changes();
  let [first, planned, sweeping] = [true, false, false];
  const sweep = async () => {
    [planned, sweeping] = [false, true];
    try {
      const closed = await closeStale(options);
      if (closed > 0) log.info('Closed UDP sockets whose backend is gone', { sockets: closed });
    } catch (error) {
      log.warn('Cannot close UDP sockets whose backend is gone', { error: messageOf(error) });
    }
    sweeping = false;
  };
  const plan = () => {
    if (planned || signal.aborted) return;
    planned = true;
    setTimeout(() => (sweeping ? ((planned = false), plan()) : void sweep()), BATCH_MS).unref();
  };
  return () => {
    if (!services.sets.complete || !services.frontends.complete) return;
    const touched = changes.take();
    const lost = Array.from(touched).some(([key, before]) => before !== undefined && hasLost(before, services.sets.get(key)));
    if (first || lost) plan(); // at first: what was lost while there was no agent
    first = false;
  };
}

function hasLost(before: BackendSet, now: BackendSet | undefined): boolean {
  return before.protocol !== 'TCP' && membersOf(before).some((backend) => !now || !isMember(now, frontendKey(backend)));
}

function membersOf({ backends, draining }: BackendSet): readonly Backend[] {
  return [...backends, ...draining];
}

function isMember(set: BackendSet, key: string): boolean {
  return membersOf(set).some((backend) => frontendKey(backend) === key);
}

/** How many sockets were closed. */
async function closeStale({ services, endpoints, map, signal }: StaleSocketsOptions): Promise<number> {
  const stale = new Map<bigint, string>(); // 'address:port' of the backend, by cookie
  const keys: Buffer[] = [];
  let looked = 0;
  for (const [key, value] of map.entries()) {
    if (++looked % SLICE === 0) await turn();
    if (value[udpAt] !== Protocol.UDP) continue;
    const [socket, service] = [sockReverseKeyCodec.decode(key), sockReverseCodec.decode(value)];
    if (!isStale(socket, service, services)) continue;
    stale.set(socket.cookie, addressPort(socket.address, socket.port));
    keys.push(key);
  }
  if (stale.size === 0) return 0;
  let closed = 0;
  const paths = new Set(Array.from(endpoints.entries(), ([, { netns }]) => netns).filter((path) => path !== ''));
  for (const path of [undefined, ...paths]) {
    if (signal.aborted || stale.size === 0) break;
    closed += closeIn(path, stale);
    await turn();
  }
  for (const key of keys) map.delete(key);
  return closed;
}

/** Byte offset of the protocol in struct sock_reverse. */
const udpAt = 18;

function isStale(
  { address, port }: SockReverseKey,
  service: SockReverse,
  { frontends, redirects, sets }: StaleSocketsOptions['services'],
): boolean {
  const key = mapKinds.lbServices.text({ ...service, protocol: Protocol.UDP });
  const backend = frontendKey({ address, port, protocol: 'UDP' });
  return ![frontends.get(key)?.set, redirects.get(key)?.set].some((name) => {
    const set = name === undefined ? undefined : sets.get(name);
    return set && isMember(set, backend);
  });
}

/** Closes those of one network namespace, and takes them from `stale`. */
function closeIn(netns: string | undefined, stale: Map<bigint, string>): number {
  let closed = 0;
  using diag = openedIn(netns);
  if (!diag) return 0;
  for (const socket of connectedUdpSockets(diag)) {
    if (stale.get(socket.cookie) !== addressPort(socket.peer, socket.peerPort)) continue;
    stale.delete(socket.cookie);
    if (destroyUdpSocket(diag, socket)) closed++;
  }
  return closed;
}

/** Undefined when the pod and its namespace are gone meanwhile. */
function openedIn(netns: string | undefined): NetlinkSocket | undefined {
  try {
    return openSockDiag(netns);
  } catch (error) {
    if (isKernelError(error, 'ENOENT')) return undefined;
    throw error;
  }
}
