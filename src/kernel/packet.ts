// SPDX-License-Identifier: Apache-2.0
// Whole Ethernet frames of one protocol on one interface.

import type { Mac } from '../base/ip.ts';
import { macToBytes } from '../base/ip.ts';
import type { SocketHandle } from './addon.ts';
import { native } from './addon.ts';

const FRAME_MOST = 9216; // jumbo frames

/** Owns one packet socket. Dispose it to close. */
export class PacketSocket {
  readonly #handle: SocketHandle;
  readonly #interfaceIndex: number;
  readonly #buffer = Buffer.allocUnsafeSlow(FRAME_MOST);

  /** `protocol`: of Ethernet; 0 hears nothing. Throws KernelError (ENODEV: no such interface). */
  constructor(interfaceIndex: number, protocol: number) {
    this.#handle = native().packetOpen(interfaceIndex, protocol);
    this.#interfaceIndex = interfaceIndex;
  }

  /** Has the interface take frames for a group address, too. */
  join(group: Mac): void {
    native().packetJoin(this.#handle, this.#interfaceIndex, macToBytes(group));
  }

  /** Throws KernelError (ENETDOWN, ENOBUFS, …). */
  send(frame: Uint8Array): void {
    native().packetSend(this.#handle, frame);
  }

  /** Frames that have arrived, as views: they are overwritten by the next. */
  *frames(): Generator<Buffer, void, undefined> {
    for (let bytes = this.#next(); bytes > 0; bytes = this.#next()) yield this.#buffer.subarray(0, bytes);
  }

  #next(): number {
    return native().packetReceive(this.#handle, this.#buffer);
  }

  /** Calls `onReadable` on the event loop while frames wait. Dispose to stop. */
  onReadable(onReadable: () => void): Disposable {
    const poll = native().pollStart(this.#handle, onReadable);
    return { [Symbol.dispose]: () => native().close(poll) };
  }

  [Symbol.dispose](): void {
    native().close(this.#handle);
  }
}
