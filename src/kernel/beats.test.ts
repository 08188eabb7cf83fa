// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { parseMac } from '../base/ip.ts';
import { native } from './addon.ts';
import { Beats } from './beats.ts';
import { BpfMap, MapType } from './map.ts';
import { bpfMissing, eventually } from './testdata/harness.ts';

const mac = parseMac('02:00:00:00:00:01') ?? assert.fail();
const zero = Buffer.alloc(4);
const now = () => native().monotonicNs();

function maps() {
  const lease = BpfMap.create({ name: 'lease', type: MapType.array, keySize: 4, valueSize: 16, maxEntries: 1, flags: 0 });
  const beats = BpfMap.create({ name: 'beats', type: MapType.hash, keySize: 16, valueSize: 8, maxEntries: 8, flags: 0 });
  return {
    lease,
    beats,
    until: () => lease.lookup(zero)?.readBigUInt64LE(0) ?? 0n,
    hear(node: number, at: bigint) {
      const key = Buffer.alloc(16);
      key.writeBigUInt64LE(BigInt(node));
      key.writeUInt32LE(7, 8);
      const value = Buffer.alloc(8);
      value.writeBigUInt64LE(at);
      beats.update(key, value);
    },
    [Symbol.dispose]() {
      lease[Symbol.dispose]();
      beats[Symbol.dispose]();
    },
  };
}

const peer = (node: number) => ({ node, interfaceIndex: 7, via: 1, to: mac, from: mac });
const times = { intervalMs: 5, windowMs: 60 };

describe('the heartbeat thread', { skip: bpfMissing }, () => {
  it('extends the lease while it is touched, and neither extends it nor goes on by itself after a pause', async () => {
    using own = maps();
    using beats = new Beats(own, 1, { leaseMs: 40, patienceMs: 60 });
    for (let i = 0; i < 10; i++) {
      beats.touch();
      await delay(10);
      assert.ok(own.until() > now(), 'the lease is over while the loop turns');
    }
    await eventually('the lease is over', () => own.until() < now() && beats.lapsed);
    beats.touch();
    await delay(20); // longer than it waits between two beats
    assert.ok(own.until() < now(), 'it went on without having asked');
    beats.resume();
    await eventually('it goes on', () => own.until() > now());
  });

  it('tells when a peer is not heard any more, and when it is back', async () => {
    using own = maps();
    using beats = new Beats(own, 1, { leaseMs: 40, patienceMs: 10_000 });
    let news = 0;
    let alive: readonly boolean[] = [];
    using _poll = beats.onChange(() => {
      alive = beats.alive();
      news++;
    });
    own.hear(2, now() + 10_000_000_000n);
    own.hear(3, now());
    beats.set(times, [peer(2), peer(3), peer(4)]);
    await eventually('two are missing', () => alive.join() === 'true,false,false');
    own.hear(3, now() + 10_000_000_000n);
    await eventually('one is back', () => alive.join() === 'true,true,false');
    assert.ok(news >= 2);
  });

  it('leaves a lease behind when it is asked to hold, and is closed', () => {
    using own = maps();
    const beats = new Beats(own, 0x1234, { leaseMs: 40, patienceMs: 1000 });
    beats.hold(3000);
    assert.ok(own.until() > now() + 2_500_000_000n);
    assert.equal(own.lease.lookup(zero)?.readBigUInt64LE(8), 0x1234n);
    assert.throws(() => beats.touch(), { name: 'HandleClosedError' });
  });

  it('takes no maps that are others', () => {
    using own = maps();
    assert.throws(() => new Beats({ lease: own.beats, beats: own.lease }, 1, { leaseMs: 1, patienceMs: 1 }), RangeError);
    assert.throws(() => new Beats(own, 1, { leaseMs: 0, patienceMs: 1 }), RangeError);
  });
});
