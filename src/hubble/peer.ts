// SPDX-License-Identifier: Apache-2.0
// `peer.Peer`, by which an agent tells a relay which other agents there are.

import { choice, nested, string } from '../grpc/fields.ts';
import { message } from '../grpc/message.ts';
import type { Method } from '../grpc/method.ts';

export const PeerChange = { UNKNOWN: 0, PEER_ADDED: 1, PEER_DELETED: 2, PEER_UPDATED: 3 } as const;
export type PeerChange = (typeof PeerChange)[keyof typeof PeerChange];

export type ChangeNotification = {
  /** 'node' in the cluster `default`, otherwise 'cluster/node'. */
  readonly name?: string | undefined;
  /** 'ip:port'. */
  readonly address?: string | undefined;
  readonly type?: PeerChange | undefined;
  /** Absent: it is not encrypted. */
  readonly tls?: { readonly serverName?: string | undefined } | undefined;
};

const notification = message<ChangeNotification>('peer.ChangeNotification', {
  name: string(1),
  address: string(2),
  type: choice(3, { name: 'peer.ChangeNotificationType', values: PeerChange }),
  tls: nested(4, message<{ readonly serverName?: string | undefined }>('peer.TLS', { serverName: string(1) })),
});

type NotifyRequest = Readonly<Record<string, never>>;

/** All peers that there are, then what changes. */
export const notify: Method<NotifyRequest, ChangeNotification> = {
  service: 'peer.Peer',
  name: 'Notify',
  request: message<NotifyRequest>('peer.NotifyRequest', {}),
  response: notification,
  streams: true,
};

/** An agent as others reach it. */
export type PeerRow = {
  readonly name: string;
  readonly address: string;
  /** The name in its certificate; undefined: it is not encrypted. */
  readonly serverName: string | undefined;
};

/** What has to be told to someone who knows `before`. */
export function peerChanges(before: readonly PeerRow[], after: readonly PeerRow[]): readonly ChangeNotification[] {
  const [old, now] = [new Map(before.map((row) => [row.name, row])), new Map(after.map((row) => [row.name, row]))];
  const told = ({ name, address, serverName }: PeerRow, type: PeerChange): ChangeNotification => ({
    name,
    address,
    type,
    tls: serverName === undefined ? undefined : { serverName },
  });
  return [
    ...before.filter(({ name }) => !now.has(name)).map((row) => told(row, PeerChange.PEER_DELETED)),
    ...after.flatMap((row) => {
      const was = old.get(row.name);
      if (!was) return [told(row, PeerChange.PEER_ADDED)];
      return was.address === row.address && was.serverName === row.serverName ? [] : [told(row, PeerChange.PEER_UPDATED)];
    }),
  ];
}

/** Part of a name in a certificate: dots would make it another. */
const part = (name: string): string => name.replaceAll('.', '-');

/** Under which name the agent of `node` shows a certificate; without a node the peer service. */
export const serverNameOf = (cluster: string, node = 'hubble-peer'): string => `${part(node)}.${part(cluster)}.hubble-grpc.cilium.io`;

/** 'node' in the cluster `default`, otherwise 'cluster/node'. */
export const peerName = (cluster: string, node: string): string => (cluster === 'default' ? node : `${cluster}/${node}`);
