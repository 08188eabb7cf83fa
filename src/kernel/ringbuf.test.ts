// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { loadObject } from './load.ts';
import { BpfMap, MapType } from './map.ts';
import { recordsIn, RingBuffer } from './ringbuf.ts';
import { bpfMissing, compiled, eventually } from './testdata/harness.ts';

const frame = Buffer.alloc(64);

async function ringAndPrograms() {
  const stack = new DisposableStack();
  const loaded = stack.use(await loadObject({ path: compiled('handles') }));
  const map = loaded.maps.get('t_ring');
  const emit = loaded.programs.get('emit_records');
  const wake = loaded.programs.get('wake_reader');
  assert.ok(map && emit && wake);
  const ring = stack.use(new RingBuffer(map));
  return {
    ring,
    emit: () => emit.testRun({ data: frame }),
    wake: () => wake.testRun({ data: frame }),
    [Symbol.dispose]: () => stack.dispose(),
  };
}

describe('a ring buffer', { skip: bpfMissing }, () => {
  it('drains every record once, in order, and counts the discarded', async () => {
    using context = await ringAndPrograms();
    const into = Buffer.alloc(64 * 1024);
    for (let round = 0; round < 50; round++) {
      context.emit(); // 50 times around a ring that holds some 15 rounds
      const { bytes, records, discarded } = context.ring.drain(into);
      assert.deepEqual([records, discarded], [100, 10]);
      const payloads = Array.from(recordsIn(into.subarray(0, bytes)));
      assert.deepEqual(
        payloads.map((payload) => payload.readUInt32LE()),
        Array.from({ length: 100 }, (_, i) => i),
      );
      assert.ok(payloads.every((payload, i) => payload.length === ((i % 16) + 1) * 4));
    }
    assert.deepEqual(context.ring.drain(into), { bytes: 0, records: 0, discarded: 0 });
  });

  it('moves only whole records that fit and keeps the rest', async () => {
    using context = await ringAndPrograms();
    context.emit();
    assert.ok(context.ring.usedBytes > 100 * 8);
    const into = Buffer.alloc(100);
    const numbers: number[] = [];
    for (;;) {
      const { bytes, records, discarded } = context.ring.drain(into);
      assert.ok(bytes <= into.length);
      if (records === 0 && discarded === 0) break;
      numbers.push(...Array.from(recordsIn(into.subarray(0, bytes)), (payload) => payload.readUInt32LE()));
    }
    assert.deepEqual(
      numbers,
      Array.from({ length: 100 }, (_, i) => i),
    );
    assert.equal(context.ring.usedBytes, 0);
  });

  it('says how much room a record needs that does not fit at all', async () => {
    using context = await ringAndPrograms();
    context.emit();
    assert.throws(() => context.ring.drain(Buffer.alloc(7)), /^RangeError: Wanted at least 8 bytes for the next record of t_ring, got 7/);
    assert.equal(context.ring.drain(Buffer.alloc(8)).records, 1);
  });

  it('calls back when a program wakes the reader, and not after that is stopped', async () => {
    using context = await ringAndPrograms();
    const into = Buffer.alloc(4096);
    const payloads: bigint[] = [];
    const watch = context.ring.onReadable(() => {
      const { bytes } = context.ring.drain(into);
      payloads.push(...Array.from(recordsIn(into.subarray(0, bytes)), (payload) => payload.readBigUInt64LE()));
    });
    context.wake();
    await eventually('one record came', () => payloads.length === 1);
    assert.deepEqual(payloads, [42n]);
    watch[Symbol.dispose]();
    context.wake();
    assert.equal(context.ring.drain(into).records, 1);
    assert.equal(payloads.length, 1);
  });

  it('wants a map of its type', () => {
    using map = BpfMap.create({ name: 't_hash', type: MapType.hash, keySize: 4, valueSize: 4, maxEntries: 1, flags: 0 });
    assert.throws(() => new RingBuffer(map), /^TypeError: Wanted a ring buffer, got map t_hash of type 1/);
  });
});
