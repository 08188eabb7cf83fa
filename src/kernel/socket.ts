// SPDX-License-Identifier: Apache-2.0
// A netlink socket and the framing that all netlink families share (RFC 3549 section 2.3.2, include/uapi/linux/netlink.h):
//
//   0        4      6       8      12      16
//   | length | type | flags | seq  | port  | body …, padded to 4 |   all in host byte order, which is little-endian on every machine we run on
//
// rtnetlink answers while the request is being sent, so a request is synchronous and takes some 10 µs. What waits for the end of an RCU grace
// period takes some 10 ms and has requestOffLoop(). Monitors use receive() and onReadable().

import type { PollHandle, SocketHandle } from './addon.ts';
import { native } from './addon.ts';
import { KernelError } from './errors.ts';

const headerBytes = 16;
const receiveBytes = 64 * 1024; // the kernel never makes a dump datagram larger than 32 KiB
const answerTimeoutMs = 5_000;
const dumpAttempts = 16;

const messageType = { noop: 1, error: 2, done: 3 } as const;

/** Flags of struct nlmsghdr that callers combine. */
export const NetlinkFlag = {
  request: 0x1,
  multi: 0x2,
  ack: 0x4,
  dumpInterrupted: 0x10,
  replace: 0x100,
  exclusive: 0x200,
  dump: 0x300,
  create: 0x400,
  append: 0x800,
} as const;

/** Flags on an NLMSG_ERROR: the request's body is left out; attributes follow. */
const ackFlag = { capped: 0x100, attributes: 0x200 } as const;
const extendedAck = { message: 1 } as const;

export type NetlinkSocketOptions = {
  /** NETLINK_ROUTE (0) unless said otherwise. */
  readonly protocol?: number;
  /** Multicast groups to join, by number (RTNLGRP_*), not by bit. */
  readonly groups?: readonly number[];
  /** Path of the network namespace; our own unless said otherwise. */
  readonly netns?: string;
  /** Room for unread messages in the kernel (SO_RCVBUFFORCE), in bytes. */
  readonly receiveBufferBytes?: number;
};

export type NetlinkRequest = {
  readonly type: number;
  /** Beyond NLM_F_REQUEST and NLM_F_ACK, which are added: create, exclusive, dump, … */
  readonly flags?: number;
  /** Everything after the header: the family's struct and its attributes. */
  readonly body: Uint8Array;
  /** For the error's text: what was attempted, e.g. 'RTM_NEWLINK lxc1a2b'. */
  readonly what: string;
};

export type NetlinkMessage = { readonly type: number; readonly flags: number; readonly body: Buffer };

/** Who answers requests: a socket, or what stands before one. */
export type NetlinkAsked = Pick<NetlinkSocket, 'request'>;

type Frame = NetlinkMessage & { readonly sequence: number };

/** Owns one netlink socket. Dispose it to close. */
export class NetlinkSocket {
  readonly #handle: SocketHandle;
  readonly #buffer = Buffer.allocUnsafeSlow(receiveBytes);
  readonly #polls = new Set<PollHandle>();
  #sequence = 0;

  private constructor(handle: SocketHandle) {
    this.#handle = handle;
  }

  /** Opens with NETLINK_EXT_ACK and NETLINK_GET_STRICT_CHK set. Throws KernelError (ENOENT: no such namespace; EPERM). */
  static open(options: NetlinkSocketOptions = {}): NetlinkSocket {
    const { protocol = 0, groups = [], receiveBufferBytes = 1 << 20, netns } = options;
    return new NetlinkSocket(native().socketOpen(protocol, groups, receiveBufferBytes, netns));
  }

  /**
   * Sends one request and returns the messages that answer it: none for a plain acknowledgement, one for a get, all for a dump. A dump that the kernel
   * reports as interrupted by a change is repeated. Throws KernelError with the kernel's errno and its extended-ack text. Not for a socket with groups.
   */
  request(request: NetlinkRequest): readonly NetlinkMessage[] {
    for (let attempt = 1; ; attempt++) {
      const answers = this.#exchange(request);
      if (!answers.some((answer) => (answer.flags & NetlinkFlag.dumpInterrupted) !== 0)) return answers;
      if (attempt === dumpAttempts) throw kernelError('EINTR', `${request.what} failed: interrupted by changes ${dumpAttempts} times`);
    }
  }

