// SPDX-License-Identifier: Apache-2.0
// The reading end of a BPF ring buffer. A map has one reader: two would take each other's records.
//
// drain() packs what has arrived into a Buffer, and the caller decodes in place:
//
//   | length | payload … | length | payload … |      length: 4 bytes, little-endian, of the payload; nothing is aligned

import type { DrainResult, RingHandle } from './addon.ts';
import { native } from './addon.ts';
import type { BpfMap } from './map.ts';

/** Bytes before each payload. */
const recordHeaderBytes = 4;

/** Owns the mapped memory of a ring buffer, and a descriptor of its own: the map may be disposed first. */
export class RingBuffer {
  readonly #handle: RingHandle;
  /** Room for records in the kernel. */
  readonly sizeBytes: number;

  /** Throws TypeError when the map is not a ring buffer. */
  constructor(map: BpfMap) {
    this.#handle = native().ringOpen(map.handle);
    this.sizeBytes = map.maxEntries;
  }

  /**
   * Moves as many whole records into `into` as fit; what does not stays for the next call. `discarded` counts what programs reserved and gave up.
   * Throws RangeError when not even one record fits: 64 KiB hold any record that we define. Never waits.
   */
  drain(into: Uint8Array): DrainResult {
    return native().ringDrain(this.#handle, into);
  }

  /** Bytes that wait to be drained, with the kernel's 8 a record. */
  get usedBytes(): number {
    return native().ringUsedBytes(this.#handle);
  }

  /** Calls `onReadable` on the event loop when the kernel wakes the reader, which it does not for BPF_RB_NO_WAKEUP. Dispose to stop. */
  onReadable(onReadable: () => void): Disposable {
    const poll = native().pollStart(this.#handle, onReadable);
    return { [Symbol.dispose]: () => native().close(poll) };
  }

  [Symbol.dispose](): void {
    native().close(this.#handle);
  }
}

/** Where the payloads are in what drain() filled: a view of each would cost more than to decode it. */
export function recordStarts(drained: Buffer): number[] {
  const starts: number[] = [];
  for (let at = 0; at < drained.length; at += drained.readUInt32LE(at) + recordHeaderBytes) starts.push(at + recordHeaderBytes);
  return starts;
}

/** The payloads in what drain() filled, as views: they are overwritten by the next drain. */
export function* recordsIn(drained: Buffer): Generator<Buffer, void, undefined> {
  for (let at = 0; at < drained.length;) {
    const begin = at + recordHeaderBytes;
    at = begin + drained.readUInt32LE(at);
    yield drained.subarray(begin, at);
  }
}
