// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { native } from './addon.ts';
import { KernelError } from './errors.ts';
import { BpfMap, MapType, UpdateFlag } from './map.ts';
import { bpfMissing, kernelError, temporaryBpffs } from './testdata/harness.ts';

const noPreallocation = 1; // BPF_F_NO_PREALLOC, which LPM tries require

function hashMap(maxEntries = 64): BpfMap {
  return BpfMap.create({ name: 't_hash', type: MapType.hash, keySize: 4, valueSize: 8, maxEntries, flags: 0 });
}

function key32(value: number): Buffer {
  const key = Buffer.alloc(4);
  key.writeUInt32LE(value);
  return key;
}

function value64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

function fill(map: BpfMap, count: number): void {
  const numbers = Array.from({ length: count }, (_, i) => i);
  map.updateBatch(Buffer.concat(numbers.map(key32)), Buffer.concat(numbers.map(value64)), count);
}

function keysOf(map: BpfMap): number[] {
  return Array.from(map.entries(), ([key]) => key.readUInt32LE()).sort((a, b) => a - b);
}

describe('a BPF map', { skip: bpfMissing }, () => {
  it('gives back what was written, and undefined for what was not', () => {
    using map = hashMap();
    map.update(key32(1), value64(11));
    assert.deepEqual(map.lookup(key32(1)), value64(11));
    assert.equal(map.lookup(key32(2)), undefined);
    assert.equal(map.delete(key32(1)), true);
    assert.equal(map.delete(key32(1)), false);
    map.update(key32(3), value64(33));
    assert.deepEqual(map.take(key32(3)), value64(33));
    assert.equal(map.take(key32(3)), undefined);
  });

  it('refuses a short key or value and leaves the kernel alone', () => {
    using map = hashMap();
    assert.throws(() => map.update(key32(1), Buffer.alloc(7)), RangeError);
    assert.throws(() => map.update(Buffer.alloc(3), value64(1)), RangeError);
    assert.throws(() => map.lookupInto(key32(1), Buffer.alloc(7)), RangeError);
    assert.throws(() => map.delete(Buffer.alloc(0)), RangeError);
    assert.throws(() => map.updateBatch(Buffer.alloc(8), Buffer.alloc(15), 2), RangeError);
    assert.throws(() => map.deleteBatch(Buffer.alloc(7), 2), RangeError);
    assert.throws(() => native().mapRead(map.handle, new Uint8Array(11), Buffer.alloc(64), Buffer.alloc(64)), RangeError);
    assert.throws(() => map.updateBatch(Buffer.alloc(8), Buffer.alloc(16), 2 ** 32 - 1), RangeError);
    assert.throws(() => map.updateBatch(Buffer.alloc(8), Buffer.alloc(16), -1), RangeError);
    assert.deepEqual(keysOf(map), []);
  });

  it('adds what is not there and leaves what is', () => {
    using map = hashMap(16);
    for (const present of [2, 3, 5]) map.update(key32(present), value64(100));
    const numbers = [1, 2, 3, 4, 5];
    assert.equal(map.addBatch(Buffer.concat(numbers.map(key32)), Buffer.concat(numbers.map(value64)), 5), 2);
    assert.deepEqual(
      numbers.map((number) => map.lookup(key32(number))?.readBigUInt64LE()),
      [1n, 100n, 100n, 4n, 100n],
    );
  });

  it('counts a value of a per-CPU map once for each possible CPU', () => {
    using map = BpfMap.create({ name: 't_cpu', type: MapType.perCpuHash, keySize: 4, valueSize: 4, maxEntries: 4, flags: 0 });
    assert.equal(map.valueSize, 4);
    assert.equal(map.valueBytes, 8 * native().possibleCpus());
    assert.throws(() => map.update(key32(1), Buffer.alloc(4)), RangeError);
    map.update(key32(1), Buffer.alloc(map.valueBytes, 1));
    assert.equal(map.lookup(key32(1))?.length, map.valueBytes);
    assert.deepEqual(keysOf(map), [1]);
  });

  it('names the call, the map and the errno in a failure', () => {
    using map = hashMap(1);
    map.update(key32(1), value64(1));
    assert.throws(() => map.update(key32(2), value64(1)), {
      name: 'KernelError',
      code: 'E2BIG',
      errno: 7,
      syscall: 'bpf(BPF_MAP_UPDATE_ELEM)',
      message: 'bpf(BPF_MAP_UPDATE_ELEM) on t_hash failed: E2BIG (Argument list too long)',
    });
    assert.throws(() => map.update(key32(1), value64(1), UpdateFlag.mustNotExist), kernelError('EEXIST'));
  });

  it('says how much of a batch took effect', () => {
    using map = hashMap(4);
    assert.throws(
      () => fill(map, 6),
      (error) => error instanceof KernelError && error.code === 'E2BIG' && error.done === 4,
    );
    assert.deepEqual(keysOf(map), [0, 1, 2, 3]);
  });

  it('deletes a batch in which some are missing', () => {
    using map = hashMap();
    fill(map, 10);
    const keys = Buffer.concat([99, 1, 98, 97, 5, 9, 96].map(key32));
    assert.equal(map.deleteBatch(keys, 7), 3);
    assert.deepEqual(keysOf(map), [0, 2, 3, 4, 6, 7, 8]);
    assert.equal(map.deleteBatch(Buffer.alloc(0), 0), 0);
  });

  const kinds = [
    { name: 'hash', type: MapType.hash, flags: 0 },
    { name: 'LRU hash', type: MapType.lruHash, flags: 0 },
    { name: 'array', type: MapType.array, flags: 0 },
    { name: 'LPM trie', type: MapType.lpmTrie, flags: noPreallocation },
  ];
  for (const { name, type, flags } of kinds) {
    it(`lists every entry of a larger ${name} exactly once`, () => {
      const isTrie = type === MapType.lpmTrie;
      const count = 40_000;
      using map = BpfMap.create({
        name: 't_list',
        type,
        keySize: isTrie ? 8 : 4,
        valueSize: 8,
        maxEntries: type === MapType.lruHash ? 2 * count : count,
        flags,
      });
      const numbers = Array.from({ length: count }, (_, i) => i);
      const keys = Buffer.concat(numbers.map((i) => (isTrie ? Buffer.concat([key32(32), key32(i)]) : key32(i))));
      map.updateBatch(keys, Buffer.concat(numbers.map(value64)), count);
      const found = Array.from(
        map.entries(),
        ([key, value]) => [key.readUInt32LE(isTrie ? 4 : 0), Number(value.readBigUInt64LE())] as const,
      );
      assert.equal(found.length, count);
      assert.ok(found.every(([key, value]) => key === value));
      assert.equal(new Set(found.map(([key]) => key)).size, count);
    });
  }

  it('lists a map whose type has no batch operation', () => {
    using programs = BpfMap.create({ name: 't_maps', type: MapType.queue, keySize: 0, valueSize: 4, maxEntries: 4, flags: 0 });
    assert.throws(() => Array.from(programs.entries()), TypeError);
    const deviceMapHash = 25;
    using devices = BpfMap.create({ name: 't_devices', type: deviceMapHash, keySize: 4, valueSize: 4, maxEntries: 8, flags: 0 });
    devices.updateBatch(Buffer.concat([key32(5), key32(6)]), Buffer.concat([key32(1), key32(1)]), 2);
    assert.deepEqual(keysOf(devices), [5, 6]);
    assert.equal(devices.deleteBatch(Buffer.concat([key32(7), key32(5), key32(6)]), 3), 2);
    assert.deepEqual(keysOf(devices), []);
  });

  it('lists what stays while other entries come and go', () => {
    using map = hashMap(100_000);
    fill(map, 60_000);
    const seen = new Set<number>();
    let step = 0;
    for (const [key] of map.entries()) {
      seen.add(key.readUInt32LE());
      if (++step % 10 === 0) map.delete(key32(30_000 + (step % 30_000)));
    }
    for (let i = 0; i < 30_000; i++) assert.ok(seen.has(i), `entry ${i} was missed`);
  });

  it('is found again by its pin and by its id', () => {
    using directory = temporaryBpffs();
    const path = `${directory.path}/some_map`;
    using map = hashMap();
    map.update(key32(1), value64(11));
    map.pin(path);
    assert.throws(() => map.pin(path), kernelError('EEXIST'));
    using again = BpfMap.openPinned(path);
    assert.equal(again.id, map.id);
    assert.equal(again.name, 'some_map');
    using byId = BpfMap.openById(map.id);
    assert.equal(byId.name, 't_hash');
    assert.deepEqual(byId.lookup(key32(1)), value64(11));
    assert.throws(() => BpfMap.openPinned(`${directory.path}/none`), kernelError('ENOENT'));
    assert.throws(() => BpfMap.openById(2 ** 31), kernelError('ENOENT'));
  });

  it('refuses writes once it is frozen', () => {
    using map = hashMap();
    map.freeze();
    assert.throws(() => map.update(key32(1), value64(1)), kernelError('EPERM'));
  });
});
