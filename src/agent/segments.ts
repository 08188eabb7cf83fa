// SPDX-License-Identifier: Apache-2.0
// The segments that this node is on: a socket for hellos on each uplink, while it is one.

import type { Mac } from '../base/ip.ts';
import { KernelError } from '../kernel/errors.ts';
import { PacketSocket } from '../kernel/packet.ts';
import { HELLO_GROUP, HELLO_PROTOCOL } from './hello.ts';

export type Segment = { readonly name: string; readonly index: number; readonly mac: Mac; readonly since: number };

export type Segments = Disposable & {
  readonly all: () => Iterable<Segment>;
  /** Makes them those of `wanted`; none once disposed of. */
  readonly set: (wanted: readonly Omit<Segment, 'since'>[], now: number) => void;
  /** A frame that cannot be sent is one that is lost. */
  readonly send: (segment: Segment, frame: Buffer) => void;
};

type Open = { readonly segment: Segment; readonly socket: PacketSocket; readonly poll: Disposable };

/** `hear` is called with what has arrived; the frames are views. */
export function segmentsOf(hear: (segment: Segment, frames: Iterable<Buffer>) => void): Segments {
  const open = new Map<number, Open>();
  let over = false;
  const close = (index: number) => {
    open.get(index)?.poll[Symbol.dispose]();
    open.get(index)?.socket[Symbol.dispose]();
    open.delete(index);
  };
  const begin = (segment: Segment) => {
    orClose(segment.index, () => {
      const socket = new PacketSocket(segment.index, HELLO_PROTOCOL);
      socket.join(HELLO_GROUP);
      const poll = socket.onReadable(() => orClose(segment.index, () => hear(segment, socket.frames())));
      open.set(segment.index, { segment, socket, poll });
    });
  };
  /** An interface that fails is gone, or soon back: the next look knows. */
  const orClose = (index: number, act: () => void) => {
    try {
      act();
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      close(index);
    }
  };
  return {
    all: () => Array.from(open.values(), ({ segment }) => segment),
    set(wanted, now) {
      if (over) return; // tables still change while an agent ends
      for (const { segment } of open.values())
        if (!wanted.some(({ name, index, mac }) => name === segment.name && index === segment.index && mac === segment.mac))
          close(segment.index);
      for (const one of wanted) if (!open.has(one.index)) begin({ ...one, since: now });
    },
    send({ index }, frame) {
      try {
        open.get(index)?.socket.send(frame);
      } catch (error) {
        if (!(error instanceof KernelError)) throw error;
      }
    },
    [Symbol.dispose]() {
      over = true;
      for (const index of open.keys()) close(index);
    },
  };
}
