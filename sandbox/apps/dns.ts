// SPDX-License-Identifier: Apache-2.0
// The cluster's DNS server: names of services from the API, over UDP and TCP on port 53; GET /ready on port 8181.
import { createSocket } from 'node:dgram';
import { createServer as createHttpServer } from 'node:http';
import { createServer as createTcpServer } from 'node:net';
import { decode, encode, AUTHORITATIVE_ANSWER, TRUNCATED_RESPONSE } from 'dns-packet';
import type { Packet } from 'dns-packet';
import { startMirror } from './api-mirror.ts';
import { answerTo } from './dns-zone.ts';
import type { DnsService, DnsSlice } from './dns-zone.ts';

const services = startMirror<DnsService>('/api/v1/services');
const slices = startMirror<DnsSlice>('/apis/discovery.k8s.io/v1/endpointslices');

const LARGEST_DATAGRAM = 1_232; // bytes; what fits everywhere without fragments
const NAME_ERROR = 3;

function replyTo(query: Buffer, largest: number): Buffer | undefined {
  let packet: Packet;
  try {
    packet = decode(query);
  } catch {
    return undefined; // not DNS
  }
  const question = packet.questions?.[0];
  if (packet.type !== 'query' || question === undefined) return undefined;
  const answers = answerTo(question.name.toLowerCase(), question.type, { services: services.objects(), slices: slices.objects() });
  const flags = AUTHORITATIVE_ANSWER | (answers === undefined ? NAME_ERROR : 0);
  const reply: Packet = { type: 'response', id: packet.id ?? 0, flags, questions: [question], answers: [...(answers ?? [])] };
  const bytes = encode(reply);
  return bytes.length <= largest ? bytes : encode({ ...reply, flags: flags | TRUNCATED_RESPONSE, answers: [] });
}

const udp = createSocket('udp6');
udp.on('message', (query, peer) => {
  const reply = replyTo(query, LARGEST_DATAGRAM);
  if (reply) udp.send(reply, peer.port, peer.address, () => undefined); // who asked may have gone
});
udp.bind(53);

createTcpServer((socket) => {
  let pending = Buffer.alloc(0);
  socket.setTimeout(10_000, () => socket.destroy()).on('error', () => socket.destroy());
  socket.on('data', (chunk: Buffer) => {
    pending = Buffer.concat([pending, chunk]);
    for (let length = lengthOf(pending); length !== undefined; length = lengthOf(pending)) {
      const reply = replyTo(pending.subarray(2, 2 + length), 0xffff);
      pending = pending.subarray(2 + length);
      if (reply) socket.write(Buffer.concat([Buffer.of(reply.length >> 8, reply.length & 0xff), reply]));
    }
  });
}).listen(53);

/** Of the first whole message over TCP, in bytes. */
function lengthOf(pending: Buffer): number | undefined {
  if (pending.length < 2) return undefined;
  const length = pending.readUInt16BE(0);
  return pending.length < 2 + length ? undefined : length;
}

createHttpServer((_request, response) => {
  response.writeHead(services.isComplete() && slices.isComplete() ? 200 : 503).end();
}).listen(8181);
process.on('SIGTERM', () => process.exit(0));
