// SPDX-License-Identifier: Apache-2.0
// Heartbeats, sent by a thread of their own (native/beat.c), which also extends the lease by which the data plane answers.

import type { Mac } from '../base/ip.ts';
import { macToBytes } from '../base/ip.ts';
import type { BeatHandle } from './addon.ts';
import { native } from './addon.ts';
import type { BpfMap } from './map.ts';

/** An interface of another node, and how frames get there. */
export type BeatPeer = {
  readonly node: number;
  /** The peer's. */
  readonly interfaceIndex: number;
  /** Ours. */
  readonly via: number;
  readonly to: Mac;
  readonly from: Mac;
};

export type BeatTimes = { readonly intervalMs: number; readonly windowMs: number };

const PEER_BYTES = 32;

/** Owns the thread. Dispose it to end it: the lease runs out by itself. */
export class Beats {
  readonly #handle: BeatHandle;
  #peers = 0;

  /** `leaseMs`: how long the data plane answers after a beat. `patienceMs`: how long touch() may be missing. Throws KernelError. */
  constructor(
    maps: { readonly lease: BpfMap; readonly beats: BpfMap },
    node: number,
    times: { readonly leaseMs: number; readonly patienceMs: number },
  ) {
    this.#handle = native().beatStart(maps.lease.handle, maps.beats.handle, BigInt(node), times);
  }

  /** Whom to beat to, and whose beats to look for. */
  set(times: BeatTimes, peers: readonly BeatPeer[]): void {
    const bytes = Buffer.alloc(peers.length * PEER_BYTES);
    for (const [i, { node, interfaceIndex, via, to, from }] of peers.entries()) {
      bytes.writeBigUInt64LE(BigInt(node), i * PEER_BYTES);
      bytes.writeUInt32LE(interfaceIndex, i * PEER_BYTES + 8);
      bytes.writeUInt32LE(via, i * PEER_BYTES + 12);
      macToBytes(to).copy(bytes, i * PEER_BYTES + 16);
      macToBytes(from).copy(bytes, i * PEER_BYTES + 22);
    }
    this.#peers = peers.length;
    native().beatSetPeers(this.#handle, times, bytes);
  }

  /** Says that the event loop turns. */
  touch(): void {
    native().beatTouch(this.#handle);
  }

  /** The lease ran out, as after a freeze: others may have taken over. Nothing is extended or sent until resume(). */
  get lapsed(): boolean {
    return native().beatLapsed(this.#handle);
  }

  resume(): void {
    native().beatResume(this.#handle);
  }

  /** Of each peer, in the order of set(), whether it is heard. */
  alive(): readonly boolean[] {
    const bytes = Buffer.alloc(this.#peers);
    native().beatAlive(this.#handle, bytes);
    return Array.from(bytes, (byte) => byte === 1);
  }

  /** Calls `onChange` on the event loop when somebody came or went, or the lease lapsed; it is expected to call alive(). Dispose to stop. */
  onChange(onChange: () => void): Disposable {
    const poll = native().pollStart(this.#handle, onChange);
    return { [Symbol.dispose]: () => native().close(poll) };
  }

  /** The data plane answers on, and peers wait, for `holdMs`. Ends the thread. */
  hold(holdMs: number): void {
    native().beatHold(this.#handle, holdMs);
  }

  [Symbol.dispose](): void {
    native().close(this.#handle);
  }
}
