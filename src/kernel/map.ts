// SPDX-License-Identifier: Apache-2.0
// A BPF map: bytes by bytes. Which bytes mean what is in src/datapath (schema and codecs).
//
// Batches are packed: entry i is at i * keySize in `keys` and at i * valueBytes in `values`.

import type { MapCreation, MapHandle, MapInfo } from './addon.ts';
import { native } from './addon.ts';
import { readBtf } from './btf.ts';
import { isKernelError } from './errors.ts';
import { layoutOf } from './layout.ts';
import type { Layout } from './layout.ts';

/** enum bpf_map_type, the types that we use. */
export const MapType = {
  hash: 1,
  array: 2,
  programArray: 3,
  perCpuHash: 5,
  perCpuArray: 6,
  lruHash: 9,
  lruPerCpuHash: 10,
  lpmTrie: 11,
  arrayOfMaps: 12,
  hashOfMaps: 13,
  queue: 22,
  ringBuffer: 27,
} as const;

/** Flags of an update. */
export const UpdateFlag = { any: 0, mustNotExist: 1, mustExist: 2 } as const;

const chunkBytes = 256 * 1024;

/** Owns one descriptor of a map; the map itself lives as long as anybody has one, or a pin. Sizes are in bytes. */
/** Packed entries. */
export type Chunk = { readonly keys: Buffer; readonly values: Buffer; readonly count: number };

export class BpfMap {
  readonly handle: MapHandle;
  readonly name: string;
  readonly id: number;
  /** enum bpf_map_type, see MapType. */
  readonly type: number;
  readonly keySize: number;
  readonly valueSize: number;
  /** Bytes of a value in a lookup or update: per-CPU maps have one for each possible CPU, each rounded up to 8. */
  readonly valueBytes: number;
  readonly maxEntries: number;
  /** BPF_F_* given at creation. */
  readonly flags: number;

  /** Takes the handle over. */
  constructor(handle: MapHandle) {
    const info = native().mapInfo(handle);
    this.handle = handle;
    this.name = info.name;
    this.id = info.id;
    this.type = info.type;
    this.keySize = info.keySize;
    this.valueSize = info.valueSize;
    this.valueBytes = native().mapValueBytes(handle);
    this.maxEntries = info.maxEntries;
    this.flags = info.flags;
  }

  static create(creation: MapCreation): BpfMap {
    return new BpfMap(native().mapCreate(creation));
  }

  /** Named after the pin. Throws KernelError (ENOENT), or TypeError when something else is pinned there. */
  static openPinned(path: string): BpfMap {
    return new BpfMap(native().mapOpenPinned(path));
  }

  /** Throws KernelError ENOENT when there is no map with this id. */
  static openById(id: number): BpfMap {
    return new BpfMap(native().mapOpenById(id));
  }

  /** The number to put into maps of maps. It is valid while this object is not disposed. */
  get descriptor(): number {
    return native().descriptor(this.handle);
  }

  /** Asks the kernel again; `memoryBytes` changes as entries come and go. */
  info(): MapInfo {
    return native().mapInfo(this.handle);
  }

  /** What keys and values mean; undefined for a map that was made without types. */
  layouts(): { readonly key: Layout; readonly value: Layout } | undefined {
    const { btfId, btfKeyType, btfValueType } = this.info();
    if (btfId === 0 || btfKeyType === 0 || btfValueType === 0) return undefined;
    const btf = readBtf(native().btfRead(btfId));
    return { key: layoutOf(btf, btfKeyType), value: layoutOf(btf, btfValueType) };
  }

  /** The value, or undefined when there is no such entry. */
  lookup(key: Uint8Array): Buffer | undefined {
    const value = Buffer.allocUnsafe(this.valueBytes);
    return this.lookupInto(key, value) ? value : undefined;
  }

  /** Writes the value over the beginning of `into`; false when there is no such entry. */
  lookupInto(key: Uint8Array, into: Uint8Array): boolean {
    return native().mapLookup(this.handle, key, into);
  }

  /** Throws KernelError (E2BIG, ENOSPC: full; EEXIST, ENOENT: the flags forbid it). */
  update(key: Uint8Array, value: Uint8Array, flags: number = UpdateFlag.any): void {
    native().mapUpdate(this.handle, key, value, flags);
  }

  /** False when there was no such entry. */
  delete(key: Uint8Array): boolean {
    return native().mapDelete(this.handle, key);
  }

  /** Looks up and deletes in one step. Hashes only. */
  take(key: Uint8Array): Buffer | undefined {
    const value = Buffer.allocUnsafe(this.valueBytes);
    return native().mapTake(this.handle, key, value) ? value : undefined;
  }

  /** Writes `count` entries, in order. Throws KernelError, whose `done` is how many took effect. About 0.5 µs an entry. */
  updateBatch(keys: Uint8Array, values: Uint8Array, count: number): void {
    native().mapUpdateBatch(this.handle, keys, values, count, UpdateFlag.any);
  }

  /** Writes those of `count` entries that are not there yet, and returns how many were. */
  addBatch(keys: Uint8Array, values: Uint8Array, count: number): number {
    return native().mapUpdateBatch(this.handle, keys, values, count, UpdateFlag.mustNotExist);
  }

  /** Deletes `count` entries, in order, and returns how many existed. Throws KernelError, whose `done` counts missing ones too. */
  deleteBatch(keys: Uint8Array, count: number): number {
    return native().mapDeleteBatch(this.handle, keys, count);
  }

  /**
   * All entries. An entry that exists throughout is yielded at least once; one that comes or goes meanwhile may be missing, and while keys are deleted
   * an entry of a map without hash buckets (LPM trie) may come twice. The buffers are the reader's to keep.
   */
  *entries(): Generator<readonly [key: Buffer, value: Buffer], void, undefined> {
    const { keySize, valueBytes } = this;
    for (const { keys, values, count } of this.chunks())
      for (let i = 0; i < count; i++)
        yield [keys.subarray(i * keySize, (i + 1) * keySize), values.subarray(i * valueBytes, (i + 1) * valueBytes)];
  }

  /** The same, many at a time: entry i is at i * keySize and i * valueBytes. For who wants few of very many. */
  *chunks(): Generator<Chunk, void, undefined> {
    const { keySize, valueBytes } = this;
    const cursor = new Uint8Array(8 + Math.max(4, keySize));
    let room = Math.max(1, Math.min(this.maxEntries, Math.floor(chunkBytes / (keySize + valueBytes))));
    for (;;) {
      const keys = Buffer.allocUnsafeSlow(room * keySize);
      const values = Buffer.allocUnsafeSlow(room * valueBytes);
      let count: number;
      try {
        count = native().mapRead(this.handle, cursor, keys, values);
      } catch (error) {
        if (!isKernelError(error, 'ENOSPC') || room > this.maxEntries) throw error;
        room *= 2; // one hash bucket holds more entries than that
        continue;
      }
      if (count === 0) return;
      yield { keys, values, count };
    }
  }

  /** How many entries there are: looks at all of them, at about 0.5 µs each. */
  count(): number {
    let total = 0;
    for (const { count } of this.chunks()) total += count;
    return total;
  }

  /** From now on user space cannot write. */
  freeze(): void {
    native().mapFreeze(this.handle);
  }

  /** `path` is on a bpf filesystem. Throws KernelError (EEXIST). */
  pin(path: string): void {
    native().pin(this.handle, path);
  }

  [Symbol.dispose](): void {
    native().close(this.handle);
  }
}
