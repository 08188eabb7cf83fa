// SPDX-License-Identifier: Apache-2.0
// Makes rows of entries, one at a time and quickly: this is on the way of every flow. Nothing is turned into text here, and what a
// flow has in common with an earlier one is found by hash and comparison.

import type { Flow } from '../flows/flow.ts';
import { cookieOf, destinationPortOf, endOf, hasPayload, latencyOf, payloadOf, placeOf, shapeOf, sourcePortOf } from './parts.ts';
import { placeHash, samePlace, sameEnd, sameShape, shapeHash } from './likeness.ts';
import type { End, Payload, Place } from './parts.ts';
import { columnNames } from './rows.ts';
import type { HistoryEntry, Rows, RowShape } from './rows.ts';
import { textOf } from './text.ts';
import { uuidsOf } from './uuid.ts';

export type RowBuilder = {
  readonly count: number;
  /** Of the newest row, or what it began after. */
  readonly position: number;
  /** False when it does not fit: the rows are full, or their times too far apart. Then it belongs into others. */
  add(entry: HistoryEntry): boolean;
  /** Those from `first` on that there are by now. They stay as they are. */
  rows(first?: number): Rows;
};

export type BuilderOptions = {
  readonly capacity: number;
  readonly node: string;
  /** The position before. */
  readonly after: number;
};

/** Times may lie so far before the first one, as events of several CPUs do not come in order. An hour of nanoseconds. */
const SLACK = 3_600_000_000_000n;
/** So many of one hash are compared: what differs in nothing else costs room, and no time. */
const TRIES = 16;

export function rowBuilder({ capacity, node, after }: BuilderOptions): RowBuilder {
  const columns = columnsOf(capacity);
  const uuids = uuidsOf(node);
  const { shapes, places, ends, payloads } = dictionaries();
  let [count, position, since] = [0, after, 0n];
  const addFlow = (flow: Flow) => {
    const named = uuids.position(flow.uuid);
    const ours = named !== undefined && named > position;
    if (ours) position = named; // else it shares that of the row before, so that the next one has room
    const plain = ours && !hasPayload(flow);
    columns.shape[count] = shapes.index(flow, plain);
    columns.place[count] = places.index(flow, true);
    columns.source[count] = ends.index(endOf(flow, 'source'));
    columns.destination[count] = ends.index(endOf(flow, 'destination'));
    columns.sourcePort[count] = sourcePortOf(flow);
    columns.destinationPort[count] = destinationPortOf(flow);
    columns.payload[count] = plain ? 0 : payloads.index(ours ? payloadOf(flow) : { ...payloadOf(flow), uuid: flow.uuid });
    columns.latency[count] = latencyOf(flow);
    columns.cookie[count] = cookieOf(flow);
  };
  return {
    get count() {
      return count;
    },
    get position() {
      return position;
    },
    add(entry) {
      const time = timeOf(entry) ?? since + BigInt(columns.time[count - 1] ?? 0);
      if (count === 0) since = time > SLACK ? time - SLACK : 0n;
      const offset = Number(time - since);
      if (count === capacity || !(offset >= 0 && offset <= Number.MAX_SAFE_INTEGER)) return false;
      if (entry.kind === 'flow') addFlow(entry.flow);
      else columns.shape[count] = shapes.all.push(entry) - 1;
      columns.time[count] = offset;
      columns.position[count++] = position;
      return true;
    },
    rows: (first = 0) => ({
      count: count - first,
      node,
      since,
      columns: sliced(columns, first, count),
      shapes: shapes.all,
      places: places.all,
      ends: ends.all,
      payloads: payloads.all,
    }),
  };
}

/** Undefined of a loss of which nobody knows when it was: it was when the row before was. */
function timeOf(entry: HistoryEntry): bigint | undefined {
  if (entry.kind === 'flow') return entry.flow.time;
  return entry.kind === 'gap' ? entry.gap.last : (entry.lost.last ?? entry.lost.first);
}

