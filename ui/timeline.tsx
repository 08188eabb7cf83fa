// SPDX-License-Identifier: Apache-2.0
// The histogram over the time that is looked at. To drag over it goes into the past; the buttons go back to now.

import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import type { Bucket } from '../src/page/graph.ts';
import type { Range } from '../src/page/view.ts';
import { windowText } from '../src/page/view.ts';
import { clockOf, moment, short } from './format.ts';
import { histogram } from './live.ts';
import { goView, place } from './location.ts';
import { useStore } from './store.ts';
import { color, theme } from './theme.ts';

const HEIGHT = 64;
const windows = [60_000, 5 * 60_000, 15 * 60_000, 3_600_000];

/** Stacked: dropped stands on errors, which stand on what went well. */
function dataOf(buckets: readonly Bucket[]): uPlot.AlignedData {
  const good = buckets.map(({ forwarded, errors }) => Math.max(0, forwarded - errors));
  return [
    buckets.map(({ start }) => start / 1000),
    buckets.map(({ dropped, errors }, i) => (good[i] ?? 0) + errors + dropped),
    buckets.map(({ errors }, i) => (good[i] ?? 0) + errors),
    good,
  ];
}

function chartIn(host: HTMLElement, onRange: (since: number, until: number) => void): uPlot {
  const paths = uPlot.paths.bars?.({ size: [0.8, 24], align: 1 });
  const bars = (label: string, fill: string): uPlot.Series => ({
    label,
    fill: () => color(fill),
    width: 0,
    points: { show: false },
    ...(paths && { paths }),
  });
  const font = '11px system-ui, sans-serif';
  const axis = { stroke: () => color('muted'), ticks: { show: false }, font };
  return new uPlot(
    {
      width: host.clientWidth,
      height: HEIGHT,
      padding: [6, 8, 0, 0],
      legend: { show: false },
      cursor: { y: false, points: { show: false }, drag: { x: true, y: false, setScale: false } },
      scales: { y: { range: (_plot, _min, max) => [0, Math.max(max, 4)] } },
      axes: [
        {
          ...axis,
          size: 18,
          gap: 2,
          grid: { show: false },
          values: (_plot, splits) =>
            splits.map((at) =>
              clockOf(
                at * 1000,
                splits.some((one) => one % 60 !== 0),
              ),
            ),
        },
        {
          ...axis,
          size: 40,
          gap: 4,
          space: 22,
          grid: { stroke: () => color('line'), width: 1 },
          values: (_plot, splits) => splits.map((value) => short(value)),
        },
      ],
      series: [{}, bars('dropped', 'bad'), bars('errors', 'warn'), bars('forwarded', 'bar')],
      hooks: {
        setSelect: [
          (plot) => {
            const { left, width } = plot.select;
            if (width < 4) return;
            onRange(plot.posToVal(left, 'x') * 1000, plot.posToVal(left + width, 'x') * 1000);
            plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          },
        ],
      },
    },
    dataOf(histogram.get()),
    host,
  );
}

export function Timeline() {
  const host = useRef<HTMLDivElement>(null); // null: as preact has it
  const { view } = useStore(place);
  useEffect(() => {
    const { current } = host;
    if (!current) return undefined;
    const plot = chartIn(current, (since, until) => goView({ range: { kind: 'past', since: Math.floor(since), until: Math.ceil(until) } }));
    const observer = new ResizeObserver(() => plot.setSize({ width: current.clientWidth, height: HEIGHT }));
    observer.observe(current);
    const ends = [
      histogram.listen(() => plot.setData(dataOf(histogram.get()))),
      theme.listen(() => plot.redraw(false)),
      () => observer.disconnect(),
      () => plot.destroy(),
    ];
    return () => ends.forEach((end) => end());
  }, []);
  return (
    <section class="timeline" aria-label="Time">
      <div ref={host} class="chart" title="Drag to look at a part" />
      <RangeTools range={view.range} />
    </section>
  );
}

function RangeTools({ range }: { readonly range: Range }) {
  return (
    <div class="range">
      <div class="range-row" role="group" aria-label="Live">
        {windows.map((windowMs) => (
          <button
            type="button"
            key={windowMs}
            aria-pressed={range.kind === 'live' && range.windowMs === windowMs}
            onClick={() => goView({ range: { kind: 'live', windowMs } })}
          >
            {windowText(windowMs)}
          </button>
        ))}
        <PastMenu range={range} />
      </div>
      <RangeWords range={range} />
    </div>
  );
}

const pasts: readonly (readonly [title: string, ms: number])[] = [
  ['Last hour', 3_600_000],
  ['Last 6 hours', 6 * 3_600_000],
  ['Last day', 24 * 3_600_000],
  ['Last week', 7 * 24 * 3_600_000],
];
const past = (since: number, until: number) => goView({ range: { kind: 'past', since, until } });

function PastMenu({ range }: { readonly range: Range }) {
  const [since, until] = range.kind === 'past' ? [range.since, range.until] : [Date.now() - 3_600_000, Date.now()];
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement); // as: it is the form's own event
    const [from, to] = [timeIn(form, 'since'), timeIn(form, 'until')];
    if (from < to) past(from, to);
  };
  return (
    <details class="menu">
      <summary aria-pressed={range.kind === 'past'} data-test="past">
        Past
      </summary>
      <div class="menu-body">
        {pasts.map(([title, ms]) => (
          <button type="button" key={title} onClick={() => past(Date.now() - ms, Date.now())}>
            {title}
          </button>
        ))}
        <form onSubmit={submit}>
          <label>
            From <input type="datetime-local" name="since" step="1" required value={localTime(since)} />
          </label>
          <label>
            To <input type="datetime-local" name="until" step="1" required value={localTime(until)} />
          </label>
          <button type="submit">Look</button>
        </form>
      </div>
    </details>
  );
}

function timeIn(form: FormData, name: string): number {
  const said = form.get(name);
  return typeof said === 'string' ? Date.parse(said) : Number.NaN;
}

/** As an input has it, in the time zone of the browser. */
const localTime = (ms: number) => new Date(ms - new Date(ms).getTimezoneOffset() * 60_000).toISOString().slice(0, 19);

function RangeWords({ range }: { readonly range: Range }) {
  if (range.kind === 'live') return <div class="muted range-words">live, the last {windowText(range.windowMs)}</div>;
  const { since, until } = range;
  const span = until - since;
  return (
    <div class="range-words">
      <button type="button" title="Earlier" onClick={() => past(since - span, since)}>
        ‹
      </button>
      <span title={`${new Date(since).toISOString()} to ${new Date(until).toISOString()}`}>
        {moment(since)} – {clockOf(until)}
      </span>
      <button type="button" title="Later" onClick={() => past(until, until + span)}>
        ›
      </button>
      <button type="button" title="Twice as long" onClick={() => past(since - span / 2, Math.min(until + span / 2, Date.now()))}>
        −
      </button>
    </div>
  );
}
