// SPDX-License-Identifier: Apache-2.0
// A DNS server of one node: what it is asked it asks the cluster's DNS (UPSTREAM) and gives back, over UDP and TCP on port 53. It answers
// TXT of whoami.local-dns itself, with its name. GET /ready on port 8181 until somebody has asked for /unready, and again after /restore.
import { createSocket } from 'node:dgram';
import { createServer as createHttpServer } from 'node:http';
import { connect, createServer as createTcpServer } from 'node:net';
import { AUTHORITATIVE_ANSWER, decode, encode } from 'dns-packet';
import type { Packet } from 'dns-packet';

const upstream = process.env['UPSTREAM'] ?? '';
const name = process.env['POD_NAME'] ?? '';
const ANSWER_MS = 2_000;
const WHOAMI = 'whoami.local-dns';

function ownAnswer(query: Buffer): Buffer | undefined {
  let packet: Packet;
  try {
    packet = decode(query);
  } catch {
    return undefined; // not DNS: what is behind us may say so
  }
  const [question] = packet.questions ?? [];
  if (question?.type !== 'TXT' || question.name.toLowerCase() !== WHOAMI) return undefined;
  const answers = [{ name: WHOAMI, type: 'TXT', ttl: 0, data: name }] as const;
  return encode({ type: 'response', id: packet.id ?? 0, flags: AUTHORITATIVE_ANSWER, questions: [question], answers: [...answers] });
}

const server = createSocket('udp6');
server.on('message', (query, client) => {
  const answer = ownAnswer(query);
  const reply = (bytes: Buffer) => server.send(bytes, client.port, client.address, () => undefined); // who asked may have gone
  if (answer) return reply(answer);
  const asking = createSocket('udp4');
  const end = setTimeout(() => asking.close(), ANSWER_MS);
  asking.on('error', () => undefined); // refused: then there is no answer
  asking.on('message', (bytes) => {
    clearTimeout(end);
    asking.close();
    reply(bytes);
  });
  asking.send(query, 53, upstream);
});
server.bind(53);

createTcpServer((client) => {
  const behind = connect({ host: upstream, port: 53 });
  for (const socket of [client, behind]) socket.setTimeout(ANSWER_MS * 5, () => socket.destroy()).on('error', () => socket.destroy());
  client.pipe(behind).pipe(client);
}).listen(53);

let ready = true;
createHttpServer(({ url }, response) => {
  if (url === '/unready' || url === '/restore') ready = url === '/restore';
  response.writeHead(ready || url !== '/ready' ? 200 : 503).end();
}).listen(8181);
process.on('SIGTERM', () => process.exit(0));
