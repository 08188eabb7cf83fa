// SPDX-License-Identifier: Apache-2.0
// One kind, followed for ever: list, then watch from there, then again from where the stream broke.
//
//            ┌── history gone (410) ◀──────────┐
//            ▼                                 │
//   list, page by page ──snapshot──▶ watch ──changed, deleted──▶ …
//            ▲  └─ failed ─▶ wait ─┘    ▲  └─ broke, ended ─▶ wait ─┘
//
// Bookmarks move the place to go on from forward when nothing of ours changes, so that a stream that breaks seldom means a
// new list. Waits double from 100 ms to 30 s, with jitter.

import { setTimeout as sleep } from 'node:timers/promises';

import { backoff } from '../base/clock.ts';
import type { KubeClient, Selection } from './client.ts';
import { isExpired, KubeError, KubeReason } from './kube-error.ts';

/** Objects appear as what `pick` made of them. */
export type Update<P> =
  /** Everything there is; what was known and is not in it is gone. */
  | { readonly kind: 'snapshot'; readonly objects: readonly P[] }
  | { readonly kind: 'changed'; readonly object: P }
  | { readonly kind: 'deleted'; readonly object: P }
  /** The server follows us again, or for the first time. */
  | { readonly kind: 'watching' }
  /** What is known may be out of date from here on; we go on trying. */
  | { readonly kind: 'trouble'; readonly error: KubeError };

export type KindOptions<T, P> = Selection & {
  readonly client: KubeClient;
  readonly path: string;
  /** Takes from an object what is to be kept of it, page by page: a whole list of objects is never in memory. */
  readonly pick: (object: T) => P;
  /** Awaited before anything else is read. */
  readonly on: (update: Update<P>) => void | Promise<void>;
  readonly signal: AbortSignal;
  /** Objects in a page. Default 250. */
  readonly limit?: number;
  /** Longest silence of a watch. Default 5 min. */
  readonly silenceMs?: number;
  /** First and longest wait after a failure. Default 100 ms and 30 s. */
  readonly waitsMs?: readonly [first: number, last: number];
};

const PAGE = 250; // objects: with 500 the agent is 20 MB larger after a list of thousands
const WAITS_MS = [100, 30_000] as const;
const STREAM_SECONDS = 300; // and up to as much again, so that not all agents come back at once
const GOOD_STREAM_MS = 5000; // one that lived so long, or said something, was no failure
const REFUSALS = 3; // after so many from a server that answers, the place that we ask for is doubted

/** Follows one kind until `signal` aborts; then it resolves. */
export async function watchKind<T, P>(options: KindOptions<T, P>): Promise<void> {
  const { on, signal, waitsMs: [firstMs, lastMs] = WAITS_MS } = options;
  let place: string | undefined; // the resourceVersion up to which we know everything
  let failures = 0;
  let refusals = 0; // of streams from `place`
  let list = newList<P>(true, failures);
  while (!signal.aborted) {
    try {
      if (place === undefined) {
        const found = await restOf(options, list);
        if (signal.aborted) return;
        await on({ kind: 'snapshot', objects: list.objects });
        place = found;
        list = newList(true, failures);
        refusals = 0;
      }
      const follow: { place: string; good: boolean } = { place, good: false };
      try {
        await following(options, follow);
      } finally {
        place = follow.place;
        if (follow.good) [failures, refusals] = [0, 0];
      }
      if (follow.good) continue;
      failures++;
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof KubeError)) throw error;
      if (list.came) failures = list.failures;
      list.came = false;
      failures++;
      const gone = isExpired(error);
      if (gone && place === undefined) list = newList(false, failures); // it outlived its own history
      if (place !== undefined && error.status !== undefined) refusals++;
      if (gone || refusals >= REFUSALS) place = undefined;
      if (!gone || failures > 1) await on({ kind: 'trouble', error });
      if (gone && failures === 1) continue;
      if (error.retryAfterMs !== undefined) await pause(error.retryAfterMs, signal);
    }
    await pause(backoff(failures - 1, firstMs, lastMs), signal);
  }
}

/** A list under way. What has come of it is kept when a page fails, so that a long list comes through a bad network. */
type List<P> = {
  readonly paged: boolean;
  readonly objects: P[];
  next: string | undefined;
  /** A page has come since the last failure: then waits are again as short as when the list began, after so many failures. */
  came: boolean;
  readonly failures: number;
};

function newList<P>(paged: boolean, failures: number): List<P> {
  return { paged, objects: [], next: undefined, came: false, failures };
}

/** Reads the pages that are missing into `list`. The resourceVersion to watch from. */
async function restOf<T, P>({ client, path, pick, signal, limit = PAGE, ...rest }: KindOptions<T, P>, list: List<P>): Promise<string> {
  const query = { ...selectionOf(rest), ...(list.paged && { limit }), signal };
  for (;;) {
    const page = await client.list<T>(path, { ...query, ...(list.next !== undefined && { continue: list.next }) });
    for (const item of page.items) list.objects.push(pick(item));
    list.next = page.metadata.continue;
    list.came = true;
    if (list.next !== undefined && list.next !== '') continue;
    const place = page.metadata.resourceVersion;
    if (place !== undefined && place !== '') return place;
    throw new KubeError({
      verb: 'list',
      path,
      server: client.server,
      reason: KubeReason.invalidAnswer,
      detail: 'wanted metadata.resourceVersion',
    });
  }
}

/** One stream, from `state.place` to its end; `state` moves with it. */
async function following<T, P>(options: KindOptions<T, P>, state: { place: string; good: boolean }): Promise<void> {
  const { client, path, pick, on, signal, silenceMs } = options;
  const timeoutSeconds = Math.round(STREAM_SECONDS * (1 + Math.random()));
  const stream = await client.watch<T>(path, {
    ...selectionOf(options),
    resourceVersion: state.place,
    bookmarks: true,
    timeoutSeconds,
    signal,
    ...(silenceMs !== undefined && { silenceMs }),
  });
  const started = performance.now();
  await on({ kind: 'watching' });
  try {
    for await (const { type, object } of stream) {
      if (signal.aborted) return;
      state.good = true;
      if (type !== 'BOOKMARK') await on({ kind: type === 'DELETED' ? 'deleted' : 'changed', object: pick(object) });
      state.place = versionOf(object) ?? state.place;
    }
  } finally {
    state.good ||= performance.now() - started > GOOD_STREAM_MS;
  }
}

function selectionOf({ fieldSelector, labelSelector }: Selection): Selection {
  return { ...(fieldSelector !== undefined && { fieldSelector }), ...(labelSelector !== undefined && { labelSelector }) };
}

function versionOf(object: unknown): string | undefined {
  const { metadata } = (object ?? {}) as { metadata?: { resourceVersion?: unknown } }; // from outside: every field may be missing
  return typeof metadata?.resourceVersion === 'string' ? metadata.resourceVersion : undefined;
}

/** Waits; an abort ends it early. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => {});
}
