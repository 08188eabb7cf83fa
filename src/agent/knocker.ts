// SPDX-License-Identifier: Apache-2.0
// Knocks at TCP ports of service addresses that other nodes answer for, as a client on the LAN does: frames go out past this node's own
// translation, and what comes back is noted by the data plane (bpf/lib/announce.h).

import { setTimeout as delay } from 'node:timers/promises';
import type { Ip, Mac } from '../base/ip.ts';
import { resetFrame, synFrame } from '../datapath/knock-frames.ts';
import { configDefaults, l2KnockCodec, l2KnockKeyCodec } from '../datapath/schema.gen.ts';
import { native } from '../kernel/addon.ts';
import { KernelError } from '../kernel/errors.ts';
import type { BpfMap } from '../kernel/map.ts';
import { PacketSocket } from '../kernel/packet.ts';

export type Door = {
  readonly ip: Ip;
  readonly port: number;
  readonly interfaceIndex: number;
  /** Of the interface, and of the node that answers for the address. */
  readonly mac: Mac;
  readonly to: Mac;
  readonly source: Ip;
};

export type Knocker = Disposable & {
  /** Whether anything came back: a SYN with an ACK, or a refusal. */
  readonly knock: (door: Door) => Promise<boolean>;
  /** Forgets doors that are not among these. */
  readonly keep: (doors: Iterable<string>) => void;
};

/** After each SYN, how long an answer is waited for. */
const WAITS_MS = [20, 80, 300] as const;

/** Name of a door for keep(). */
export const doorOf = (ip: Ip, port: number): string => `${ip} ${port}`;

export function knocker(knocks: BpfMap): Knocker {
  const senders = sendersOf();
  const doors = new Map<string, Buffer>();
  return {
    async knock({ ip, port, interfaceIndex, mac, to, source }) {
      const key = l2KnockKeyCodec.encode({ address: ip, port });
      const since = Number(native().monotonicNs());
      if (!doors.has(doorOf(ip, port))) knocks.update(key, l2KnockCodec.encode({ answered: 0 }));
      doors.set(doorOf(ip, port), key);
      const answered = () => {
        const value = knocks.lookup(key);
        return value !== undefined && l2KnockCodec.decode(value).answered >= since;
      };
      const sequence = Math.floor(Math.random() * 2 ** 32);
      const knock = { from: mac, to, source, destination: ip, sourcePort: configDefaults.knockPort, destinationPort: port, sequence };
      for (const ms of WAITS_MS) {
        senders.send(interfaceIndex, synFrame(knock));
        await delay(ms, undefined, { ref: false });
        if (answered()) break;
      }
      senders.send(interfaceIndex, resetFrame(knock));
      return answered();
    },
    keep(wanted) {
      const kept = new Set(wanted);
      for (const [name, key] of doors) {
        if (kept.has(name)) continue;
        knocks.delete(key);
        doors.delete(name);
      }
    },
    [Symbol.dispose]: () => senders[Symbol.dispose](),
  };
}

/** One socket for each interface. What cannot be sent is not answered, and the next one gets a new socket. */
function sendersOf(): Disposable & { readonly send: (interfaceIndex: number, frame: Buffer) => void } {
  const sockets = new Map<number, PacketSocket>();
  const close = (index: number) => {
    sockets.get(index)?.[Symbol.dispose]();
    sockets.delete(index);
  };
  return {
    send(index, frame) {
      try {
        const socket = sockets.get(index) ?? new PacketSocket(index, 0);
        sockets.set(index, socket);
        socket.send(frame);
      } catch (error) {
        if (!(error instanceof KernelError)) throw error;
        close(index);
      }
    },
    [Symbol.dispose]() {
      for (const index of sockets.keys()) close(index);
    },
  };
}