function dictionaries() {
  return {
    shapes: partDictionary<RowShape>([], shapeLike, shapeRow),
    places: partDictionary<Place>([NOWHERE], placeLike, placeOf),
    ends: endDictionary(),
    payloads: payloadDictionary(),
  };
}

function sliced(columns: Rows['columns'], first: number, end: number): Rows['columns'] {
  const slices = columnNames.map((name) => [name, columns[name].subarray(first, end)] as const);
  return Object.fromEntries(slices) as Rows['columns']; // as: a slice of each
}

/** One literal, so that each store below is one instruction. */
function columnsOf(capacity: number) {
  return {
    position: new Float64Array(capacity),
    time: new Float64Array(capacity),
    shape: new Uint32Array(capacity),
    place: new Uint32Array(capacity),
    source: new Uint32Array(capacity),
    destination: new Uint32Array(capacity),
    sourcePort: new Uint32Array(capacity),
    destinationPort: new Uint32Array(capacity),
    payload: new Uint32Array(capacity),
    latency: new Float64Array(capacity),
    cookie: new Float64Array(capacity),
  };
}

type Like = { readonly hash: (flow: Flow) => number; readonly same: (a: Flow, b: Flow, plain: boolean) => boolean };
type Known = { readonly example: Flow; readonly plain: boolean; readonly index: number };

/** Parts of flows: the index of the one that a flow has, which `make` makes if there is none yet. */
function partDictionary<T>(all: T[], { hash, same }: Like, make: (flow: Flow, plain: boolean) => T) {
  const byHash = new Map<number, Known[]>();
  return {
    all,
    index(flow: Flow, plain: boolean): number {
      const key = hash(flow);
      const bucket = byHash.get(key) ?? [];
      if (bucket.length === 0) byHash.set(key, bucket);
      const known = newest(bucket, (one) => one.plain === plain && same(flow, one.example, plain));
      if (known) return known.index;
      bucket.push({ example: flow, plain, index: all.length });
      return all.push(make(flow, plain)) - 1;
    },
  };
}

const shapeLike: Like = { hash: shapeHash, same: sameShape };
const placeLike: Like = { hash: placeHash, same: samePlace };
const shapeRow = (flow: Flow, plain: boolean): RowShape => ({ kind: 'flow', flow: shapeOf(flow, plain) });

/** The first ones: of what is no flow. */
const NONE: End = {};
const NOWHERE: Place = { nodeName: '' };

function endDictionary() {
  const all: End[] = [NONE];
  const byAddress = new Map<string, number[]>([['', [0]]]);
  return {
    all,
    index(end: End): number {
      const key = end.address ?? '';
      const bucket = byAddress.get(key) ?? [];
      if (bucket.length === 0) byAddress.set(key, bucket);
      const known = newest(bucket, (index) => sameEnd(all[index] ?? NONE, end));
      if (known !== undefined) return known;
      bucket.push(all.length);
      return all.push(end) - 1;
    },
  };
}

/** The newest of the last few that is `wanted`. */
function newest<T>(bucket: readonly T[], wanted: (one: T) => boolean): T | undefined {
  for (let i = bucket.length - 1, end = Math.max(0, bucket.length - TRIES); i >= end; i--) {
    const one = bucket[i];
    if (one !== undefined && wanted(one)) return one;
  }
  return undefined;
}

/** Most have what was said in a connection and a summary, which JSON can tell without being asked for each value. */
function keyOf(payload: Payload): string {
  const { l7, summary, ...rest } = payload;
  for (const _ in rest) return textOf(payload);
  return l7?.latencyNs === undefined ? JSON.stringify([l7, summary]) : textOf(payload);
}

function payloadDictionary() {
  const all: (Payload | undefined)[] = [undefined];
  const byText = new Map<string, number>();
  return {
    all,
    index(payload: Payload): number {
      const text = keyOf(payload);
      const known = byText.get(text);
      if (known !== undefined) return known;
      byText.set(text, all.length);
      return all.push(payload) - 1;
    },
  };
}
