// SPDX-License-Identifier: Apache-2.0
// Sockets of a network namespace, by inet_diag: list connected UDP sockets, end one (include/uapi/linux/inet_diag.h, net/ipv4/udp_diag.c).
//
//   inet_diag_req_v2   | family | protocol | ext | pad | states u32 | sockid |
//   inet_diag_msg      | family | state | timer | retrans | sockid | … |
//   sockid             | sport be16 | dport be16 | src 16 | dst 16 | interface u32 | cookie u64 |

import { ipFromWire } from '../base/ip.ts';
import type { Ip } from '../base/ip.ts';
import { isKernelError } from './errors.ts';
import { AddressFamily } from './netlink.ts';
import { NetlinkFlag, NetlinkSocket } from './socket.ts';

const NETLINK_SOCK_DIAG = 4;
const Message = { byFamily: 20, destroy: 21 } as const;
const UDP = 17;
const ESTABLISHED = 1 << 1; // TCP_ESTABLISHED: what a connected UDP socket is, too
const idAt = { request: 8, message: 4 } as const;
const idBytes = 48;
const requestBytes = idAt.request + idBytes;
/** Within a sockid. */
const place = { peerPort: 2, peer: 20, cookie: 40 } as const;

export type UdpSocket = {
  /** What bpf_get_socket_cookie() says of it. */
  readonly cookie: bigint;
  readonly peer: Ip;
  readonly peerPort: number;
  /** AF_INET or AF_INET6, which may have an IPv4 peer. */
  readonly family: number;
  /** The kernel's sockid. */
  readonly id: Buffer;
};

/** A socket for the functions below; `netns`: path of the namespace, our own unless said otherwise. */
export function openSockDiag(netns?: string): NetlinkSocket {
  return NetlinkSocket.open({ protocol: NETLINK_SOCK_DIAG, ...(netns !== undefined && { netns }) });
}

/** Connected UDP sockets of both families. Throws KernelError (ENOENT: the kernel has no udp_diag). */
export function connectedUdpSockets(socket: NetlinkSocket): readonly UdpSocket[] {
  return [AddressFamily.ipv4, AddressFamily.ipv6].flatMap((family) =>
    socket
      .request({
        type: Message.byFamily,
        flags: NetlinkFlag.dump,
        body: requestOf(family, Buffer.alloc(idBytes)),
        what: 'SOCK_DIAG_BY_FAMILY of UDP sockets',
      })
      .map(({ body }) => socketOf(body)),
  );
}

/** Ends a socket: whoever waits on it gets ECONNABORTED. False when it is gone. Throws KernelError (EOPNOTSUPP: CONFIG_INET_DIAG_DESTROY is off). */
export function destroyUdpSocket(socket: NetlinkSocket, { family, id, peer, peerPort }: UdpSocket): boolean {
  try {
    socket.request({
      type: Message.destroy,
      body: requestOf(family, id),
      what: `SOCK_DESTROY of a UDP socket to ${peer} port ${peerPort}`,
    });
    return true;
  } catch (error) {
    if (isKernelError(error, 'ENOENT')) return false;
    throw error;
  }
}

function requestOf(family: number, id: Buffer): Buffer {
  const body = Buffer.alloc(requestBytes);
  body.writeUInt8(family, 0);
  body.writeUInt8(UDP, 1);
  body.writeUInt32LE(ESTABLISHED, 4);
  id.copy(body, idAt.request);
  return body;
}

function socketOf(body: Buffer): UdpSocket {
  const family = body.readUInt8(0);
  const id = body.subarray(idAt.message, idAt.message + idBytes);
  const peer = id.subarray(place.peer, place.peer + (family === AddressFamily.ipv4 ? 4 : 16));
  return { family, id, peer: ipFromWire(peer), peerPort: id.readUInt16BE(place.peerPort), cookie: id.readBigUInt64LE(place.cookie) };
}