  /** The messages that have arrived, possibly none. Throws KernelError ENOBUFS when the kernel had to drop some: list everything again. */
  receive(): readonly NetlinkMessage[] {
    return framesOf(this.#buffer, native().socketReceive(this.#handle, this.#buffer)).filter((frame) => frame.type !== messageType.noop);
  }

  /** Calls `onReadable` on the event loop while messages wait; it is expected to call receive(). Dispose to stop. */
  onReadable(onReadable: () => void): Disposable {
    const poll = native().pollStart(this.#handle, onReadable);
    this.#polls.add(poll);
    return {
      [Symbol.dispose]: () => {
        this.#polls.delete(poll);
        native().close(poll);
      },
    };
  }

  /** Of the network namespace that it was opened in: what bpf_get_netns_cookie() says there. Never 0, and never that of another one until the next boot. */
  get netnsCookie(): bigint {
    return native().socketNetnsCookie(this.#handle);
  }

  [Symbol.dispose](): void {
    for (const poll of this.#polls) native().close(poll);
    this.#polls.clear();
    native().close(this.#handle);
  }

  #exchange(request: NetlinkRequest): readonly NetlinkMessage[] {
    const sequence = ++this.#sequence >>> 0;
    native().socketSend(this.#handle, frameBytes(request, sequence));
    const answers: NetlinkMessage[] = [];
    for (;;) {
      const frames = framesOf(this.#buffer, native().socketReceive(this.#handle, this.#buffer));
      if (frames.length === 0 && !native().socketWait(this.#handle, answerTimeoutMs)) {
        throw kernelError('ETIMEDOUT', `${request.what} failed: no answer from the kernel within ${answerTimeoutMs} ms`);
      }
      for (const frame of frames) {
        if (frame.sequence !== sequence) continue; // what is left of an earlier request that timed out
        if (isLast(request, frame)) return answers;
        answers.push(frame);
      }
    }
  }
}

/**
 * Sends one request that is answered by an acknowledgement, in our own namespace, from a thread of the pool: the loop goes on while the kernel
 * waits. Throws like request().
 */
export async function requestOffLoop(request: NetlinkRequest): Promise<void> {
  const answer = await native().socketExchange(frameBytes(request, 1));
  const [frame] = framesOf(answer, answer.length);
  if (frame === undefined || !isLast(request, frame)) throw kernelError('EBADMSG', `${request.what} failed: no acknowledgement`);
}

/** Whether `frame` ends the answer. Throws when it is a refusal. */
function isLast(request: NetlinkRequest, frame: Frame): boolean {
  if (frame.type !== messageType.error && frame.type !== messageType.done) return false;
  const errno = frame.body.length >= 4 ? -frame.body.readInt32LE(0) : 0;
  if (errno > 0) throw refusal(request, frame, errno);
  return true;
}

/** The first `length` bytes of `buffer`, a datagram, taken apart. The bodies are copies. */
function framesOf(buffer: Buffer, length: number): readonly Frame[] {
  const frames: Frame[] = [];
  for (let at = 0; at + headerBytes <= length;) {
    const frameLength = buffer.readUInt32LE(at);
    if (frameLength < headerBytes || at + frameLength > length)
      throw new RangeError(`Netlink message of ${frameLength} bytes does not fit its datagram of ${length}`);
    frames.push({
      type: buffer.readUInt16LE(at + 4),
      flags: buffer.readUInt16LE(at + 6),
      sequence: buffer.readUInt32LE(at + 8),
      body: Buffer.from(buffer.subarray(at + headerBytes, at + frameLength)),
    });
    at += (frameLength + 3) & ~3;
  }
  return frames;
}

function frameBytes({ type, flags = 0, body }: NetlinkRequest, sequence: number): Buffer {
  const frame = Buffer.alloc(headerBytes + ((body.length + 3) & ~3));
  // A dump ends with NLMSG_DONE; asked for an acknowledgement as well, some families send both.
  const asks = (flags & NetlinkFlag.dump) === NetlinkFlag.dump ? NetlinkFlag.request : NetlinkFlag.request | NetlinkFlag.ack;
  frame.writeUInt32LE(headerBytes + body.length, 0);
  frame.writeUInt16LE(type, 4);
  frame.writeUInt16LE(flags | asks, 6);
  frame.writeUInt32LE(sequence, 8);
  frame.set(body, headerBytes);
  return frame;
}

function refusal(request: NetlinkRequest, frame: Frame, errno: number): KernelError {
  const { code, text } = native().describeErrno(errno);
  const detail = extendedAckText(frame);
  return new KernelError(`netlink ${request.what} failed: ${code} (${detail ?? text})`, { code, errno, syscall: 'netlink' });
}

/** NLMSGERR_ATTR_MSG, a C string, behind the echoed request (lib/nlattr.c, netlink_ack()). */
function extendedAckText({ type, flags, body }: Frame): string | undefined {
  if ((flags & ackFlag.attributes) === 0) return undefined;
  let at = 4;
  if (type === messageType.error) at += (flags & ackFlag.capped) !== 0 ? headerBytes : (body.readUInt32LE(4) + 3) & ~3;
  while (at + 4 <= body.length) {
    const length = body.readUInt16LE(at);
    if (length < 4 || at + length > body.length) return undefined;
    if (body.readUInt16LE(at + 2) === extendedAck.message) return body.toString('utf8', at + 4, at + length - 1);
    at += (length + 3) & ~3;
  }
  return undefined;
}

const ownErrno = { EINTR: 4, EBADMSG: 74, ETIMEDOUT: 110 } as const;

function kernelError(code: keyof typeof ownErrno, message: string): KernelError {
  return new KernelError(`netlink ${message}`, { code, errno: ownErrno[code], syscall: 'netlink' });
}
