// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectHttp2, createServer as createHttp2Server } from 'node:http2';
import type { OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { test } from 'node:test';
import { randomFrom } from '../base/random.ts';
import { http2 } from './http2.ts';
import type { Segment } from './http2-frames.ts';
import type { HttpMessage } from './http-message.ts';

/** What one side sent at once. */
type Chunk = { readonly isReply: boolean; readonly bytes: Buffer };
type Packet = Segment & { readonly isReply: boolean };

const portOf = async (server: Server): Promise<number> => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port; // as: it listens at a port
};

/** What Node's HTTP/2 says on a connection in which these are asked one after another; each is answered by 203 and 100 bytes. */
async function conversation(asked: readonly OutgoingHttpHeaders[], answer: OutgoingHttpHeaders = {}): Promise<readonly Chunk[]> {
  const chunks: Chunk[] = [];
  const server = createHttp2Server();
  server.on('stream', (stream: ServerHttp2Stream) => {
    stream.resume();
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.respond({ ':status': 203, 'content-type': 'application/grpc', ...answer }, { waitForTrailers: true });
    stream.end('x'.repeat(100));
  });
  const sockets: Socket[] = [];
  const serverPort = await portOf(server as unknown as Server); // as: it is one of node:net, too
  const between = createServer((client) => {
    const upstream = connect(serverPort, '127.0.0.1');
    sockets.push(client, upstream);
    client.on('data', (bytes: Buffer) => (chunks.push({ isReply: false, bytes }), upstream.write(bytes)));
    upstream.on('data', (bytes: Buffer) => (chunks.push({ isReply: true, bytes }), client.write(bytes)));
  });
  const session = connectHttp2(`http://127.0.0.1:${await portOf(between)}`);
  for (const headers of asked) {
    const stream = session.request(headers, { endStream: false });
    stream.end('y'.repeat(40));
    stream.resume();
    await once(stream, 'close');
  }
  session.destroy();
  for (const socket of sockets) socket.destroy();
  server.close();
  between.close();
  return chunks;
}

const KEPT = 512;
const FIRST = 0xffff_ff00; // positions run over

/** As the kernel tells of it: packets of at most `most` bytes that begin like a frame, of each what is kept. */
function packetsOf(chunks: readonly Chunk[], most: () => number): readonly Packet[] {
  const at = { false: FIRST, true: FIRST };
  return chunks.flatMap(({ isReply, bytes }) => {
    const packets: Packet[] = [];
    for (let from = 0; from < bytes.length;) {
      const whole = bytes.subarray(from, from + most());
      from += whole.length;
      const sequence = at[`${isReply}`] >>> 0;
      at[`${isReply}`] += whole.length;
      if (isTold(whole)) packets.push({ isReply, bytes: whole.subarray(0, KEPT), length: whole.length, sequence });
    }
    return packets;
  });
}

function isTold(packet: Buffer): boolean {
  if (packet.length < 8) return false;
  if (packet.subarray(0, 8).equals(Buffer.from('PRI * HT'))) return true;
  const end = packet.readUIntBE(0, 3) + 18;
  const [type = 0, stream = 0] = [packet[3], packet[5]];
  return type <= 9 && stream < 0x80 && (type !== 0 || (end <= packet.length && end <= KEPT));
}

const line = (message: HttpMessage): string =>
  message.kind === 'response' ? `${message.code}` : `${message.method} ${message.authority ?? '?'} ${message.target || '?'}`;

/** '3 GET web /a' of each request, '3 203' of each answer. */
function told(packets: readonly Packet[]): readonly string[] {
  const connections = http2();
  return packets.flatMap(({ isReply, ...segment }) =>
    (connections.messages('a b', isReply, segment) ?? ['malformed']).map((one) =>
      typeof one === 'string' ? one : `${one.stream} ${line(one.message)}`,
    ),
  );
}

const rpc = { ':method': 'POST', ':path': '/shop.Cart/Add', ':authority': 'cart.shop:50051', 'content-type': 'application/grpc' };

test('calls of gRPC are told with their method and status, also when what was said before is only referred to', async () => {
  const chunks = await conversation([rpc, rpc, { ...rpc, ':path': '/shop.Cart/List' }, rpc]);
  const wanted = ['Add', 'Add', 'List', 'Add'].flatMap((name, i) => [
    `${2 * i + 1} POST cart.shop:50051 /shop.Cart/${name}`,
    `${2 * i + 1} 203`,
  ]);
  assert.deepEqual(told(packetsOf(chunks, () => 1448)), wanted);
  const connections = http2();
  const [first] = packetsOf(chunks, () => 1448).flatMap(({ isReply, ...one }) => connections.messages('a b', isReply, one) ?? []);
  assert.deepEqual(first?.message.headers, [{ key: 'content-type', value: 'application/grpc' }]);
});

