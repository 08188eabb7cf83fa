// SPDX-License-Identifier: Apache-2.0
// Pages of flows out of the past, newest first, and one flow with everything that is known of it.

import type { Flow } from '../flows/flow.ts';
import type { FlowPage } from '../page/api.ts';
import { filtersOf } from '../page/flow-filter.ts';
import type { Filters } from '../page/flow-filter.ts';
import { rowOf } from '../page/flow-row.ts';
import { ViewError } from '../page/view.ts';
import type { View } from '../page/view.ts';
import { nanos } from './reading.ts';
import type { FlowSource } from './source.ts';

export type PageQuery = {
  readonly view: View;
  readonly allowed: readonly string[] | undefined;
  /** Nanoseconds: flows before then. Undefined: the newest. */
  readonly before: bigint | undefined;
  readonly limit: number;
};

/** The server looks on for flows that fit so often, until the page is full. */
const MOST_ASKED = 5;

export async function flowPage(source: FlowSource, { view, allowed, before, limit }: PageQuery, signal: AbortSignal): Promise<FlowPage> {
  const filters = filtersOf(view, allowed);
  const { range } = view;
  const since = nanos(range.kind === 'past' ? range.since : Date.now() - range.windowMs);
  let until = before ?? (range.kind === 'past' ? nanos(range.until) : undefined);
  const found: Flow[] = [];
  for (let asked = 0; asked < MOST_ASKED && found.length < limit; asked++) {
    const flows = await newest(source, filters, { since, until, limit, signal });
    const fitting = flows.filter((flow) => flow.time >= since && filters.matches(flow));
    found.unshift(...fitting);
    const [oldest] = flows;
    const isEnd = flows.length < limit || oldest === undefined || oldest.time <= since;
    until = isEnd ? undefined : oldest.time - 1n;
    if (isEnd) break;
  }
  const rows = found.slice(-limit).map(rowOf).toReversed();
  const last = found.length > limit ? found.at(-limit) : undefined;
  const next = last ? last.time - 1n : until;
  return { rows, ...(next !== undefined && { next: String(next) }) };
}

type Newest = { readonly since: bigint; readonly until: bigint | undefined; readonly limit: number; readonly signal: AbortSignal };

/** Oldest first. */
async function newest(source: FlowSource, { whitelist, blacklist }: Filters, { until, limit, signal }: Newest): Promise<readonly Flow[]> {
  const flows: Flow[] = [];
  for await (const answer of source.flows({ number: limit, until, whitelist, blacklist }, signal))
    if (answer.kind === 'flow') flows.push(answer.flow);
  return flows.toSorted((a, b) => (a.time < b.time ? -1 : Number(a.time > b.time)));
}

export type FlowQuery = { readonly uuid: string; readonly time: bigint; readonly allowed: readonly string[] | undefined };

/** Undefined: it is not there, or not for this user. */
export async function oneFlow(source: FlowSource, { uuid, time, allowed }: FlowQuery, signal: AbortSignal): Promise<Flow | undefined> {
  if (!/^[-0-9a-f]{1,64}$/.test(uuid)) throw new ViewError(`Cannot find the flow '${uuid.slice(0, 100)}', wanted a uuid`);
  const around = { since: time - 1_000_000n, until: time + 1_000_000n };
  for await (const answer of source.flows({ ...around, whitelist: [{ uuid: [uuid] }], blacklist: [] }, signal))
    if (answer.kind === 'flow' && answer.flow.uuid === uuid) return isVisible(answer.flow, allowed) ? answer.flow : undefined;
  return undefined;
}

export function isVisible({ source, destination }: Flow, allowed: readonly string[] | undefined): boolean {
  return allowed === undefined || allowed.includes(source?.namespace ?? '') || allowed.includes(destination?.namespace ?? '');
}
