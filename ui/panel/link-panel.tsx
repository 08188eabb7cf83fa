// SPDX-License-Identifier: Apache-2.0
// Two that talk: on which ports, how much, how fast, what went wrong, and the latest flows.

import type { FlowPage } from '../../src/page/api.ts';
import { paramsOf } from '../../src/page/view.ts';
import type { Term, View } from '../../src/page/view.ts';
import { useAnswer } from '../api.ts';
import { clock } from '../format.ts';
import { seen } from '../live.ts';
import { go, place } from '../location.ts';
import { modelOf } from '../map/scene.ts';
import { useStore } from '../store.ts';
import { Verdict } from '../flows/columns.tsx';
import { Latencies, portText, rateText, reasonText, Troubles } from './numbers.tsx';
import { PanelFrame } from './frame.tsx';

const LATEST = 12;

export function LinkPanel({ from, to }: { readonly from: string; readonly to: string }) {
  const { graph, seconds } = useStore(seen);
  const { view } = useStore(place);
  const arrow = modelOf(graph).arrows.find((one) => one.from === from && one.to === to);
  const links = arrow?.links.toSorted((a, b) => b.counts.connections - a.counts.connections) ?? [];
  const reasons = [...new Set(links.flatMap(({ counts }) => (counts.reason === undefined ? [] : [reasonText(counts.reason)])))];
  return (
    <PanelFrame
      kind="Connection"
      title={
        <>
          {from} <span class="muted">→</span> {to}
        </>
      }
    >
      <div class="actions">
        <button
          type="button"
          data-test="show-flows"
          onClick={() => go({ page: 'flows', selection: undefined, view: linkView(view, from, to) })}
        >
          Show flows
        </button>
        <button type="button" onClick={() => go({ selection: { kind: 'node', id: from } })}>
          {from.split('/').at(-1)}
        </button>
        <button type="button" onClick={() => go({ selection: { kind: 'node', id: to } })}>
          {to.split('/').at(-1)}
        </button>
      </div>
      {links.length === 0 && <p class="muted">Nothing was seen between them in this time.</p>}
      {links.length > 0 && (
        <table class="counts">
          <thead>
            <tr>
              <th>Port</th>
              <th>Rate</th>
              <th>p50 / p99</th>
              <th>Trouble</th>
            </tr>
          </thead>
          <tbody>
            {links.map((link) => (
              <tr key={link.index}>
                <td>{portText(link)}</td>
                <td class="num">{rateText(link.counts, seconds)}</td>
                <td class="num">
                  <Latencies counts={link.counts} />
                </td>
                <td>
                  <Troubles counts={link.counts} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {reasons.length > 0 && <p class="bad">Dropped: {reasons.join(', ')}</p>}
      <Latest view={linkView(view, from, to)} />
    </PanelFrame>
  );
}

function linkView(view: View, from: string, to: string): View {
  const term: Term = { kind: 'link', side: 'either', not: false, value: `${from}>${to}` };
  return { ...view, terms: [...view.terms.filter(({ kind }) => kind !== 'at' && kind !== 'link'), term] };
}

function Latest({ view }: { readonly view: View }) {
  const { value, error, isLoading } = useAnswer<FlowPage>(
    `api/flows?${paramsOf(view)}&limit=${LATEST}`,
    view.range.kind === 'live' ? 5000 : undefined,
  );
  return (
    <>
      <h3>Latest flows</h3>
      {error && <p class="bad">{error}</p>}
      {isLoading && <p class="muted">Reading …</p>}
      <ul class="latest">
        {value?.rows.map((row) => (
          <li key={row.id}>
            <button type="button" class="row-button" onClick={() => go({ selection: { kind: 'flow', uuid: row.id, time: row.time } })}>
              <span class="mono muted">{clock(row.time)}</span>
              <Verdict row={row} />
              <span class="latest-text">{row.reason ?? row.summary}</span>
            </button>
          </li>
        ))}
      </ul>
    </>
  );
}
