// SPDX-License-Identifier: Apache-2.0
// Watches a segment for who answers for addresses: asks by ARP for each every few milliseconds, and listens. Prints a line of JSON for each
// event of test/faults/sniffing.ts. A question has its number in its padding, which our data plane sends back; an answer without one
// counts for the latest question. Silence begins with a question that nobody answers, and time in which this process did not run is none.
//
//   node sniffer-prober.ts INTERFACE-INDEX OWN-MAC OWN-IP INTERVAL-MS ADDRESS...

import { ip, ipFromWire, ipToWire, macToBytes, parseMac } from '../../src/base/ip.ts';
import { PacketSocket } from '../../src/kernel/packet.ts';
import type { Sniffed } from './sniffing.ts';

const [index = '', ownMac = '', ownIp = '', interval = '5', ...addresses] = process.argv.slice(2);
const mac = parseMac(ownMac);
if (mac === undefined) throw new RangeError(`Cannot read '${ownMac}' as a MAC`);
const own = macToBytes(mac);
const ETHERNET = 14;
const PADDING = ETHERNET + 28;
const TOLD_MS = 100;
/** Later than that, this process was not there to hear. */
const LATE_MS = 30;

type Watched = {
  readonly target: Buffer;
  asked: number;
  /** When it was asked for first since the last answer; later by the time in which this process did not run. */
  silentFrom: number | undefined;
  mac: string;
  /** Link addresses that have answered the latest questions, by their number. */
  readonly answers: Map<number, Set<string>>;
};

const now = () => performance.timeOrigin + performance.now();
const say = (event: Sniffed) => void process.stdout.write(`${JSON.stringify(event)}\n`);
const watched = new Map(
  addresses.map((address): [string, Watched] => [
    address,
    { target: ipToWire(ip(address)), asked: 0, silentFrom: undefined, mac: '', answers: new Map() },
  ]),
);

function question({ target, asked }: Watched): Buffer {
  const padding = Buffer.alloc(18);
  padding.writeUInt32BE(asked);
  const head = Buffer.concat([Buffer.alloc(6, 0xff), own, Buffer.from([8, 6, 0, 1, 8, 0, 6, 4, 0, 1])]);
  return Buffer.concat([head, own, ipToWire(ip(ownIp)), Buffer.alloc(6), target, padding]);
}

function answer(address: string, one: Watched, frame: Buffer): void {
  const from = frame.toString('hex', ETHERNET + 8, ETHERNET + 14);
  const at = now();
  const gap = at - (one.silentFrom ?? at);
  if (gap > TOLD_MS && one.mac !== '') say({ kind: 'gap', ip: address, at, ms: gap });
  one.silentFrom = undefined;
  const number = frame.length >= PADDING + 4 ? frame.readUInt32BE(PADDING) : 0;
  const macs = one.answers.get(number === 0 ? one.asked : number);
  if (macs) {
    const isSecond = macs.size > 0 && !macs.has(from);
    macs.add(from);
    if (isSecond) say({ kind: 'double', ip: address, at, macs: [...macs] });
  }
  if (one.mac !== from) say({ kind: 'owner', ip: address, at, mac: from });
  one.mac = from;
}

const socket = new PacketSocket(Number(index), 0x0806);
socket.onReadable(() => {
  for (const frame of socket.frames()) {
    const sender = ipFromWire(frame.subarray(ETHERNET + 14, ETHERNET + 18));
    const one = watched.get(sender);
    if (one === undefined) continue;
    const isAnswer = frame.readUInt16BE(ETHERNET + 6) === 2 && frame.subarray(ETHERNET + 18, ETHERNET + 24).equals(own);
    if (isAnswer) answer(sender, one, frame);
    else say({ kind: 'announced', ip: sender, at: now(), mac: frame.toString('hex', ETHERNET + 8, ETHERNET + 14) });
  }
});
let ticked = now();
setInterval(() => {
  const at = now();
  const late = at - ticked - Number(interval);
  ticked = at;
  for (const one of watched.values()) {
    if (late > LATE_MS && one.silentFrom !== undefined) one.silentFrom = Math.min(at, one.silentFrom + late);
    one.silentFrom ??= at;
    one.asked++;
    one.answers.set(one.asked, new Set());
    one.answers.delete(one.asked - 100);
    socket.send(question(one));
  }
}, Number(interval));
process.stdin
  .on('end', () => {
    for (const [address, { silentFrom }] of watched) say({ kind: 'gap', ip: address, at: now(), ms: now() - (silentFrom ?? now()) });
    process.exit(0);
  })
  .resume();
