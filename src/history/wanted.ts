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

/** Whether a row may be wanted. What is no flow always is. */
export type RowTest = (row: number) => boolean;

export function rowTest({ alternatives }: Wanted, indexed: Indexed): RowTest {
  if (alternatives.length === 0) return () => true;
  const { shape } = indexed.columns;
  const isFlow = indexed.shapes.map(({ kind }) => kind === 'flow');
  const tests = alternatives.map((all) => all.flatMap((condition) => conditionTest(condition, indexed) ?? []));
  return (row) => !isFlow[shape[row] ?? 0] || tests.some((all) => all.every((test) => test(row)));
}

function conditionTest(condition: Condition, { columns, shapes, places, ends }: Indexed): RowTest | undefined {
  switch (condition.about) {
    case 'shape':
      return listed(
        columns.shape,
        shapes.map((one) => condition.holds(ofShape(one))),
      );
    case 'place':
      return listed(
        columns.place,
        places.map((one) => condition.holds(ofPlace(one))),
      );
    case 'source':
      return listed(
        columns.source,
        ends.map((one) => condition.holds(ofSource(one))),
      );
    case 'destination':
      return listed(
        columns.destination,
        ends.map((one) => condition.holds(ofDestination(one))),
      );
    case 'sourcePort':
    case 'destinationPort': {
      const column = columns[condition.about];
      return (row) => condition.ports.has((column[row] ?? 0) - 1);
    }
    case 'nothing':
      return undefined;
  }
}

const listed =
  (column: Numbers, holds: readonly boolean[]): RowTest =>
  (row) =>
    holds[column[row] ?? 0] === true;

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