test('a packet that is sent again is told once', async () => {
  const packets = packetsOf(await conversation([rpc, rpc]), () => 1448);
  assert.deepEqual(told(packets.flatMap((packet) => [packet, packet])), told(packets));
});

test('of a connection that began before anybody looked, what refers to it is not known, and what is spelt out is', async () => {
  const packets = packetsOf(await conversation([rpc, rpc, { ...rpc, ':path': '/shop.Cart/List' }]), () => 1448);
  const second = packets.findIndex((packet) => told([packet]).some((one) => one.startsWith('3 POST')));
  assert.deepEqual(told(packets.slice(second).filter(({ isReply }) => !isReply)), ['3 POST ? /shop.Cart/Add', '5 POST ? /shop.Cart/List']);
});

const hosts = ['a', 'b.example:80', 'long'.repeat(30), 'cart.shop', 'cart.shop:50051'] as const;

test('whatever is cut, lost or sent again, a name is the right one or unknown', async () => {
  const { below, pick } = randomFrom(11);
  const seen = { right: 0, unknown: 0, wrongWhenLiedTo: 0 };
  for (let round = 0; round < 4; round++) {
    const asked = Array.from({ length: 12 }, () => ({ ...rpc, ':authority': pick(hosts), 'x-filler': 'z'.repeat(below(300)) }));
    const chunks = await conversation(asked, { server: `s${below(3)}` });
    for (let variant = 0; variant < 20; variant++) {
      const all = packetsOf(chunks, () => 20 + below(1428));
      const some = all.filter(() => below(4) > 0).flatMap((packet) => (below(5) === 0 ? [packet, packet] : [packet]));
      const wrong = (packets: readonly Packet[], count: boolean): number =>
        told(packets).filter((one) => {
          const [, stream, host] = /^(\d+) POST (\S+)/.exec(one) ?? [];
          if (host === undefined) return false;
          const right = asked[(Number(stream) - 1) / 2]?.[':authority'];
          if (count) seen[host === right ? 'right' : 'unknown'] += 1;
          return host !== right && host !== '?';
        }).length;
      assert.equal(wrong(some, true), 0);
      seen.wrongWhenLiedTo += wrong(joined(some), false);
    }
  }
  assert.ok(seen.right > 100 && seen.unknown > 100, JSON.stringify(seen));
  assert.ok(seen.wrongWhenLiedTo > 0, 'The same without gaps in the positions finds nothing wrong, so this test proves nothing');
});

/** The same packets, whose positions hide that some are missing. */
function joined(packets: readonly Packet[]): readonly Packet[] {
  const at = { false: FIRST, true: FIRST };
  return packets.map((packet) => {
    const sequence = at[`${packet.isReply}`] >>> 0;
    at[`${packet.isReply}`] += packet.length;
    return { ...packet, sequence };
  });
}

test('anything at all ends, throws nothing and is remembered for so many connections only', () => {
  const { below, bytes } = randomFrom(5);
  const connections = http2();
  for (let i = 0; i < 5000; i++) {
    const content = bytes(below(512));
    if (below(2) === 0 && content.length > 9) {
      content.writeUIntBE(below(600), 0, 3);
      content[3] = 1;
      content.writeUInt32BE(below(100), 5);
    }
    const sequence = below(2) === 0 ? below(2000) : below(2 ** 32);
    connections.messages(`${below(3000)} b`, below(2) === 0, { bytes: content, length: content.length + below(3) * 700, sequence });
  }
});

test('a block of nothing but references costs no more than its length', () => {
  const big = Buffer.concat([Buffer.from([0x40, 1, 0x61, 0x7f, 0x80, 2]), Buffer.alloc(383, 0x62)]); // 'a' with a value of 383 bytes
  const frame = (block: Buffer, sequence: number): Segment => {
    const header = Buffer.from([0, 0, 0, 1, 4, 0, 0, 0, 1]);
    header.writeUIntBE(block.length, 0, 3);
    const bytes = Buffer.concat([header, block]);
    return { bytes, length: bytes.length, sequence };
  };
  const connections = http2();
  connections.messages('a b', false, frame(big, 0));
  const before = process.memoryUsage().heapUsed;
  for (let i = 0; i < 1000; i++) connections.messages('a b', false, frame(Buffer.alloc(500, 0xbe), big.length + 9 + i * 509));
  assert.ok(process.memoryUsage().heapUsed - before < 64 << 20);
});
