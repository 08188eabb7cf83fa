// SPDX-License-Identifier: Apache-2.0
// What a flow is called: the node that saw it, and its position in what that node ever saw. Positions grow, also across restarts,
// because an agent begins at the microseconds since the epoch and no node sees a million flows a second for long.
//
//   5f3a9c01-77d2-8e41-8006-48b1c3d2e4f5      version 8: 60 bits of the node, 53 of the position in the last two groups

import { textHash } from '../base/hash.ts';

export type Uuids = {
  readonly node: string;
  of(position: number): string;
  /** Undefined of what another node saw, or nobody of us. */
  position(uuid: string): number | undefined;
};

/** Names one flow after the other. */
export type UuidCounter = {
  next(): string;
  /** Goes on behind `position`, if it has not got there. */
  skip(position: number): void;
};

/** `now`: milliseconds since the epoch. */
export function uuidCounter(uuids: Uuids, now: number): UuidCounter {
  let position = Math.floor(now * 1000);
  return {
    next: () => uuids.of(++position),
    skip: (other) => void (position = Math.max(position, other)),
  };
}

const LOW = 2 ** 48;
const PAGE = 65_536;
const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));
const VARIANT = 0x8000;
const HIGH_AT = 19;
const LOW_AT = 24;
const LENGTH = 36;

export function uuidsOf(node: string): Uuids {
  const hex = [0, 1].map((seed) => textHash(node, seed).toString(16).padStart(8, '0')).join('');
  const prefix = `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(12, 15)}-`;
  let [before, beforeText] = [-1, '']; // all but the last two bytes: of 65,536 flows it is the same
  return {
    node,
    of(position) {
      const upper = Math.floor(position / PAGE);
      if (upper !== before) [before, beforeText] = [upper, prefix + upperText(upper)];
      const low = position % PAGE;
      return `${beforeText}${HEX[low >>> 8]}${HEX[low & 255]}`;
    },
    position(uuid) {
      if (uuid.length !== LENGTH || !uuid.startsWith(prefix)) return undefined;
      const position = (hexAt(uuid, HIGH_AT, 4) - VARIANT) * LOW + hexAt(uuid, LOW_AT, 12);
      return uuid[LOW_AT - 1] === '-' && position >= 0 && Number.isSafeInteger(position) ? position : undefined;
    },
  };
}

function upperText(upper: number): string {
  const [high, low] = [Math.floor(upper / (LOW / PAGE)), upper % (LOW / PAGE)];
  return `${(VARIANT + high).toString(16)}-${low.toString(16).padStart(8, '0')}`;
}

/** NaN when one of the digits is none. Capitals are none: nobody of us writes them, and a name must have one spelling. */
function hexAt(text: string, at: number, digits: number): number {
  let value = 0;
  for (let i = at; i < at + digits; i++) {
    const code = text.charCodeAt(i);
    const digit = code >= 48 && code <= 57 ? code - 48 : code >= 97 && code <= 102 ? code - 87 : Number.NaN;
    value = value * 16 + digit;
  }
  return value;
}
