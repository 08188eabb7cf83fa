// SPDX-License-Identifier: Apache-2.0
// What a reader wants, told so that most of the past need not be looked at: a filter is one of several alternatives, an alternative all of
// its conditions, and a condition asks for one part of a flow. It is asked once of each part that a block has, not of each row; and of
// the words of a block before that is read. What passes is asked `matches`, which alone decides.

import type { Flow } from '../flows/flow.ts';
import { mayHave } from './bloom.ts';
import type { Indexed } from './block.ts';
import type { Numbers } from './numbers.ts';
import type { End, Place, Shape } from './parts.ts';
import type { RowShape } from './rows.ts';

export type Condition = {
  /** One of them has to be in a block (`summary.ts` has their spelling). Undefined: no words tell. */
  readonly words?: readonly string[] | undefined;
} & (
  | {
      readonly about: 'source' | 'destination' | 'shape' | 'place';
      /** Sees a flow with nothing but that part. */ readonly holds: (part: Flow) => boolean;
    }
  | { readonly about: 'sourcePort' | 'destinationPort'; readonly ports: ReadonlySet<number> }
  | { readonly about: 'nothing' }
);

export type Wanted = {
  readonly matches: (flow: Flow) => boolean;
  /** Empty: anything may match. */
  readonly alternatives: readonly (readonly Condition[])[];
};

export const anything: Wanted = { matches: () => true, alternatives: [] };

/** Whether a block with these words may have a flow that is wanted. */
export function mayBeIn({ alternatives }: Wanted, bloom: Buffer): boolean {
  if (alternatives.length === 0) return true;
  return alternatives.some((all) => all.every(({ words }) => words === undefined || words.some((word) => mayHave(bloom, word))));
}

/** Of each row 1 if it may be wanted, as what is no flow always is. A column is walked once for each condition: so it costs a nanosecond. */
export function wantedRows({ alternatives }: Wanted, indexed: Indexed): Uint8Array {
  const wanted = new Uint8Array(indexed.count).fill(alternatives.length === 0 ? 1 : 0);
  for (const all of alternatives) {
    const rows = new Uint8Array(indexed.count).fill(1);
    for (const condition of all.toSorted((a, b) => order.indexOf(a.about) - order.indexOf(b.about)))
      if (rows.includes(1)) narrow(rows, condition, indexed);
    for (let row = 0; row < rows.length; row++) wanted[row] = (wanted[row] ?? 0) | (rows[row] ?? 0);
  }
  const others = Uint8Array.from(indexed.shapes, ({ kind }) => (kind === 'flow' ? 0 : 1));
  if (alternatives.length > 0 && others.includes(1))
    for (let row = 0; row < wanted.length; row++) wanted[row] = (wanted[row] ?? 0) | (others[indexed.columns.shape[row] ?? 0] ?? 0);
  return wanted;
}

/** What costs little is asked first. */
const order: readonly Condition['about'][] = ['shape', 'place', 'sourcePort', 'destinationPort', 'source', 'destination', 'nothing'];

/** Takes away the rows that do not meet the condition. */
function narrow(rows: Uint8Array, condition: Condition, indexed: Indexed): void {
  const { columns, shapes, places } = indexed; // and not ends, which are much to read
  switch (condition.about) {
    case 'shape':
      return keepListed(
        rows,
        columns.shape,
        shapes.map((one) => condition.holds(ofShape(one))),
      );
    case 'place':
      return keepListed(
        rows,
        columns.place,
        places.map((one) => condition.holds(ofPlace(one))),
      );
    case 'source':
      return keepListed(
        rows,
        columns.source,
        indexed.ends.map((one) => condition.holds(ofSource(one))),
      );
    case 'destination':
      return keepListed(
        rows,
        columns.destination,
        indexed.ends.map((one) => condition.holds(ofDestination(one))),
      );
    case 'sourcePort':
    case 'destinationPort': {
      const column = columns[condition.about];
      const ports = Array.from(condition.ports, (port) => port + 1);
      for (let row = 0; row < rows.length; row++) if (!ports.includes(column[row] ?? 0)) rows[row] = 0;
      return;
    }
    case 'nothing':
      return;
  }
}

function keepListed(rows: Uint8Array, column: Numbers, holds: readonly boolean[]): void {
  const kept = Uint8Array.from(holds, (one) => (one ? 1 : 0));
  for (let row = 0; row < rows.length; row++) rows[row] = (rows[row] ?? 0) & (kept[column[row] ?? 0] ?? 0);
}

const NOTHING: Flow = { time: 0n, uuid: '', verdict: 0, type: 0, nodeName: '', summary: '' };

function ofShape(row: RowShape): Flow {
  if (row.kind !== 'flow') return NOTHING;
  const { ip, l4, ...rest }: Shape = row.flow;
  return { ...NOTHING, ...rest, ip, l4 };
}

const ofPlace = (place: Place): Flow => ({ ...NOTHING, ...place });

const ofSource = ({ address, endpoint, names, service }: End): Flow => ({
  ...NOTHING,
  ip: { source: address },
  source: endpoint,
  sourceNames: names,
  sourceService: service,
});

const ofDestination = ({ address, endpoint, names, service }: End): Flow => ({
  ...NOTHING,
  ip: { destination: address },
  destination: endpoint,
  destinationNames: names,
  destinationService: service,
});
