// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import type { Socket } from 'node:dgram';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { connectedUdpSockets, destroyUdpSocket, openSockDiag } from './sock-diag.ts';
import { netnsMissing, temporaryNetns } from './testdata/harness.ts';

async function connectedTo(address: string, type: 'udp4' | 'udp6'): Promise<Socket & AsyncDisposable> {
  const server = createSocket({ type, ipv6Only: false });
  server.bind(0, type === 'udp4' ? '127.0.0.1' : '::');
  await once(server, 'listening');
  const socket = createSocket({ type, ipv6Only: false });
  socket.connect(server.address().port, address);
  await once(socket, 'connect');
  socket.on('close', () => server.close());
  return socket;
}

const targets = [
  ['IPv4', '127.0.0.1', 'udp4', '127.0.0.1'],
  ['IPv6', '::1', 'udp6', '::1'],
  ['IPv4 by an IPv6 socket', '::ffff:127.0.0.1', 'udp6', '127.0.0.1'],
] as const;

describe('UDP sockets', { skip: netnsMissing }, () => {
  for (const [name, address, type, peer] of targets) {
    it(`of ${name} are found by their peer and ended, which their owner hears`, async () => {
      await using one = await connectedTo(address, type);
      await using other = await connectedTo(address, type);
      const portOf = (socket: Socket) => socket.remoteAddress().port;
      using diag = openSockDiag();
      const found = connectedUdpSockets(diag).filter(({ peerPort }) => peerPort === portOf(one));
      assert.deepEqual(
        found.map((socket) => socket.peer),
        [peer],
      );
      assert.ok((found[0]?.cookie ?? 0n) > 0n);
      const heard = once(one, 'error').catch((error: unknown) => [error]);
      for (const socket of found) assert.equal(destroyUdpSocket(diag, socket), true);
      const [error] = await heard;
      assert.equal(error.code, 'ECONNABORTED');
      for (const socket of found) assert.equal(destroyUdpSocket(diag, socket), false);
      assert.equal(connectedUdpSockets(diag).filter(({ peerPort }) => peerPort === portOf(other)).length, 1, 'the other one lives');
    });
  }

  it('of another network namespace are not seen', async () => {
    using netns = temporaryNetns();
    await using socket = await connectedTo('127.0.0.1', 'udp4');
    using diag = openSockDiag(netns.path);
    assert.deepEqual(connectedUdpSockets(diag), []);
    socket.unref();
  });
});
