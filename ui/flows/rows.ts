// SPDX-License-Identifier: Apache-2.0
// The rows of the table, newest first: live ones as they come, and older ones page by page as somebody scrolls to them.

import type { FlowPage } from '../../src/page/api.ts';
import type { FlowRow } from '../../src/page/flow-row.ts';
import { paramsOf } from '../../src/page/view.ts';
import type { View } from '../../src/page/view.ts';
import { ask } from '../api.ts';
import { newest } from '../live.ts';
import { store } from '../store.ts';

export type Rows = {
  readonly rows: readonly FlowRow[];
  readonly isEnd: boolean;
  readonly isLoading: boolean;
  readonly error?: string | undefined;
};

const MOST_OLDER = 20_000;
const PAGE = 200;

export const rows = store<Rows>({ rows: [], isEnd: false, isLoading: false });
/** While somebody reads, nothing moves: what comes meanwhile is shown when they are back at the top. */
export const isPaused = store(false);

let key = '';
let older: readonly FlowRow[] = [];
let next: string | undefined;
let shownLive: readonly FlowRow[] = [];
let stop = new AbortController();

export function openRows(view: View): void {
  const wanted = String(paramsOf(view));
  if (wanted === key) return;
  key = wanted;
  [older, next, shownLive] = [[], undefined, []];
  stop.abort();
  stop = new AbortController();
  isPaused.set(false);
  rows.set({ rows: [], isEnd: false, isLoading: false });
  if (view.range.kind === 'past') void loadOlder(view);
}

newest.listen(merge);
isPaused.listen(merge);

function merge(): void {
  if (!isPaused.get()) shownLive = isPast() ? [] : newest.get();
  rows.set({ ...rows.get(), rows: joined() });
}

const isPast = () => new URLSearchParams(key).has('until');

/** Live rows are the last of what came; the older ones begin where they end. */
function joined(): readonly FlowRow[] {
  if (older.length === 0) return shownLive;
  const known = new Set(shownLive.map(({ id }) => id));
  return [...shownLive, ...older.filter(({ id }) => !known.has(id))];
}

/** The page after the last row. */
export async function loadOlder(view: View): Promise<void> {
  const { isEnd, isLoading } = rows.get();
  if (isEnd || isLoading || older.length >= MOST_OLDER) return;
  const last = joined().at(-1);
  const before = next ?? (last ? String(BigInt(last.time) - 1n) : undefined);
  const { signal } = stop;
  rows.set({ ...rows.get(), isLoading: true, error: undefined });
  try {
    const params = paramsOf(view);
    params.set('limit', String(PAGE));
    if (before !== undefined) params.set('before', before);
    const page = await ask<FlowPage>(`api/flows?${params}`, signal);
    if (signal.aborted) return;
    older = [...older, ...page.rows];
    next = page.next;
    rows.set({ rows: joined(), isEnd: page.next === undefined, isLoading: false });
  } catch (error) {
    if (!signal.aborted) rows.set({ ...rows.get(), isLoading: false, error: error instanceof Error ? error.message : String(error) });
  }
}
