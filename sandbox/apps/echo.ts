// SPDX-License-Identifier: Apache-2.0
// A server that says what it saw: who connected, how much arrived. HTTP and UDP on one port, IPv4 and IPv6.
//   GET /            { pod, peer, port }    POST /            { ..., bytes, sha256 } of the body
//   GET /bytes/N     N bytes of a pattern   UDP               the datagram back
//   GET /log/WORD    as GET /, and a line in the log with the word and who connected
// HOSTS (separated by commas) and PORT say where; without HOSTS it listens on every address. It goes LINGER_SECONDS after it is told to.
import { createHash } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';

const port = Number(process.env['PORT'] ?? 8080);
const hosts = (process.env['HOSTS'] ?? '::').split(',');
const pod = process.env['POD_NAME'] ?? '';

const plain = (address: string | undefined): string => (address ?? '').replace(/^::ffff:/, '');

function answer(request: IncomingMessage, response: ServerResponse): void {
  const wanted = /^\/bytes\/(\d+)$/.exec(request.url ?? '')?.[1];
  if (wanted !== undefined) {
    response.end(Buffer.alloc(Number(wanted), 'stentor '));
    return;
  }
  const hash = createHash('sha256');
  let bytes = 0;
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    hash.update(chunk);
  });
  request.on('end', () => {
    const { remoteAddress, remotePort } = request.socket;
    const word = /^\/log\/(\w+)$/.exec(request.url ?? '')?.[1];
    if (word !== undefined) console.log(`${word}: a request of ${plain(remoteAddress)}`);
    response.end(`${JSON.stringify({ pod, peer: plain(remoteAddress), port: remotePort, bytes, sha256: hash.digest('hex') })}\n`);
  });
}

for (const host of hosts) {
  createServer(answer).listen({ host, port });
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  socket.on('message', (message, peer) => {
    const text = message.toString('latin1') === 'who' ? `${pod} ${plain(peer.address)}` : message;
    socket.send(text, peer.port, peer.address, () => undefined); // a peer that has gone is no concern of ours
  });
  socket.bind(port, host);
}
process.on('SIGTERM', () => setTimeout(() => process.exit(0), Number(process.env['LINGER_SECONDS'] ?? 0) * 1_000));
