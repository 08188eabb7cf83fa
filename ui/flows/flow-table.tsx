// SPDX-License-Identifier: Apache-2.0
// The table of flows. Only the rows that are in sight are in the document, however many there are.

import { elementScroll, observeElementOffset, observeElementRect, Virtualizer } from '@tanstack/virtual-core';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { FlowRow } from '../../src/page/flow-row.ts';
import { short } from '../format.ts';
import { connection, skipped } from '../live.ts';
import { go, place } from '../location.ts';
import { useStore } from '../store.ts';
import { chosen, columns, toggleColumn } from './columns.tsx';
import type { Column } from './columns.tsx';
import { isPaused, loadOlder, rows } from './rows.ts';

/** As the style sheet has it; on a phone a row is three lines. */
const isNarrow = matchMedia('(max-width: 760px)');
const rowHeight = () => (isNarrow.matches ? 68 : 28);
/** That many rows before the end the next page is asked for. */
const AHEAD = 60;

function useVirtual(count: number, scroller: { readonly current: HTMLElement | null }) {
  const [, redraw] = useState(0);
  const [virtual] = useState(
    () =>
      new Virtualizer<HTMLElement, HTMLElement>({
        count,
        estimateSize: rowHeight,
        getScrollElement: () => scroller.current,
        overscan: 12,
        scrollToFn: elementScroll,
        observeElementRect,
        observeElementOffset,
        onChange: () => redraw((n) => n + 1),
      }),
  );
  virtual.setOptions({ ...virtual.options, count });
  useEffect(() => virtual._didMount(), [virtual]);
  useEffect(() => {
    const changed = () => virtual.measure();
    isNarrow.addEventListener('change', changed);
    return () => isNarrow.removeEventListener('change', changed);
  }, [virtual]);
  useEffect(() => virtual._willUpdate());
  return virtual;
}

export function FlowTable() {
  const { rows: all, isEnd, isLoading, error } = useStore(rows);
  const { view, selection } = useStore(place);
  const shown = useStore(chosen);
  const scroller = useRef<HTMLDivElement>(null); // null: as preact has it
  const virtual = useVirtual(all.length, scroller);
  const items = virtual.getVirtualItems();
  const last = items.at(-1)?.index ?? 0;
  const isShort = all.length > 0 ? last >= all.length - AHEAD : false;
  useEffect(() => {
    if (isShort) void loadOlder(view);
  }, [isShort, all.length, view]);
  const used = columns.filter(({ id }) => shown.has(id));
  const style = {
    gridTemplateColumns: used.map(({ width, grow }) => (grow > 0 ? `minmax(${width}px, ${grow}fr)` : `${width}px`)).join(' '),
  };
  const selected = selection?.kind === 'flow' ? selection.uuid : undefined;
  const open = (row: FlowRow | undefined) => row && go({ selection: { kind: 'flow', uuid: row.id, time: row.time } });
  const keys = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1, j: 1, k: -1, PageDown: 20, PageUp: -20 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const at = all.findIndex(({ id }) => id === selected);
    const next = Math.min(Math.max(at + step, 0), all.length - 1);
    open(all[next]);
    virtual.scrollToIndex(next);
  };
  return (
    <section class="flows" aria-label="Flows">
      <TableTools />
      <div
        class="table"
        role="grid"
        aria-label="Flows, newest first"
        aria-rowcount={all.length}
        tabIndex={0}
        ref={scroller}
        onKeyDown={keys}
        onScroll={(event) => isPaused.set(event.currentTarget.scrollTop > rowHeight())}
      >
        <div class="table-row table-head" role="row" style={style}>
          {used.map(({ id, title }) => (
            <div role="columnheader" key={id}>
              {title}
            </div>
          ))}
        </div>
        <div class="table-body" style={{ height: `${virtual.getTotalSize()}px` }}>
          {items.map(({ index, start }) => {
            const row = all[index];
            return (
              row && (
                <Row
                  key={row.id}
                  row={row}
                  used={used}
                  top={start}
                  template={style.gridTemplateColumns}
                  isSelected={row.id === selected}
                  open={open}
                />
              )
            );
          })}
        </div>
        <div class="table-end muted">
          {error ?? (isLoading ? 'Reading older flows …' : isEnd && all.length > 0 ? 'There are no older ones in this time' : '')}
        </div>
      </div>
      {all.length === 0 && !isLoading && <EmptyTable />}
    </section>
  );
}

type RowProps = {
  readonly row: FlowRow;
  readonly used: readonly Column[];
  readonly top: number;
  readonly template: string;
  readonly isSelected: boolean;
  readonly open: (row: FlowRow) => void;
};

function Row({ row, used, top, template, isSelected, open }: RowProps) {
  const bad = row.verdict === 'dropped' || row.verdict === 'error';
  return (
    <div
      role="row"
      aria-selected={isSelected}
      class={`table-row ${bad ? 'is-bad' : ''} ${row.reply ? 'is-reply' : ''}`}
      style={{ transform: `translateY(${top}px)`, gridTemplateColumns: template }}
      onClick={() => open(row)}
    >
      {used.map(({ id, mono, cell }) => (
        <div role="gridcell" data-column={id} key={id} class={mono ? 'mono' : ''}>
          {cell(row)}
        </div>
      ))}
    </div>
  );
}

function EmptyTable() {
  const { state } = useStore(connection);
  return (
    <div class="empty">
      <p>{state === 'connecting' || state === 'reading' ? 'Reading flows …' : 'No flows here'}</p>
    </div>
  );
}

function TableTools() {
  const paused = useStore(isPaused);
  const shown = useStore(chosen);
  const missed = useStore(skipped);
  const { rows: all } = useStore(rows);
  return (
    <div class="tools">
      <span class="muted">
        {short(all.length)} shown{missed > 0 && `, ${short(missed)} came too fast to show: filter, or look at the past`}
        {paused && ' · held while you read'}
      </span>
      <details class="menu">
        <summary>Columns</summary>
        <div class="menu-body">
          {columns.map(({ id, title }) => (
            <label key={id}>
              <input type="checkbox" checked={shown.has(id)} onChange={() => toggleColumn(id)} /> {title || 'Way'}
            </label>
          ))}
        </div>
      </details>
    </div>
  );
}
