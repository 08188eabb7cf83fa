// SPDX-License-Identifier: Apache-2.0
// One view that somebody looks at: reads its flows, keeps its map, and tells everybody who looks what has changed.
//
//   source ─flows▶ aggregator ─graph▶ delta ─▶ each watcher
//                └▶ the newest rows ──────────▶
//
// All who look at one view share one; nothing is kept for one of them but a place in a set.

import type { Flow } from '../flows/flow.ts';
import { aggregator } from '../page/aggregator.ts';
import type { LiveEvents } from '../page/api.ts';
import type { Filters } from '../page/flow-filter.ts';
import { rowOf } from '../page/flow-row.ts';
import type { FlowRow } from '../page/flow-row.ts';
import { emptyGraph, graphDelta } from '../page/graph.ts';
import type { Bucket, Graph } from '../page/graph.ts';
import type { Range } from '../page/view.ts';
import { reading } from './reading.ts';
import type { FlowSource } from './source.ts';

/** Hears of events as they come; `name` and `data` fit each other. */
export type Watcher = <N extends keyof LiveEvents>(name: N, data: LiveEvents[N]) => void;

export type LookoutOptions = {
  readonly source: FlowSource;
  readonly range: Range;
  readonly filters: Filters;
  /** Is told each flow of the view. */
  readonly seen: (flow: Flow) => void;
  /** Milliseconds since the epoch; for tests. */
  readonly now?: () => number;
};

export type Lookout = {
  /** Tells `watcher` everything, and then what changes, until it is called with `signal` ended. */
  watch(watcher: Watcher, signal: AbortSignal): void;
  readonly watchers: number;
  end(): void;
};

const SLOTS = 60;
const PAST_SLOTS = 120;
const TICK_MS = 500;
/** A graph this large is told every fourth time only. */
const LARGE_GRAPH = 800;
/** Kept for those who come later. */
const RECENT_ROWS = 500;
/** More than that at a time nobody reads. */
const ROWS_A_TICK = 100;

export function lookout({ source, range, filters, seen, now = Date.now }: LookoutOptions): Lookout {
  const watchers = new Set<Watcher>();
  const [slots, span] = range.kind === 'live' ? [SLOTS, range.windowMs] : [PAST_SLOTS, range.until - range.since];
  const slotMs = Math.max(1, Math.ceil(span / slots));
  const start = range.kind === 'live' ? now() - span : range.since;
  const map = aggregator({ start, slotMs, slots: range.kind === 'live' ? slots : slots + 1 });
  const rows = rowQueue();
  const tell: Watcher = (name, data) => watchers.forEach((watcher) => watcher(name, data));
  let graph: Graph = emptyGraph;
  let tick = 0;
  const reader = reading({
    source,
    range,
    filters,
    now,
    onFlow(flow) {
      map.add(flow);
      rows.push(flow);
      seen(flow);
    },
  });
  // What was read is at most the newest part of a long past; what the nodes know without reading is all of it.
  let whole: readonly Bucket[] | undefined;
  const stop = new AbortController();
  if (range.kind === 'past' && filters.isEverything)
    void source.histogram(range, slots, stop.signal).then(
      (buckets) => (whole = buckets),
      () => undefined, // then it shows what was read
    );
  const buckets = () => whole ?? map.buckets();
  /** A cluster that is younger than the window has no rates over all of it. */
  const seconds = () => (range.kind === 'live' ? Math.min(span, Math.max(now() - (reader.oldest() ?? 0), 1000)) : span) / 1000;

  function look(): void {
    if (range.kind === 'live') map.advance(now());
    const isDue = graph.links.length < LARGE_GRAPH || tick++ % 4 === 0;
    if (isDue) {
      const next = map.graph();
      tell('delta', { delta: graphDelta(graph, next), seconds: seconds() });
      graph = next;
      tell('histogram', buckets());
    }
    const { fresh, skipped } = rows.take();
    if (fresh.length > 0) tell('flows', fresh);
    tell('state', { ...reader.state(), skipped });
  }

  let last = '';
  const timer = setInterval(() => {
    if (range.kind === 'past') {
      const key = JSON.stringify([reader.state(), whole !== undefined]);
      if (key === last) return; // the past stays as it is
      last = key;
    }
    look();
  }, TICK_MS);

  return {
    watch(watcher, signal) {
      watcher('graph', { graph, seconds: seconds() });
      watcher('histogram', buckets());
      watcher('flows', rows.recent());
      watcher('state', { ...reader.state(), skipped: 0 });
      watchers.add(watcher);
      signal.addEventListener('abort', () => watchers.delete(watcher), { once: true });
    },
    get watchers() {
      return watchers.size;
    },
    end() {
      clearInterval(timer);
      stop.abort();
      reader.end();
    },
  };
}

/** The newest rows, and those since the last time. */
function rowQueue() {
  const kept: FlowRow[] = [];
  let fresh: Flow[] = [];
  let skipped = 0;
  return {
    push(flow: Flow): void {
      fresh.push(flow);
      if (fresh.length < 2 * ROWS_A_TICK) return;
      skipped += fresh.length - ROWS_A_TICK;
      fresh = fresh.slice(-ROWS_A_TICK);
    },
    take(): { readonly fresh: readonly FlowRow[]; readonly skipped: number } {
      const taken = fresh.slice(-ROWS_A_TICK).map(rowOf);
      const result = { fresh: taken, skipped: skipped + fresh.length - taken.length };
      kept.push(...taken);
      kept.splice(0, Math.max(0, kept.length - RECENT_ROWS));
      [fresh, skipped] = [[], 0];
      return result;
    },
    recent: (): readonly FlowRow[] => [...kept],
  };
}
