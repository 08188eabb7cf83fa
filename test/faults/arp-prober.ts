// SPDX-License-Identifier: Apache-2.0
// Asks by ARP who has an address, every few milliseconds, from the network namespace in which it is started, and prints one JSON
// line for each answer: when it came, in milliseconds of the monotonic clock, and whose link address it names. Ends with its input.
//
//   node arp-prober.ts INTERFACE-INDEX OWN-MAC OWN-IP ADDRESS INTERVAL-MS

import { ip, ipToWire, macToBytes, parseMac } from '../../src/base/ip.ts';
import { PacketSocket } from '../../src/kernel/packet.ts';

const [index = '', ownMac = '', ownIp = '', address = '', interval = '2'] = process.argv.slice(2);
const mac = parseMac(ownMac);
if (mac === undefined) throw new RangeError(`Cannot read '${ownMac}' as a MAC`);
const own = macToBytes(mac);
const target = ipToWire(ip(address));
const question = Buffer.concat([
  Buffer.alloc(6, 0xff),
  own,
  Buffer.from([8, 6, 0, 1, 8, 0, 6, 4, 0, 1]),
  own,
  ipToWire(ip(ownIp)),
  Buffer.alloc(6),
  target,
  Buffer.alloc(18),
]);
const socket = new PacketSocket(Number(index), 0x0806);
socket.onReadable(() => {
  for (const frame of socket.frames()) {
    const isAnswer = frame.readUInt16BE(20) === 2 && frame.subarray(28, 32).equals(target) && frame.subarray(32, 38).equals(own);
    if (isAnswer) process.stdout.write(`{"at":${performance.timeOrigin + performance.now()},"mac":"${frame.toString('hex', 22, 28)}"}\n`);
  }
});
setInterval(() => socket.send(question), Number(interval));
process.stdin.on('end', () => process.exit(0)).resume();
