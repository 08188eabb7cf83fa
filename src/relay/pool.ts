// SPDX-License-Identifier: Apache-2.0
// The agents that a relay knows, from the peer service of one of them, and how each is: asked for its status every few seconds, which
// keeps its connection as well. When the peer service is gone the peers that are known stay.

import { messageOf } from '../base/errors.ts';
import { grpcClient } from '../grpc/client.ts';
import type { GrpcClient, GrpcClientOptions, ServerAddress } from '../grpc/client.ts';
import { pause } from '../grpc/health.ts';
import type { TlsIdentity } from '../grpc/server.ts';
import { RpcError, Status } from '../grpc/status.ts';
import { NodeState, observer } from '../hubble/observer.ts';
import type { ServerStatus } from '../hubble/observer.ts';
import { notify, PeerChange } from '../hubble/peer.ts';
import type { ChangeNotification } from '../hubble/peer.ts';

export type Peer = {
  readonly name: string;
  readonly address: string;
  readonly serverName: string | undefined;
  readonly client: GrpcClient;
  /** Aborted when it is no peer any more. */
  readonly gone: AbortSignal;
  /** What it said when it was last asked; undefined: nothing yet. */
  readonly status: ServerStatus | undefined;
  /** Why it cannot be asked; undefined: it can, or nobody has tried yet. */
  readonly trouble: string | undefined;
  /** A call to it failed because it was not there: it is in trouble until it answers again. */
  doubt(why: string): void;
};

export type PoolOptions = {
  readonly peerService: ServerAddress;
  /** The name of the peer service in its certificate. */
  readonly peerServerName: string;
  /** Present: agents that have a name in their certificate are asked by TLS. What it returns is for connections to come. */
  readonly tls: (() => TlsIdentity | undefined) | undefined;
  readonly log: (message: string, facts: Readonly<Record<string, unknown>>) => void;
};

export type Pool = {
  /** By name. */
  peers(): readonly Peer[];
  /** Whether the peer service is connected. */
  readonly connected: boolean;
  /** Runs until `signal`. */
  run(signal: AbortSignal): Promise<void>;
};

export const stateOf = ({ trouble }: Peer): NodeState => (trouble === undefined ? NodeState.NODE_CONNECTED : NodeState.NODE_UNAVAILABLE);

const PROBE_MS = 5000;
const PROBE_DEADLINE_MS = 3000;
const KEEPALIVE_MS = 10_000;
const RETRY_MS = 2000;

const byName = (a: Peer, b: Peer): number => (a.name < b.name ? -1 : 1);

type Entry = { -readonly [K in keyof Peer]: Peer[K] } & { readonly end: AbortController };

export function pool(options: PoolOptions): Pool {
  const entries = new Map<string, Entry>();
  let connected = false;
  const remove = (name: string) => {
    const entry = entries.get(name);
    entry?.end.abort();
    entry?.client[Symbol.dispose]();
    entries.delete(name);
  };
  const add = ({ name = '', address = '', tls }: ChangeNotification) => {
    const before = entries.get(name);
    if (before?.address === address && before.serverName === tls?.serverName) return;
    remove(name);
    const entry = entryOf(options, { name, address, serverName: tls?.serverName });
    entries.set(name, entry);
    void watch(entry);
  };
  const read = (change: ChangeNotification) => {
    if (change.type === PeerChange.PEER_DELETED) remove(change.name ?? '');
    else add(change);
  };
  return {
    peers: () => [...entries.values()].toSorted(byName),
    get connected() {
      return connected;
    },
    async run(signal) {
      while (!signal.aborted) {
        try {
          using client = peerClient(options);
          for await (const changes of client.stream(notify, {}, { signal })) {
            changes.forEach(read);
            connected = true;
          }
        } catch (error) {
          if (!signal.aborted) options.log('The peer service is lost', { error: messageOf(error) });
        }
        connected = false;
        await pause(RETRY_MS, signal);
      }
      for (const name of entries.keys()) remove(name);
    },
  };
}

/** On a socket of the file system both sides are the same machine. */
function peerClient(options: PoolOptions): GrpcClient {
  const { peerService: address, peerServerName, tls } = options;
  return grpcClient({ address, keepaliveMs: KEEPALIVE_MS, ...('path' in address || !tls ? {} : secured(options, peerServerName)) });
}

/** Throws RpcError at the first call where one side wants to be sure of the other and the other does not. */
function secured({ tls }: PoolOptions, serverName: string | undefined): Pick<GrpcClientOptions, 'tls'> {
  if (!tls && serverName === undefined) return {};
  const refuse = (why: string) => {
    throw new RpcError(Status.UNAVAILABLE, why);
  };
  return {
    tls: () => {
      if (!tls) return refuse('it wants a certificate, and this relay was told to have none');
      if (serverName === undefined) return refuse('it is not encrypted, and this relay asks only those that are');
      const identity = tls();
      return identity ? { ...identity, serverName } : refuse('this relay has no certificate yet');
    },
  };
}

function entryOf(options: PoolOptions, { name, address, serverName }: Pick<Peer, 'name' | 'address' | 'serverName'>): Entry {
  const end = new AbortController();
  const colon = address.lastIndexOf(':');
  const host = address.slice(0, colon).replace(/^\[(.*)\]$/, '$1');
  const where = { host, port: Number(address.slice(colon + 1)) };
  const client = grpcClient({ address: where, keepaliveMs: KEEPALIVE_MS, ...secured(options, serverName) });
  return { name, address, serverName, client, end, gone: end.signal, status: undefined, trouble: undefined, doubt: () => {} };
}

/** Asks it now and then how it is, until it is no peer any more. */
async function watch(entry: Entry): Promise<void> {
  entry.doubt = (why) => {
    entry.trouble ??= why;
  };
  while (!entry.gone.aborted) {
    try {
      entry.status = await entry.client.call(observer.serverStatus, {}, { deadlineMs: PROBE_DEADLINE_MS, signal: entry.gone });
      entry.trouble = undefined;
    } catch (error) {
      entry.trouble = messageOf(error);
    }
    await pause(entry.trouble === undefined ? PROBE_MS : RETRY_MS, entry.gone);
  }
}
