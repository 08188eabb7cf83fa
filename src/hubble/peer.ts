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
