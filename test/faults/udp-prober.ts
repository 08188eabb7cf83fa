// SPDX-License-Identifier: Apache-2.0
// A datagram every few milliseconds to a server that sends it back, from one socket. Prints 'ready' with the first answer and, when
// its input ends, one line of JSON: an array of [sent, answered], both in milliseconds since 1970; those that got lost have no second number.
//
//   node udp-prober.ts ADDRESS PORT INTERVAL-MS

import { createSocket } from 'node:dgram';
import { setTimeout as delay } from 'node:timers/promises';

const [address = '', port = '', interval = '1'] = process.argv.slice(2);
const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
const probes: [sent: number, answered?: number][] = [];
const now = () => performance.timeOrigin + performance.now();
let isReady = false;

socket.on('message', (message) => {
  const probe = probes[message.readUInt32BE()];
  if (probe) probe[1] ??= now();
  if (!isReady) process.stdout.write('ready\n');
  isReady = true;
});
socket.on('error', () => undefined); // ICMP says that one was not delivered: it has no answer, which is what counts
socket.connect(Number(port), address, () => {
  const message = Buffer.alloc(64);
  const timer = setInterval(() => {
    message.writeUInt32BE(probes.length);
    probes.push([now()]);
    socket.send(message, () => undefined); // what cannot be sent is lost
  }, Number(interval));
  const end = async () => {
    clearInterval(timer);
    await delay(200); // for the last answers
    process.stdout.write(`${JSON.stringify(probes)}\n`, () => process.exit());
  };
  process.stdin.on('end', () => void end()).resume();
});
