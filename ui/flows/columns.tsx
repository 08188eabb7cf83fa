// SPDX-License-Identifier: Apache-2.0
// The columns of the flow table, in their order; users choose which.

import type { ComponentChildren } from 'preact';
import type { FlowRow, RowEnd } from '../../src/page/flow-row.ts';
import { clock, day, latency } from '../format.ts';
import { store } from '../store.ts';

export type Column = {
  readonly id: string;
  readonly title: string;
  /** Of the row's width, beside the others; pixels at least. */
  readonly grow: number;
  readonly width: number;
  readonly mono?: boolean;
  readonly byDefault: boolean;
  readonly cell: (row: FlowRow) => ComponentChildren;
};

function endName({ pod, namespace, names, service, ip, id }: RowEnd): string {
  if (pod) return `${namespace ?? ''}/${pod}`;
  return service ?? names?.[0] ?? (id === 'world' || id === 'unknown' ? (ip ?? id) : id);
}

function End({ end }: { readonly end: RowEnd }) {
  const { pod, namespace, port } = end;
  return (
    <span class="end" title={`${endName(end)}${port ? `:${port}` : ''}`}>
      <span class="end-name">
        {pod && namespace ? <span class="muted">{namespace}/</span> : undefined}
        {pod ?? endName(end)}
      </span>
      {port ? <span class="muted">:{port}</span> : undefined}
    </span>
  );
}

const verdictClass = (verdict: string) => (verdict === 'dropped' || verdict === 'error' ? 'bad' : verdict === 'audit' ? 'warn' : 'good');

export function Verdict({ row: { verdict } }: { readonly row: FlowRow }) {
  return <span class={`verdict ${verdictClass(verdict)}`}>{verdict}</span>;
}

/** Which way connections go, not the packet: replies point back. */
const arrowOf = ({ reply }: FlowRow) => (reply === true ? '←' : '→');

export const columns: readonly Column[] = [
  { id: 'time', title: 'Time', grow: 0, width: 96, mono: true, byDefault: true, cell: ({ time }) => clock(time) },
  {
    id: 'date',
    title: 'Date',
    grow: 0,
    width: 88,
    mono: true,
    byDefault: false,
    cell: ({ time }) => day(Number(BigInt(time) / 1_000_000n)),
  },
  { id: 'source', title: 'Source', grow: 3, width: 170, byDefault: true, cell: (row) => <End end={row.source} /> },
  {
    id: 'arrow',
    title: '',
    grow: 0,
    width: 24,
    byDefault: true,
    cell: (row) => (
      <span class="muted" title={row.reply ? 'a reply' : 'a request'}>
        {arrowOf(row)}
      </span>
    ),
  },
  { id: 'destination', title: 'Destination', grow: 3, width: 170, byDefault: true, cell: (row) => <End end={row.destination} /> },
  { id: 'protocol', title: 'Protocol', grow: 0, width: 72, byDefault: true, cell: ({ layer7, protocol }) => layer7 ?? protocol },
  { id: 'verdict', title: 'Verdict', grow: 0, width: 88, byDefault: true, cell: (row) => <Verdict row={row} /> },
  {
    id: 'info',
    title: 'Info',
    grow: 4,
    width: 180,
    byDefault: true,
    cell: ({ reason, summary }) => (reason ? <span class="bad">{reason}</span> : summary),
  },
  {
    id: 'latency',
    title: 'Latency',
    grow: 0,
    width: 76,
    mono: true,
    byDefault: false,
    cell: (row) => (row.latency === undefined ? '' : latency(row.latency)),
  },
  { id: 'status', title: 'Status', grow: 0, width: 60, mono: true, byDefault: false, cell: ({ status }) => status },
  { id: 'event', title: 'Seen', grow: 0, width: 110, byDefault: false, cell: ({ event }) => event },
  { id: 'direction', title: 'Direction', grow: 0, width: 76, byDefault: false, cell: ({ direction }) => direction },
  { id: 'source-ip', title: 'Source IP', grow: 1, width: 120, mono: true, byDefault: false, cell: ({ source }) => source.ip },
  {
    id: 'destination-ip',
    title: 'Destination IP',
    grow: 1,
    width: 120,
    mono: true,
    byDefault: false,
    cell: ({ destination }) => destination.ip,
  },
  {
    id: 'source-identity',
    title: 'Source identity',
    grow: 0,
    width: 110,
    mono: true,
    byDefault: false,
    cell: ({ source }) => source.identity,
  },
  {
    id: 'destination-identity',
    title: 'Dest. identity',
    grow: 0,
    width: 110,
    mono: true,
    byDefault: false,
    cell: ({ destination }) => destination.identity,
  },
  { id: 'policies', title: 'Policies', grow: 2, width: 120, byDefault: false, cell: ({ policies }) => policies?.join(', ') },
  { id: 'node', title: 'Node', grow: 0, width: 110, byDefault: false, cell: ({ node }) => node.split('/').at(-1) },
];

const KEY = 'columns';
const known = new Set(columns.map(({ id }) => id));
const saved =
  localStorage
    .getItem(KEY)
    ?.split(',')
    .filter((id) => known.has(id)) ?? [];

/** Ids of those that are shown. */
export const chosen = store<ReadonlySet<string>>(
  new Set(saved.length > 0 ? saved : columns.flatMap(({ id, byDefault }) => (byDefault ? [id] : []))),
);

export function toggleColumn(id: string): void {
  const next = new Set(chosen.get());
  if (!next.delete(id)) next.add(id);
  if (next.size === 0) return;
  localStorage.setItem(KEY, [...next].join(','));
  chosen.set(next);
}
