// SPDX-License-Identifier: Apache-2.0
// Rows in memory, as columns: numbers of their own, and indices into what they have in common. A block on disk is the same in bytes,
// so what is read of one is read of the other.

import type { Entry } from '../flows/flow-ring.ts';
import type { Flow, LostEvent } from '../flows/flow.ts';
import type { Numbers } from './numbers.ts';
import { flowOf } from './parts.ts';
import type { End, Payload, Place, Shape } from './parts.ts';
import { uuidsOf } from './uuid.ts';

/** A time of which nothing is known, because nobody looked or nobody could write. */
export type Gap = {
  readonly why: 'stopped' | 'full' | 'slow' | 'damaged';
  /** Nanoseconds since the epoch. */
  readonly first: bigint;
  readonly last: bigint;
  /** Flows that are known to have been there. */
  readonly flows: number;
};

export type HistoryEntry = Entry | { readonly kind: 'gap'; readonly gap: Gap };

/** What the shape of a row says that it is. */
export type RowShape =
  | { readonly kind: 'flow'; readonly flow: Shape }
  | { readonly kind: 'lost'; readonly lost: LostEvent }
  | { readonly kind: 'gap'; readonly gap: Gap };

export const columnNames = [
  'position',
  'time',
  'shape',
  'place',
  'source',
  'destination',
  'sourcePort',
  'destinationPort',
  'payload',
  'latency',
  'cookie',
] as const;
export type ColumnName = (typeof columnNames)[number];
export type Columns = Readonly<Record<ColumnName, Numbers>>;

export type Rows = {
  readonly count: number;
  /** Whose uuids these are. */
  readonly node: string;
  /** Nanoseconds since the epoch; column `time` counts from it. */
  readonly since: bigint;
  readonly columns: Columns;
  readonly shapes: readonly RowShape[];
  readonly places: readonly Place[];
  readonly ends: readonly End[];
  /** The first one is none: that of most flows. */
  readonly payloads: readonly (Payload | undefined)[];
};

export const timeAt = ({ since, columns }: Rows, row: number): bigint => since + BigInt(columns.time[row] ?? 0);

export function entryAt(rows: Rows, row: number): HistoryEntry {
  const shape = rows.shapes[rows.columns.shape[row] ?? 0];
  return shape?.kind === 'flow' ? { kind: 'flow', flow: flowAt(rows, row, shape.flow) } : (shape ?? NOTHING);
}

/** Nothing that a row can be: decoding has looked whether its indices lead somewhere. */
const NOTHING: HistoryEntry = { kind: 'lost', lost: {} };
const NO_END: End = {};
const NOWHERE: Place = { nodeName: '' };

function flowAt(rows: Rows, row: number, shape: Shape): Flow {
  const { columns, places, ends } = rows;
  const at = (name: ColumnName) => columns[name][row] ?? 0;
  const payload = at('payload') === 0 ? undefined : rows.payloads[at('payload')]; // which are much to read
  return flowOf({
    shape,
    place: places[at('place')] ?? NOWHERE,
    source: ends[at('source')] ?? NO_END,
    destination: ends[at('destination')] ?? NO_END,
    payload,
    own: {
      time: timeAt(rows, row),
      uuid: payload?.uuid ?? uuidsIn(rows.node).of(at('position')),
      sourcePort: at('sourcePort'),
      destinationPort: at('destinationPort'),
      latency: at('latency'),
      cookie: at('cookie'),
    },
  });
}

let named = uuidsOf('');
const uuidsIn = (node: string) => (named.node === node ? named : (named = uuidsOf(node)));
