// SPDX-License-Identifier: Apache-2.0
// What is told to everybody on a segment, as a Target: `put` sends. A burst at once, and again every minute, because switches
// and clients forget, and some did not listen.

import type { Ip, Mac } from '../base/ip.ts';
import type { Target } from '../base/reconcile.ts';
import { KernelError } from '../kernel/errors.ts';
import { PacketSocket } from '../kernel/packet.ts';
import { groupMembership } from './solicited-groups.ts';
import { gratuitousFrames } from './segment-frames.ts';

export type AnnouncementRow = {
  readonly ip: Ip;
  readonly interface: string;
  readonly interfaceIndex: number;
  readonly mac: Mac;
  /** Of the claim, and how many others claim it: whenever they change it has to be told again. */
  readonly epoch: number;
  readonly rivals: number;
};

/** After the first, in milliseconds. */
const BURST_MS = [20, 100, 500, 1000, 2000] as const;
const AGAIN_MS = 60_000;

/**
 * Ends with `signal`. `mayAnswer`: whether the lease lasts. Timers of an agent that was frozen run when it comes round, and
 * by then others may answer.
 */
export function announcementTarget(signal: AbortSignal, mayAnswer: () => boolean): Target<string, AnnouncementRow> {
  const told = new Map<string, AnnouncementRow>();
  const timers = new Map<string, NodeJS.Timeout>();
  const sockets = new Map<number, PacketSocket>();
  const groups = groupMembership();
  const forget = (key: string) => {
    clearTimeout(timers.get(key));
    timers.delete(key);
  };
  const tell = ({ ip, interfaceIndex, mac }: AnnouncementRow) => {
    if (!mayAnswer()) return;
    for (const frame of gratuitousFrames(ip, mac)) send(sockets, interfaceIndex, frame);
  };
  const later = (key: string, row: AnnouncementRow, turn: number) => {
    const timer = setTimeout(
      () => {
        tell(row);
        later(key, row, turn + 1);
      },
      turn < BURST_MS.length ? (BURST_MS[turn] ?? AGAIN_MS) - (BURST_MS[turn - 1] ?? 0) : AGAIN_MS,
    );
    timers.set(key, timer.unref());
  };
  signal.addEventListener('abort', () => {
    for (const key of timers.keys()) forget(key);
    for (const socket of sockets.values()) socket[Symbol.dispose]();
    groups[Symbol.dispose]();
  });
  return {
    name: 'l2_announcements',
    list: () => told.entries(),
    put(entries) {
      for (const [key, row] of entries) {
        forget(key);
        groups.join(row);
        tell(row);
        told.set(key, row);
        later(key, row, 0);
      }
    },
    remove(entries) {
      for (const [key, row] of entries) {
        forget(key);
        groups.leave(row);
        told.delete(key);
      }
    },
  };
}

/** A frame that cannot be sent now is sent again with the next of the burst; an interface that is gone takes its rows along. */
function send(sockets: Map<number, PacketSocket>, interfaceIndex: number, frame: Buffer): void {
  try {
    const socket = sockets.get(interfaceIndex) ?? new PacketSocket(interfaceIndex, 0);
    sockets.set(interfaceIndex, socket);
    socket.send(frame);
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    sockets.get(interfaceIndex)?.[Symbol.dispose]();
    sockets.delete(interfaceIndex);
  }
}
