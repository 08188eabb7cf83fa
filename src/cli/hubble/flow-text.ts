// SPDX-License-Identifier: Apache-2.0
// Flows as lines, as records and as a table, byte for byte as users of Hubble know them.
//
//   <time>[ [<node>]]: <left> <identity> <arrow> <right> <identity> <TYPE> <VERDICT> (<SUMMARY>)

import type { Flow, LostEvent, Nanoseconds } from '../../flows/flow.ts';
import { enumName, LostEventSource } from '../../flows/flow-enums.ts';
import { columns } from '../columns.ts';
import { harmless } from './colors.ts';
import { destinationOf, sourceOf, summaryText, typeText, verdictText } from './flow-words.ts';
import type { Wording } from './flow-words.ts';
import { timeText } from './time.ts';
import type { TimeFormat } from './time.ts';

export type TextOptions = Wording & { readonly timeFormat: TimeFormat; readonly nodeName: boolean };

/** One line, with the client on the left: of a reply both ends are swapped and the arrow is turned round. */
export function compactText(flow: Flow, options: TextOptions): string {
  const ends = [sourceOf(flow, options), destinationOf(flow, options)] as const;
  const [left, right] = flow.isReply ? [ends[1], ends[0]] : ends;
  const arrow = flow.isReply === undefined ? '<>' : flow.isReply ? '<-' : '->';
  const node = options.nodeName ? ` [${harmless(flow.nodeName)}]` : '';
  const what = `${typeText(flow)} ${verdictText(flow, options)} (${summaryText(flow, options)})`;
  return `${timeText(flow.time, options.timeFormat)}${node}: ${left.host} ${left.identity} ${arrow} ${right.host} ${right.identity} ${what}\n`;
}

type Cell = readonly [key: string, text: string];

/** What records and tables show: neither arrow nor identities, and never swapped. */
function cells(flow: Flow, options: TextOptions): readonly Cell[] {
  return [
    ['TIMESTAMP', timeText(flow.time, options.timeFormat)],
    ...(options.nodeName ? [['NODE', harmless(flow.nodeName)] as const] : []),
    ['SOURCE', sourceOf(flow, options).host],
    ['DESTINATION', destinationOf(flow, options).host],
    ['TYPE', typeText(flow)],
    ['VERDICT', verdictText(flow, options)],
    ['SUMMARY', summaryText(flow, options)],
  ];
}

const KEY_WIDTH = 11;
export const RECORD_SEPARATOR = `${'-'.repeat(12)}\n`;
const recordText = (of: readonly Cell[]) => of.map(([key, text]) => `${key.padStart(KEY_WIDTH)}: ${text}\n`).join('');

/** A record, without the separator that stands between two. */
export function dictText(flow: Flow, options: TextOptions): string {
  return recordText(cells(flow, options));
}

/** All flows at once: how wide a column is says the widest. */
export function tableText(flows: readonly Flow[], options: TextOptions): string {
  const rows = flows.map((flow) => cells(flow, options));
  const header = ['TIMESTAMP', ...(options.nodeName ? ['NODE'] : []), 'SOURCE', 'DESTINATION', 'TYPE', 'VERDICT', 'SUMMARY'];
  return columns([header, ...rows.map((row) => row.map(([, text]) => text))], { minWidth: 2, padding: 3 });
}

/** A loss stands where it happened, between flows. */
export type Loss = { readonly time: Nanoseconds | undefined; readonly nodeName: string; readonly lost: LostEvent };

export function lossText({ time, nodeName, lost }: Loss, options: TextOptions): string {
  const node = options.nodeName ? ` [${harmless(nodeName)}]` : '';
  const between =
    lost.first === undefined && lost.last === undefined
      ? ''
      : ` (first: ${timeText(lost.first, options.timeFormat)}, last: ${timeText(lost.last, options.timeFormat)})`;
  return `${timeText(time, options.timeFormat)}${node} EVENTS LOST: ${sourceName(lost)} CPU(${lost.cpu ?? 0}) ${lost.numEventsLost ?? 0}${between}\n`;
}

export function lossDictText({ time, nodeName, lost }: Loss, options: TextOptions): string {
  return recordText([
    ['TIMESTAMP', timeText(time, options.timeFormat)],
    ...(options.nodeName ? [['NODE', harmless(nodeName)] as const] : []),
    ['SOURCE', sourceName(lost)],
    ['TYPE', 'EVENTS LOST'],
    ['VERDICT', '-'],
    ['SUMMARY', `CPU(${lost.cpu ?? 0}) - ${lost.numEventsLost ?? 0}`],
  ]);
}

const sourceName = ({ source = 0 }: LostEvent) => enumName(LostEventSource, source);
