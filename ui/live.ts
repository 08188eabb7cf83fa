// SPDX-License-Identifier: Apache-2.0
// The stream of what is looked at. It ends while nobody looks (a hidden page), and comes back by itself, a little later each time.

import type { FlowRow } from '../src/page/flow-row.ts';
import type { Bucket, Graph } from '../src/page/graph.ts';
import { emptyGraph, withDelta } from '../src/page/graph.ts';
import type { LiveEvents, StreamState } from '../src/page/api.ts';
import { paramsOf } from '../src/page/view.ts';
import type { View } from '../src/page/view.ts';
import { store } from './store.ts';

export type Connection = StreamState | { readonly state: 'connecting' | 'offline'; readonly message?: string };
export type Seen = { readonly graph: Graph; /** That the counts are of. */ readonly seconds: number };

export const seen = store<Seen>({ graph: emptyGraph, seconds: 1 });
export const histogram = store<readonly Bucket[]>([]);
/** Newest first. */
export const newest = store<readonly FlowRow[]>([]);
export const connection = store<Connection>({ state: 'connecting' });
/** What of the flows that came was not shown. */
export const skipped = store(0);

const KEPT_ROWS = 2000;
const HIDDEN_MS = 60_000;
const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 30_000;
/** A live view says something twice a second; one that does not is cut off, though nobody said so. */
const SILENCE_MS = 20_000;

let source: EventSource | undefined;
let shown: string | undefined;
let pause = FIRST_PAUSE_MS;
let retry: ReturnType<typeof setTimeout> | undefined;
let heard = 0;
let hidden: ReturnType<typeof setTimeout> | undefined;

export function look(view: View): void {
  const wanted = `api/live?${paramsOf(view)}`;
  if (wanted === shown) return;
  shown = wanted;
  newest.set([]);
  skipped.set(0);
  connection.set({ state: 'connecting' });
  open();
}

function open(): void {
  close();
  if (shown === undefined) return;
  const stream = new EventSource(shown);
  heard = Date.now();
  source = stream;
  const on = <N extends keyof LiveEvents>(name: N, take: (data: LiveEvents[N]) => void) =>
    stream.addEventListener(name, (event) => {
      const { data } = event as MessageEvent<string>; // as: what an EventSource gives
      heard = Date.now();
      if (stream === source) take(JSON.parse(data) as LiveEvents[N]); // as: our server's
    });
  on('graph', (event) => {
    pause = FIRST_PAUSE_MS;
    seen.set(event);
  });
  on('delta', ({ delta, seconds }) => seen.set({ graph: withDelta(seen.get().graph, delta), seconds }));
  on('histogram', (buckets) => histogram.set(buckets));
  on('flows', (rows) => {
    if (rows.length > 0) newest.set([...rows.toReversed(), ...newest.get().slice(0, KEPT_ROWS)]);
  });
  on('state', (state) => {
    connection.set(state);
    if (state.skipped > 0) skipped.set(skipped.get() + state.skipped);
  });
  on('bye', () => again());
  stream.addEventListener('error', () => {
    if (stream === source) again();
  });
}

function close(): void {
  clearTimeout(retry);
  source?.close();
  source = undefined;
}

/** Not all pages at the same time, and not for ever at the same pace. */
function again(): void {
  close();
  connection.set({ state: 'offline' });
  retry = setTimeout(
    () => {
      newest.set([]);
      open();
    },
    pause * (0.5 + Math.random()),
  );
  pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
}

setInterval(() => {
  const { state } = connection.get();
  if (state === 'live' && source !== undefined && !document.hidden && Date.now() - heard > SILENCE_MS) again();
}, SILENCE_MS / 4);

document.addEventListener('visibilitychange', () => {
  clearTimeout(hidden);
  if (document.hidden) hidden = setTimeout(close, HIDDEN_MS);
  else if (source === undefined) {
    newest.set([]);
    open();
  }
});
