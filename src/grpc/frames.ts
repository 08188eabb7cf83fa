// SPDX-License-Identifier: Apache-2.0
// Messages as gRPC frames them inside HTTP/2: a byte that says whether it is compressed (none of ours is), four bytes of length.

import { RpcError, Status } from './status.ts';

const HEADER = 5;

/** Takes the bytes as they come, gives the messages that are whole: parts of what it was given, not copies, where it can be. */
export class FrameReader {
  readonly #limit: number;
  #rest: Buffer = Buffer.alloc(0);
  /** `limit`: bytes of the largest message that is taken. */
  constructor(limit: number) {
    this.#limit = limit;
  }
  /** Throws RpcError where a message is too large, or compressed. */
  read(chunk: Buffer): readonly Buffer[] {
    const bytes = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk;
    const messages: Buffer[] = [];
    let at = 0;
    while (at + HEADER <= bytes.length) {
      if (bytes[at] !== 0) throw new RpcError(Status.UNIMPLEMENTED, 'the message is compressed, wanted none that is');
      const length = bytes.readUInt32BE(at + 1);
      if (length > this.#limit)
        throw new RpcError(Status.RESOURCE_EXHAUSTED, `the message has ${length} bytes, more than the ${this.#limit} that are taken`);
      if (at + HEADER + length > bytes.length) break;
      messages.push(bytes.subarray(at + HEADER, at + HEADER + length));
      at += HEADER + length;
    }
    this.#rest = bytes.subarray(at);
    return messages;
  }
  /** Whether a message has begun that is not whole. */
  get unfinished(): boolean {
    return this.#rest.length > 0;
  }
}

/** `message` with what stands in front of it. */
export const frame = (message: Uint8Array): Buffer => frames([message]);

/** Messages one after another, each with what stands in front of it. */
export function frames(messages: readonly Uint8Array[]): Buffer {
  const framed = Buffer.allocUnsafe(messages.reduce((sum, { length }) => sum + HEADER + length, 0));
  let at = 0;
  for (const message of messages) {
    framed[at] = 0;
    framed.writeUInt32BE(message.length, at + 1);
    framed.set(message, at + HEADER);
    at += HEADER + message.length;
  }
  return framed;
}

/** How many messages there are in frames that are whole. */
export function framesOf(bytes: Buffer): number {
  let count = 0;
  for (let at = 0; at + HEADER <= bytes.length; at += HEADER + bytes.readUInt32BE(at + 1)) count++;
  return count;
}
