// SPDX-License-Identifier: Apache-2.0
// Asks on a segment who has an address, as any host there does, and hears the answer past the node's own tables.

import type { Ip, Mac } from '../base/ip.ts';
import { familyOf } from '../base/ip.ts';
import { EtherType, ownerIn, questionFrame } from '../datapath/segment-frames.ts';
import { KernelError } from '../kernel/errors.ts';
import { PacketSocket } from '../kernel/packet.ts';

export type Question = {
  readonly ip: Ip;
  readonly interfaceIndex: number;
  /** Of the interface. */
  readonly mac: Mac;
  /** In whose name; undefined: nobody's, as who looks whether it is free. */
  readonly source: Ip | undefined;
};

export type Asker = Disposable & {
  /** Asks `times`, and resolves with who answered first, or undefined when nobody did for `eachMs` after the last. */
  readonly ask: (question: Question, times: number, eachMs: number) => Promise<Mac | undefined>;
};

type Waiting = { readonly ip: Ip; readonly own: Mac; readonly answer: (mac: Mac) => void };
type Line = { readonly socket: PacketSocket; readonly poll: Disposable; readonly waiting: Set<Waiting> };

/** Sockets stay open: to close one takes the kernel a while. */
export function asker(): Asker {
  const lines = new Map<string, Line>();
  let over = false;
  const close = (key: string) => {
    lines.get(key)?.poll[Symbol.dispose]();
    lines.get(key)?.socket[Symbol.dispose]();
    lines.delete(key);
  };
  const open = (key: string, interfaceIndex: number, protocol: number): Line => {
    const known = lines.get(key);
    if (known) return known;
    const socket = new PacketSocket(interfaceIndex, protocol);
    const waiting = new Set<Waiting>();
    const poll = socket.onReadable(() => {
      try {
        for (const frame of socket.frames()) tell(waiting, frame);
      } catch (error) {
        if (!(error instanceof KernelError)) throw error;
        close(key);
      }
    });
    const line = { socket, poll, waiting };
    lines.set(key, line);
    return line;
  };
  return {
    async ask(question, times, eachMs) {
      if (over) return undefined; // tables still change while an agent ends
      const { ip, interfaceIndex, mac } = question;
      const protocol = familyOf(ip) === 4 ? EtherType.arp : EtherType.ipv6;
      const key = `${interfaceIndex} ${protocol}`;
      try {
        const line = open(key, interfaceIndex, protocol);
        return await answered(line, { ...question, own: mac }, times, eachMs);
      } catch (error) {
        if (!(error instanceof KernelError)) throw error; // an interface that is down hears nobody
        return undefined;
      }
    },
    [Symbol.dispose]() {
      over = true;
      for (const key of lines.keys()) close(key);
    },
  };
}

async function answered(
  { socket, waiting }: Line,
  question: Question & { readonly own: Mac },
  times: number,
  eachMs: number,
): Promise<Mac | undefined> {
  const { promise, resolve } = Promise.withResolvers<Mac | undefined>();
  const one: Waiting = { ip: question.ip, own: question.own, answer: resolve };
  const frame = questionFrame(question);
  let sent = 0;
  waiting.add(one);
  const again = () => {
    try {
      if (sent++ < times) socket.send(frame);
      else resolve(undefined);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      resolve(undefined);
    }
  };
  const timer = setInterval(again, eachMs);
  try {
    socket.send(frame);
    sent++;
    return await promise;
  } finally {
    clearInterval(timer);
    waiting.delete(one);
  }
}

function tell(waiting: Iterable<Waiting>, frame: Buffer): void {
  const found = ownerIn(frame);
  if (found) for (const { ip, own, answer } of waiting) if (ip === found.ip && own !== found.mac) answer(found.mac);
}
