// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ip, parseMac } from '../base/ip.ts';
import { table } from '../base/table.ts';
import { BpfMap, MapType } from '../kernel/map.ts';
import { bpfMissing } from '../kernel/testdata/harness.ts';
import type { MemberRow } from '../l2/members.ts';
import { beatName, helloFrames, helloPart } from './hello.ts';
import type { BeatTimes } from '../kernel/beats.ts';
import type { Hello, HelloPart } from './hello.ts';
import { beatTimes, peersOf } from './peers.ts';

const ours = parseMac('02:00:00:00:00:01') ?? assert.fail();
const theirs = parseMac('02:00:00:00:00:02') ?? assert.fail();

const hello: Hello = {
  node: 'node2',
  uid: 'uid-2',
  instance: 1,
  interfaces: [{ name: 'eth0', index: 7, mac: theirs, prefixes: ['192.168.0.0/24'], fault: undefined }],
  claims: [{ ip: ip('192.168.0.220'), epoch: 3, level: 2 }],
  sights: [],
  cedes: [],
  asks: false,
};

let serial = 0;
const partsOf = (words: Hello, interfaceIndex = 7): readonly HelloPart[] =>
  helloFrames(words, theirs, { interfaceIndex, serial: serial++ }).map((frame) => helloPart(frame) ?? assert.fail('no part'));

function listener() {
  const members = table<string, MemberRow>('l2_peers');
  const beats = BpfMap.create({ name: 'beats', type: MapType.hash, keySize: 16, valueSize: 8, maxEntries: 8, flags: 0 });
  const uids = new Map([
    ['node1', 'uid-1'],
    ['node2', 'uid-2'],
  ]);
  let now = 0;
  const clock = { now: () => now, monotonic: () => now };
  const peers = peersOf({ self: 'node1', uidOf: (node) => uids.get(node), writer: members.writer('test'), beats, clock });
  return {
    peers,
    members,
    uids,
    hear: (words: Hello, interfaceIndex?: number) => partsOf(words, interfaceIndex).map((part) => peers.hear(part, 2, ours)),
    later: (ms: number) => (now += ms),
    known: () => [...beats.entries()].length,
    [Symbol.dispose]: () => beats[Symbol.dispose](),
  };
}

describe('the other nodes on a segment', { skip: bpfMissing }, () => {
  it('are known by their hello: whom to beat to, and what they claim', () => {
    using own = listener();
    assert.deepEqual(own.hear(hello), [true]);
    assert.deepEqual(own.peers.ways, [{ name: 'node2', node: beatName('uid-2'), interfaceIndex: 7, via: 2, to: theirs, from: ours }]);
    assert.deepEqual(own.members.get('node2')?.claims, hello.claims);
    assert.equal(own.known(), 1);
  });

  it('want an answer when they are new, have begun anew, or ask', () => {
    using own = listener();
    const told = [hello, hello, { ...hello, instance: 2 }, { ...hello, instance: 2, asks: true }].map((words) => own.hear(words)[0]);
    assert.deepEqual(told, [true, false, true, true]);
  });

  it('are none that the API does not know by this uid, and not this node itself', () => {
    using own = listener();
    own.hear({ ...hello, uid: 'uid of another cluster' });
    own.hear({ ...hello, node: 'node9' });
    own.hear({ ...hello, node: 'node1', uid: 'uid-1' });
    assert.deepEqual([own.members.size, own.known()], [0, 0]);
  });

  it('are gone when they are heard on no interface, and are back when they have said what they have', () => {
    using own = listener();
    own.hear(hello);
    own.hear({ ...hello, interfaces: [...hello.interfaces, { name: 'eth1', index: 8, mac: theirs, prefixes: [], fault: undefined }] }, 8);
    assert.equal(own.peers.alive([true, false]), false);
    assert.deepEqual(
      own.members.get('node2')?.interfaces.map(({ fault }) => fault),
      [undefined, 'its heartbeats are not heard'],
    );
    own.peers.alive([false, false]);
    assert.equal(own.members.get('node2'), undefined);
    assert.equal(own.peers.alive([true, false]), true);
    assert.equal(own.members.get('node2'), undefined, 'whoever knew it without claims would take over what it has');
    assert.equal(own.peers.hears(2), false);
    own.hear(hello);
    assert.deepEqual(own.members.get('node2')?.claims, hello.claims);
    assert.equal(own.peers.hears(2), true);
  });

  it('are forgotten after a minute of silence, or with their Node object', () => {
    using own = listener();
    own.hear(hello);
    own.peers.alive([false]);
    assert.equal(own.peers.tidy(), false);
    own.later(61_000);
    assert.deepEqual([own.peers.tidy(), own.peers.ways.length, own.known()], [true, 0, 0]);
    own.hear(hello);
    own.uids.delete('node2');
    assert.deepEqual([own.peers.tidy(), own.members.size], [true, 0]);
  });

  it('may say much: parts may come in any order, and those of two messages are not mixed', () => {
    using own = listener();
    const claims = Array.from({ length: 4000 }, (_, i) => ({
      ip: ip(`10.${i >> 8}.${(i * 37) & 255}.1`),
      epoch: (i * 7919) % 100_003,
      level: 2 as const,
    }));
    const [first, second] = [partsOf({ ...hello, claims }), partsOf({ ...hello, claims })];
    assert.ok(first.length > 2);
    for (const part of [...first.slice(1), ...second.toReversed().slice(1)]) own.peers.hear(part, 2, ours);
    assert.equal(own.members.size, 0);
    own.peers.hear(second.at(-1) ?? assert.fail(), 2, ours);
    assert.equal(own.members.get('node2')?.claims.length, 4000);
  });
});

describe('how often nodes beat', () => {
  const LOST = 0.3;
  /** An hour, in all the cluster, where each node listens to every other: a beat that arrives, and after it all that fit into the patience are lost. */
  const falseAlarms = (peers: number, { intervalMs, windowMs }: BeatTimes) => {
    const waited = Math.floor(windowMs / intervalMs) - 1; // the last may be late
    return (peers + 1) * peers * (3_600_000 / intervalMs) * (1 - LOST) * LOST ** waited;
  };

  for (const [peers, intervalMs, windowMs] of [
    [0, 20, 320],
    [2, 20, 320],
    [16, 20, 320],
    [17, 30, 510],
    [48, 30, 510],
    [49, 100, 1900],
    [300, 100, 1900],
  ] as const)
    it(`with ${peers} peers: every ${intervalMs} ms, and ${windowMs} ms of patience; with 30 % loss at most one false alarm an hour`, () => {
      assert.deepEqual(beatTimes(peers), { intervalMs, windowMs });
      const alarms = falseAlarms(peers, { intervalMs, windowMs });
      assert.ok(alarms <= 1, `${alarms} an hour`);
    });

  it('a patience of ten beats would not do: the count can fail', () => {
    assert.ok(falseAlarms(17, { intervalMs: 40, windowMs: 400 }) > 1);
  });
});
