// SPDX-License-Identifier: Apache-2.0
// One direction of a connection of HTTP/2 (RFC 9113), from the beginnings of its packets. Where a frame ends the next one begins, so that
// positions in the stream of TCP say whether something was missed: then what headers refer to is forgotten, and the next packet that
// begins like a frame is a new start.
//
//   ├─ frame ─┼─ frame ───────┼─ DATA … │ … goes on: nothing to see │ … ends ┼─ frame ─┤
//   packet: kept ──────┤ not kept       packet                      packet

import { hpack } from './hpack.ts';
import type { HeaderField, Hpack } from './hpack.ts';

export type HeaderBlock = { readonly stream: number; readonly fields: readonly HeaderField[] };

/** What a packet carries. */
export type Segment = {
  /** As far as it was kept. */
  readonly bytes: Buffer;
  readonly length: number;
  /** Position of the first byte, modulo 2³². */
  readonly sequence: number;
};

export type Direction = {
  /** The header blocks that begin in it; undefined for what is no HTTP/2. */
  read(segment: Segment): readonly HeaderBlock[] | undefined;
};

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const FRAME_HEADER = 9;
const HEADERS = 1;
const Flag = { endHeaders: 4, padded: 8, priority: 32 } as const;

export function direction(): Direction {
  const headers = hpack();
  const place = placeIn(headers);
  return {
    read(segment) {
      const { bytes, length } = segment;
      let at = place.start(segment);
      const blocks: HeaderBlock[] = [];
      if (at === undefined) return blocks;
      for (let frame = frameAt(bytes, at); frame; frame = frameAt(bytes, at)) {
        at = frame.end;
        if (frame.type !== HEADERS) continue;
        const fields = frame.stream % 2 === 1 ? fieldsIn(headers, bytes, frame) : undefined;
        if (!fields) {
          place.lose();
          return undefined;
        }
        blocks.push({ stream: frame.stream, fields });
      }
      if (at >= length) place.goesOn(at - length);
      else place.lose(); // what was not kept has frames, too
      return blocks;
    },
  };
}

/** Where one is in the stream of TCP. */
function placeIn(headers: Hpack) {
  let next: number | undefined; // position of what comes now
  let begun: number | undefined; // position of the preface
  let rest = 0; // bytes of the last frame that have not come
  /** Nothing is known of what comes. */
  const lose = () => {
    headers.forget();
    next = undefined;
    rest = 0;
  };
  return {
    lose,
    goesOn: (bytes: number) => void (rest = bytes),
    /** Where in the segment a frame begins; undefined: nowhere, or it was read before. */
    start({ bytes, length, sequence }: Segment): number | undefined {
      const isFirst = begun !== sequence && bytes.subarray(0, PREFACE.length).equals(PREFACE);
      if (isFirst) {
        lose();
        begun = sequence;
      }
      const gap = next === undefined ? 0 : (sequence - next) | 0;
      if (gap > rest) lose();
      else if (gap > 0) rest -= gap;
      const again = Math.max(0, -gap);
      if (again >= length) return undefined;
      next = (sequence + length) >>> 0;
      const skipped = Math.min(rest, length - again);
      rest -= skipped;
      return again + skipped + (isFirst ? PREFACE.length : 0);
    },
  };
}

/** Of one HEADERS frame, as far as it was kept; undefined for what is none. */
function fieldsIn(headers: Hpack, bytes: Buffer, { flags, from, end }: Frame): readonly HeaderField[] | undefined {
  const padding = flags & Flag.padded ? (bytes[from] ?? 0) : 0;
  const first = from + (flags & Flag.padded ? 1 : 0) + (flags & Flag.priority ? 5 : 0);
  if (first > end - padding) return undefined;
  const found = headers.read(bytes.subarray(first, end - padding));
  const isCut = end > bytes.length || !(flags & Flag.endHeaders);
  if (!found || (!found.whole && !isCut)) return undefined;
  if (isCut) headers.forget();
  return found.fields;
}

type Frame = { readonly type: number; readonly flags: number; readonly stream: number; readonly from: number; readonly end: number };

function frameAt(bytes: Buffer, at: number): Frame | undefined {
  if (at + FRAME_HEADER > bytes.length) return undefined;
  const from = at + FRAME_HEADER;
  return {
    type: bytes[at + 3] ?? 0,
    flags: bytes[at + 4] ?? 0,
    stream: bytes.readUInt32BE(at + 5) & 0x7fff_ffff,
    from,
    end: from + bytes.readUIntBE(at, 3),
  };
}
