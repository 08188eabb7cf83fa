// SPDX-License-Identifier: Apache-2.0
import { namespaceMissing } from './own-namespace.ts';
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { ip } from '../../src/base/ip.ts';
import { mapEntry, mapKinds, mapTarget } from '../../src/datapath/maps.ts';
import {
  l2AskedCodec,
  l2BeatCodec,
  l2BeatKeyCodec,
  l2ClaimCodec,
  l2ClaimKeyCodec,
  l2KeyCodec,
  l2LeaseCodec,
} from '../../src/datapath/schema.gen.ts';
import { native } from '../../src/kernel/addon.ts';
import { at, families } from './cluster.ts';
import { knownMac } from './eth0.ts';
import { link, loadNode, mac, packetFrom } from './loaded.ts';
import type { LoadedNode } from './loaded.ts';
import { arpFrame, BROADCAST, neighbourMessage, NOBODY } from './neighbours.ts';
import type { Arp } from './neighbours.ts';
import { ethernet, frame } from './packet.ts';
import { fromWire } from './traffic.ts';

const VIP = { 4: '192.168.0.220', 6: 'fd00:0:0:1::220' } as const;
const OTHER = { 4: '192.168.0.221', 6: 'fd00:0:0:1::221' } as const;
const BRIDGE = '02:00:00:00:01:99';
const STRANGER = '02:00:00:00:01:98';
const SOLICITED = '33:33:ff:00:02:20';
const PEER = 0x1234_5678_9abc;

const now = () => Number(native().monotonicNs());
const SECOND = 1_000_000_000;

const asked: Arp = { operation: 1, senderMac: mac.router, sender: at[4].router, targetMac: NOBODY, target: VIP[4] };
const answered: Arp = { operation: 2, senderMac: mac.uplink, sender: VIP[4], targetMac: mac.router, target: at[4].router };

function solicitation(source: string, target: string, option = true) {
  const ends = { from: mac.router, to: SOLICITED, source, destination: 'ff02::1:ff00:220' };
  return neighbourMessage(ends, 135, target, option ? { option: { type: 1, mac: mac.router } } : {});
}

/** The heartbeat of `node`, as announce.h has it. */
function beat(change: { readonly to?: string; readonly hold?: number; readonly node?: number; readonly kind?: number } = {}): Buffer {
  const { to = mac.uplink, hold = 0, node = PEER, kind = 1 } = change;
  const body = Buffer.alloc(46);
  body.write('Stnt', 0, 'latin1');
  body.writeUInt8(1, 4);
  body.writeUInt8(kind, 5);
  body.writeUInt16BE(hold, 6);
  body.writeBigUInt64LE(BigInt(node), 8);
  body.writeUInt32BE(7, 16);
  return Buffer.concat([ethernet(mac.router, to, 0x88b5), body]);
}

