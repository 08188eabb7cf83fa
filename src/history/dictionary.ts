// SPDX-License-Identifier: Apache-2.0
// What many rows have in common, as JSON and back: section `dictionary` of a block. And what few have: section `payloads`.

import type { FlowEndpoint } from '../flows/flow.ts';
import { FormatError } from './bytes.ts';
import type { End, Payload, Place } from './parts.ts';
import type { Rows, RowShape } from './rows.ts';
import { textOf, valueOf } from './text.ts';

export type Dictionary = Pick<Rows, 'since' | 'shapes' | 'places' | 'ends'>;

/** Two lines: ends are most of it, and are read only by whoever asks for one. */
export const dictionaryBytes = ({ since, shapes, places, ends }: Dictionary): Buffer =>
  Buffer.from(`${textOf({ since, shapes, places })}\n${JSON.stringify(sharedEndpoints(ends))}`);

/** Throws FormatError, and so may `ends` when it is asked for. */
export function dictionaryFrom(bytes: Buffer): Dictionary {
  const line = bytes.indexOf('\n');
  if (line < 0) throw new FormatError('The dictionary has no second line');
  const { since, shapes, places } = objectFrom(valueOf(bytes.toString('utf8', 0, line)), 'What rows have in common');
  if (typeof since !== 'bigint') throw new FormatError('The dictionary does not say since when');
  let ends: Dictionary['ends'] | undefined;
  return {
    since,
    shapes: listFrom(shapes, 'shapes').map(shapeFrom),
    places: listFrom(places, 'places').map((one) => objectFrom(one, 'A place') as Place), // as: as it was written
    get ends() {
      return (ends ??= endsFrom(bytes.toString('utf8', line + 1)));
    },
  };
}

function endsFrom(text: string): Dictionary['ends'] {
  const { ends, endpoints } = objectFrom(valueOf(text), 'What ends have in common');
  const known = listFrom(endpoints, 'endpoints').map((one) => objectFrom(one, 'An endpoint') as FlowEndpoint); // as: as it was written
  return listFrom(ends, 'ends').map((end) => endFrom(end, known));
}

/** Most are made of what JSON has, and need not be asked for each of their values. */
export function payloadBytes(payloads: Rows['payloads']): Buffer {
  const rows = payloads.map((one) => one ?? 0);
  return Buffer.from(payloads.every(isPlain) ? JSON.stringify(rows) : textOf(rows));
}

function isPlain(payload: Payload | undefined): boolean {
  const { l7, summary: _, ...rest } = payload ?? {};
  return l7?.latencyNs === undefined && Object.keys(rest).length === 0;
}

/** Throws FormatError. */
export function payloadsFrom(bytes: Buffer): Rows['payloads'] {
  const payloads = listFrom(valueOf(bytes.toString()), 'payloads');
  return payloads.map((one) => (one === 0 ? undefined : (objectFrom(one, 'A payload') as Payload))); // as: as it was written
}

/** Many addresses outside have one endpoint, `world`. 0 is none. */
function sharedEndpoints(ends: readonly End[]): { readonly ends: readonly unknown[]; readonly endpoints: readonly FlowEndpoint[] } {
  const endpoints: FlowEndpoint[] = [];
  const known = new Map<string, number>();
  const place = (endpoint: FlowEndpoint) => {
    const text = JSON.stringify(endpoint);
    const before = known.get(text);
    if (before !== undefined) return before;
    const index = endpoints.push(endpoint);
    known.set(text, index);
    return index;
  };
  const rows = ends.map(({ address, endpoint, names, service }) => {
    const row = [address ?? 0, endpoint ? place(endpoint) : 0, names ?? 0, service ?? 0];
    return row.slice(0, row.findLastIndex((one) => one !== 0) + 1);
  });
  return { ends: rows, endpoints };
}

function endFrom(value: unknown, endpoints: readonly FlowEndpoint[]): End {
  const [address = 0, place = 0, names = 0, service = 0] = listFrom(value, 'ends');
  if (typeof place !== 'number' || (place !== 0 && endpoints[place - 1] === undefined))
    throw new FormatError('An end has an endpoint that is not there');
  return {
    address: address === 0 ? undefined : String(address),
    endpoint: endpoints[place - 1],
    names: names === 0 ? undefined : listFrom(names, 'names').map(String),
    service: service === 0 ? undefined : objectFrom(service, 'A service'),
  };
}

const KINDS: readonly unknown[] = ['flow', 'lost', 'gap'] satisfies readonly RowShape['kind'][];

function shapeFrom(value: unknown): RowShape {
  const shape = objectFrom(value, 'A shape');
  if (!KINDS.includes(shape['kind'])) throw new FormatError(`A row is of kind ${String(shape['kind'])}`);
  objectFrom(shape[String(shape['kind'])], 'What a row is');
  return shape as RowShape; // as: of a kind that there is, with its fields as they were written
}

type Fields = Readonly<Record<string, unknown>>;

function objectFrom(value: unknown, what: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new FormatError(`${what} is no object`);
  return value as Fields; // as: the line above
}

function listFrom(value: unknown, what: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new FormatError(`There is no list of ${what}`);
  return value;
}
