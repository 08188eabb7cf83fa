// SPDX-License-Identifier: Apache-2.0
// What is known of a block without reading it: which times and positions, how many flows of which verdict when, and the words that may
// be in it. Words are what filters ask for.

import { bloomOf } from './bloom.ts';
import type { End, Payload, Shape } from './parts.ts';
import type { Rows } from './rows.ts';

export type Summary = {
  readonly node: string;
  readonly count: number;
  /** Smallest and largest position, and time in nanoseconds since the epoch. */
  readonly positions: readonly [first: number, last: number];
  readonly times: readonly [first: bigint, last: bigint];
  /** Flows by verdict, in each of `SLICES` equal parts of its time. */
  readonly verdicts: Readonly<Record<string, readonly number[]>>;
  /** Whether there is anything that is no flow: filters do not keep that away. */
  readonly others: boolean;
  readonly bloom: Buffer;
};

export const SLICES = 16;
/** From here on a port is most often one that a client was given for a while, and nobody looks for it. */
const EPHEMERAL = 32_768;

/** `words`: whether anybody will ask for them. */
export function summaryOf(rows: Rows, words = true): Summary {
  const { position } = rows.columns;
  const [first, last] = rangeOf(rows.columns.time);
  return {
    node: rows.node,
    count: rows.count,
    positions: [position[0] ?? 0, position.at(-1) ?? 0],
    times: [rows.since + BigInt(first), rows.since + BigInt(last)],
    verdicts: verdictsOf(rows, first, last),
    others: rows.shapes.some(({ kind }) => kind !== 'flow'),
    bloom: bloomOf(words ? wordsOf(rows) : new Set()),
  };
}

/** Which of the equal parts of a time has `time`. */
const sliceOf = (time: number, first: number, last: number): number =>
  last > first ? Math.min(SLICES - 1, Math.floor(((time - first) / (last - first)) * SLICES)) : 0;

function verdictsOf({ columns, shapes, count }: Rows, first: number, last: number): Record<string, number[]> {
  const found: Record<string, number[]> = {};
  for (let row = 0; row < count; row++) {
    const shape = shapes[columns.shape[row] ?? 0];
    if (shape?.kind !== 'flow') continue;
    const slices = (found[shape.flow.verdict] ??= Array.from({ length: SLICES }, () => 0));
    const slice = sliceOf(columns.time[row] ?? 0, first, last);
    slices[slice] = (slices[slice] ?? 0) + 1;
  }
  return found;
}

function rangeOf(values: Rows['columns']['time']): readonly [number, number] {
  let [first, last] = [values[0] ?? 0, values[0] ?? 0];
  for (const value of values) {
    if (value < first) first = value;
    if (value > last) last = value;
  }
  return [first, last];
}

function wordsOf({ shapes, ends, payloads, columns }: Rows): ReadonlySet<string> {
  const words = new Set<string>();
  for (const shape of shapes) if (shape.kind === 'flow') for (const word of shapeWords(shape.flow)) words.add(word);
  for (const end of ends) for (const word of endWords(end)) words.add(word);
  for (const payload of payloads) if (payload) for (const word of payloadWords(payload)) words.add(word);
  for (const ports of [columns.sourcePort, columns.destinationPort])
    for (const port of new Set(ports)) if (port > 0 && port - 1 < EPHEMERAL) words.add(portWord(port - 1));
  return words;
}

export const portWord = (port: number): string => `port ${port}`;
export const isRemembered = (port: number): boolean => port < EPHEMERAL;

function* shapeWords({ verdict, type, dropReasonDesc, l4, eventType, ip }: Shape): Generator<string> {
  yield `verdict ${verdict}`;
  yield `type ${type}`;
  if (l4) yield `protocol ${l4.kind}`;
  if (dropReasonDesc !== undefined) yield `reason ${dropReasonDesc}`;
  if (eventType?.type !== undefined) yield `event ${eventType.type}`;
  if (ip?.ipVersion !== undefined) yield `version ${ip.ipVersion}`;
}

/** Of both ends alike. */
function* endWords({ address, endpoint, names, service }: End): Generator<string> {
  if (address !== undefined) yield `ip ${address}`;
  for (const name of names ?? []) yield `name ${name}`;
  if (service) yield `service ${service.namespace}/${service.name}`;
  if (!endpoint) return;
  if (endpoint.identity !== undefined) yield `identity ${endpoint.identity}`;
  if (endpoint.namespace !== undefined) yield `namespace ${endpoint.namespace}`;
  if (endpoint.podName !== undefined) yield `pod ${endpoint.namespace}/${endpoint.podName}`;
  for (const { name } of endpoint.workloads ?? []) yield `workload ${name}`;
  for (const label of endpoint.labels ?? []) yield `label ${label}`;
}

function* payloadWords({ l7 }: Payload): Generator<string> {
  if (!l7?.record) return;
  yield `l7 ${l7.record.kind}`;
  if (l7.record.kind === 'http' && l7.record.code !== undefined) yield `code ${l7.record.code}`;
}
