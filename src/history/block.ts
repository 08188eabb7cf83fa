// SPDX-License-Identifier: Apache-2.0
// Rows as bytes and back. A block is made of sections, so that who looks for a flow reads of most blocks two: what there is in common,
// and who has which of it.
//
//   dictionary   what many rows have in common, as JSON: shapes, places, ends and their endpoints
//   index        columns shape, place, source, destination, sourcePort, destinationPort
//   time         columns position, time
//   payloads     what few rows have in common, as JSON
//   rest         columns payload, latency, cookie
//
// Whatever is decoded may be damaged: the only error is FormatError, and each index leads somewhere.

import { ByteReader, FormatError } from './bytes.ts';
import { dictionaryBytes, dictionaryFrom, payloadBytes, payloadsFrom } from './dictionary.ts';
import type { Dictionary } from './dictionary.ts';
import { numberBytes, numbersFrom } from './numbers.ts';
import type { How, Numbers } from './numbers.ts';
import type { ColumnName, Columns, Rows } from './rows.ts';

export type ColumnSection = 'index' | 'time' | 'rest';

/** In the order in which they stand in a file. */
export const sectionNames = ['dictionary', 'index', 'time', 'payloads', 'rest'] as const;
export type SectionName = (typeof sectionNames)[number];
export type Sections = Readonly<Record<SectionName, Buffer>>;

const columnsIn: Readonly<Record<ColumnSection, readonly ColumnName[]>> = {
  index: ['shape', 'place', 'source', 'destination', 'sourcePort', 'destinationPort'],
  time: ['position', 'time'],
  rest: ['payload', 'latency', 'cookie'],
};
const howOf = (name: ColumnName): How => (name === 'position' || name === 'time' ? 'steps' : 'values');

/** One after the other, so that who makes them may pause. Of what rows have in common only what these use is written. */
export function* sectionsOf({ columns, since, ...rows }: Rows): Generator<readonly [name: SectionName, bytes: Buffer]> {
  const shape = used([columns.shape], rows.shapes);
  const place = used([columns.place], rows.places);
  const ends = used([columns.source, columns.destination], rows.ends);
  const payload = used([columns.payload], rows.payloads, 1); // none stays the first one
  yield ['dictionary', dictionaryBytes({ since, shapes: shape.kept, places: place.kept, ends: ends.kept })];
  const [source, destination] = ends.columns;
  const changed = { ...columns, shape: shape.columns[0], place: place.columns[0], source, destination, payload: payload.columns[0] };
  const bytes = (section: ColumnSection) => Buffer.concat(columnsIn[section].map((name) => numberBytes(changed[name], howOf(name))));
  yield ['index', bytes('index')];
  yield ['time', bytes('time')];
  yield ['payloads', payloadBytes(payload.kept)];
  yield ['rest', bytes('rest')];
}

/** The columns of one section, of `count` rows. Throws FormatError. */
function columnsFrom(section: ColumnSection, bytes: Buffer, count: number): Partial<Columns> {
  const reader = new ByteReader(bytes);
  const columns = columnsIn[section].map((name) => [name, numbersFrom(reader, count)] as const);
  if (reader.left > 0) throw new FormatError(`${reader.left} bytes are too many in section ${section}`);
  return Object.fromEntries(columns);
}

/** Enough of a block to say which of its rows may be wanted. */
export type Indexed = Dictionary & {
  readonly count: number;
  readonly columns: Pick<Columns, 'shape' | 'place' | 'source' | 'destination' | 'sourcePort' | 'destinationPort'>;
};

/** Throws FormatError. Whether its indices lead somewhere is not looked at before all of it is read. */
export function indexedFrom({ dictionary, index }: Pick<Sections, 'dictionary' | 'index'>, count: number): Indexed {
  const columns = columnsFrom('index', index, count) as Indexed['columns']; // as: the columns of that section
  return Object.assign(dictionaryFrom(dictionary), { count, columns });
}

/** The rest of it. Throws FormatError. */
export function rowsFrom(indexed: Indexed, sections: Pick<Sections, 'time' | 'payloads' | 'rest'>, node: string): Rows {
  const { count, since, shapes, places, ends } = indexed;
  const [time, rest] = [columnsFrom('time', sections.time, count), columnsFrom('rest', sections.rest, count)];
  const columns = { ...indexed.columns, ...time, ...rest } as Columns; // as: the columns of the three sections are all that there are
  within(columns.shape, shapes, 'shapes');
  within(columns.place, places, 'places');
  within(columns.source, ends, 'ends');
  within(columns.destination, ends, 'ends');
  let payloads: Rows['payloads'] | undefined;
  const payloadsOnce = () => {
    const found = payloadsFrom(sections.payloads);
    within(columns.payload, found, 'payloads');
    return found;
  };
  return {
    count,
    since,
    shapes,
    places,
    ends,
    node,
    columns,
    get payloads() {
      return (payloads ??= payloadsOnce());
    },
  };
}

function within(column: Numbers, all: readonly unknown[], what: string): void {
  for (let row = 0; row < column.length; row++)
    if ((column[row] ?? 0) >= all.length) throw new FormatError(`A row has number ${column[row]} of ${all.length} ${what}`);
}

/** The columns with indices into what of `all` they use, and that; the first `fixed` keep their place. */
function used<T, C extends readonly Numbers[]>(
  columns: readonly [...C],
  all: readonly T[],
  fixed = 0,
): { readonly columns: C; readonly kept: readonly T[] } {
  const places = Int32Array.from(all, (_, index) => (index < fixed ? index : -1));
  const kept = all.slice(0, fixed);
  const changed = columns.map((column) => {
    const moved = new Uint32Array(column.length);
    for (let row = 0; row < moved.length; row++) {
      const index = column[row] ?? 0;
      if (places[index] === -1) places[index] = kept.push(all[index] as T) - 1; // as: an index of ours
      moved[row] = places[index] ?? 0;
    }
    return moved;
  });
  return { columns: changed as unknown as C, kept }; // as: as many as there were
}