describe('addresses that a node answers for', { skip: namespaceMissing }, () => {
  let node: LoadedNode;
  const lease = (until: number) => node.datapath.map('l2_lease').update(Buffer.alloc(4), l2LeaseCodec.encode({ until, node: 1 }));
  const ask = (frameBytes: Buffer, ifindex: number = link.uplink) => node.run('host_from', frameBytes, { ifindex });
  const answers = () =>
    Array.from(node.datapath.map('l2_asked').entries(), ([key, value]) => [
      l2KeyCodec.decode(key).address,
      l2AskedCodec.decode(value).answers,
    ]);
  const claims = () =>
    Array.from(node.datapath.map('l2_claims').entries(), ([key, value]) => {
      const { address, mac: by } = l2ClaimKeyCodec.decode(key);
      return `${address} ${by} ${l2ClaimCodec.decode(value).count}`;
    });
  before(async () => {
    node = await loadNode();
    const row = { epoch: 3, mac: knownMac(mac.uplink) };
    const rows = families.map((family) => mapEntry(mapKinds.l2Answers, { address: ip(VIP[family]), interfaceIndex: link.uplink }, row));
    mapTarget(mapKinds.l2Answers, node.datapath.map('l2_answers')).put(rows);
  });
  beforeEach(() => lease(now() + 60 * SECOND));
  afterEach(() => {
    assert.deepEqual(node.conntrack(), []);
    for (const map of ['l2_asked', 'l2_claims', 'l2_beats'].map((name) => node.datapath.map(name)))
      for (const [key] of Array.from(map.entries())) map.delete(key);
  });
  after(() => node[Symbol.dispose]());

  for (const { name, from = mac.router, to = BROADCAST, change = {}, answer = answered } of [
    { name: 'by everybody' },
    { name: 'by one who looks whether it is still here', to: mac.uplink },
    { name: 'by one behind an access point that puts its own link address before', from: BRIDGE },
    { name: 'by one who looks whether it is free', change: { sender: '0.0.0.0' }, answer: { ...answered, target: '0.0.0.0' } },
  ])
    it(`are answered when asked for by ARP ${name}`, () => {
      const outcome = ask(arpFrame(from, to, { ...asked, ...change }));
      assert.deepEqual([outcome.verdict, outcome.frame], ['redirect', arpFrame(mac.uplink, mac.router, answer)]);
      assert.deepEqual(answers(), [[VIP[4], 1]]);
    });

  for (const { name, source, option = true, to = mac.router, destination = source, flags = 0x60 } of [
    { name: 'with its link address', source: 'fe80::1:1' },
    { name: 'without it', source: 'fe80::1:1', option: false },
    {
      name: 'by one who looks whether it is free',
      source: '::',
      option: false,
      to: '33:33:00:00:00:01',
      destination: 'ff02::1',
      flags: 0x20,
    },
  ])
    it(`are answered when solicited ${name}: an advertisement that overrides`, () => {
      const outcome = ask(frame(solicitation(source, VIP[6], option)));
      const ends = { from: mac.uplink, to, source: VIP[6], destination };
      assert.equal(outcome.verdict, 'redirect');
      assert.deepEqual(packetFrom(outcome), neighbourMessage(ends, 136, VIP[6], { flags, option: { type: 2, mac: mac.uplink } }));
      assert.deepEqual(answers(), [[VIP[6], 1]]);
    });

  it('are answered no more when the lease is over', () => {
    lease(now() - 1);
    for (const bytes of [arpFrame(mac.router, BROADCAST, asked), frame(solicitation('fe80::1:1', VIP[6]))])
      assert.deepEqual([ask(bytes).verdict, answers()], ['stack', []]);
  });

  it('are not answered on another interface, and others not at all', () => {
    const frames = [arpFrame(mac.router, BROADCAST, asked), frame(solicitation('fe80::1:1', VIP[6]))];
    for (const bytes of frames) assert.equal(ask(bytes, link.stranger).verdict, 'stack');
    assert.equal(ask(arpFrame(mac.router, BROADCAST, { ...asked, target: OTHER[4] })).verdict, 'stack');
    assert.equal(ask(frame(solicitation('fe80::1:1', OTHER[6]))).verdict, 'stack');
    assert.deepEqual(answers(), []);
  });

  it('are not answered to frames for another node, nor to what a router let through', () => {
    assert.equal(ask(arpFrame(mac.router, BRIDGE, asked)).verdict, 'stack');
    assert.equal(ask(frame({ ...solicitation('fe80::1:1', VIP[6]), to: BRIDGE })).verdict, 'stack');
    assert.equal(ask(frame({ ...solicitation('fe80::1:1', VIP[6]), ttl: 254 })).verdict, 'stack');
  });

  it('are not answered to ARP of other hardware or length', () => {
    for (const [offset, value] of [
      [1, 6],
      [3, 1],
      [4, 8],
      [5, 16],
      [7, 3],
    ] as const) {
      const bytes = arpFrame(mac.router, BROADCAST, asked);
      bytes.writeUInt8(value, 14 + offset);
      assert.equal(ask(bytes).verdict, 'stack');
    }
  });

  it('remember who else says that they are his, by ARP and by advertisement, and not this node itself', () => {
    const announce = (by: string) =>
      arpFrame(by, BROADCAST, { operation: 1, senderMac: by, sender: VIP[4], targetMac: NOBODY, target: VIP[4] });
    const advertise = (by: string) =>
      neighbourMessage({ from: by, to: '33:33:00:00:00:01', source: VIP[6], destination: 'ff02::1' }, 136, VIP[6], {
        flags: 0x20,
        option: { type: 2, mac: by },
      });
    for (const by of [mac.uplink, STRANGER, STRANGER]) assert.equal(ask(announce(by)).verdict, 'stack');
    for (const by of [mac.uplink, BRIDGE]) assert.equal(ask(frame(advertise(by))).verdict, 'stack');
    assert.deepEqual(claims().toSorted(), [`${VIP[4]} ${STRANGER} 2`, `${VIP[6]} ${BRIDGE} 1`]);
    assert.deepEqual(answers(), []);
  });

  it('leave the rest of neighbour discovery and of multicast to the stack', () => {
    const routers = fromWire(
      { source: 'fe80::1:1', destination: 'ff02::1' },
      { kind: 'icmp', type: 134, code: 0, rest: 0, data: Buffer.alloc(8) },
    );
    assert.equal(ask(frame({ ...routers, to: '33:33:00:00:00:01', ttl: 255 })).verdict, 'stack');
    const short = frame(solicitation('fe80::1:1', VIP[6], false));
    assert.equal(ask(short.subarray(0, 74)).verdict, 'stack');
  });
});

describe('heartbeats', { skip: namespaceMissing }, () => {
  let node: LoadedNode;
  const key = l2BeatKeyCodec.encode({ node: PEER, interfaceIndex: 7 });
  const seen = () => l2BeatCodec.decode(node.datapath.map('l2_beats').lookup(key) ?? assert.fail('no entry')).seen;
  const hear = (bytes: Buffer) => node.run('host_from', bytes, { ifindex: link.uplink }).verdict;
  before(async () => {
    node = await loadNode();
  });
  beforeEach(() => node.datapath.map('l2_beats').update(key, l2BeatCodec.encode({ seen: 0 })));
  after(() => node[Symbol.dispose]());

  it('of a known node are timed, and go no further', () => {
    const before = now();
    assert.equal(hear(beat()), 'drop');
    assert.ok(seen() >= before && seen() <= now());
    assert.deepEqual(node.events(), []);
  });

  it('may ask that the node be waited for', () => {
    hear(beat({ hold: 3000 }));
    assert.ok(seen() > now() + 2.5 * SECOND && seen() < now() + 3 * SECOND);
  });

  it('of nodes that the agent does not know leave nothing behind', () => {
    assert.equal(hear(beat({ node: 99 })), 'drop');
    assert.equal(seen(), 0);
    assert.equal(Array.from(node.datapath.map('l2_beats').entries()).length, 1);
  });

  it('to another node, of another kind, or cut short are not taken for one', () => {
    for (const bytes of [beat({ to: BRIDGE }), beat({ to: BROADCAST }), beat({ kind: 2 }), beat().subarray(0, 30)])
      assert.equal(hear(bytes), 'stack');
    assert.equal(seen(), 0);
  });
});
