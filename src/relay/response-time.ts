// SPDX-License-Identifier: Apache-2.0
// The time of a response to GetFlows, found without reading the rest of it: field 1001, or that of the flow for who left it out.

import type { Nanoseconds } from '../flows/flow.ts';
import { Reader, WireError } from '../grpc/wire.ts';

const TIME = 1001;
const FLOW = 1;
const FLOW_TIME = 1;

/** 0 where there is none. Throws WireError. */
export function responseTime(message: Buffer): Nanoseconds {
  const reader = new Reader(message);
  let inner: Nanoseconds | undefined;
  while (reader.at < reader.end) {
    const tag = reader.varint();
    if (tag === TIME * 8 + 2) return timeIn(reader.inner());
    if (tag === FLOW * 8 + 2) inner ??= flowTime(reader.inner());
    else reader.skip(tag & 7);
  }
  return inner ?? 0n;
}

function flowTime(reader: Reader): Nanoseconds | undefined {
  return reader.at < reader.end && reader.varint() === FLOW_TIME * 8 + 2 ? timeIn(reader.inner()) : undefined;
}

function timeIn(reader: Reader): Nanoseconds {
  let [seconds, nanos] = [0n, 0];
  while (reader.at < reader.end) {
    const tag = reader.varint();
    if (tag === 8) seconds = BigInt.asIntN(64, reader.big());
    else if (tag === 16) nanos = reader.varint() | 0;
    else reader.skip(tag & 7);
  }
  if (nanos < 0 || nanos > 999_999_999) throw new WireError(`has ${nanos} nanoseconds`);
  return seconds * 1_000_000_000n + BigInt(nanos);
}
