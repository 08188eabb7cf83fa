// SPDX-License-Identifier: Apache-2.0
// `stentor.history.History`, which Hubble has not: how many flows there were when, out of what nodes have on disk, without reading them.

import { count, manyNested } from '../grpc/fields.ts';
import { message } from '../grpc/message.ts';
import type { Method } from '../grpc/method.ts';
import { timestamp } from '../grpc/well-known.ts';
import type { Nanoseconds } from '../flows/flow.ts';

export type HistogramRequest = {
  readonly since?: Nanoseconds | undefined;
  readonly until?: Nanoseconds | undefined;
  /** Into how many equal parts, 1 to 1000. */
  readonly buckets?: number | undefined;
};

/** It ends where the next one begins. */
export type HistogramBucket = {
  readonly since?: Nanoseconds | undefined;
  readonly forwarded?: number | undefined;
  readonly dropped?: number | undefined;
};
export type HistogramResponse = { readonly buckets?: readonly HistogramBucket[] | undefined };

export const MOST_BUCKETS = 1000;

/** An agent answers for itself, a relay for all nodes. Nobody answers for a part of them: then it is UNAVAILABLE. */
export const getHistogram: Method<HistogramRequest, HistogramResponse> = {
  service: 'stentor.history.History',
  name: 'GetHistogram',
  request: message<HistogramRequest>('stentor.history.GetHistogramRequest', {
    since: timestamp(1),
    until: timestamp(2),
    buckets: count(3),
  }),
  response: message<HistogramResponse>('stentor.history.GetHistogramResponse', {
    buckets: manyNested(
      1,
      message<HistogramBucket>('stentor.history.Bucket', { since: timestamp(1), forwarded: count(2), dropped: count(3) }),
    ),
  }),
  streams: false,
};

/** What several nodes said of the same time, together. */
export function histogramOfAll(all: readonly HistogramResponse[]): HistogramResponse {
  const [first, ...rest] = all.map(({ buckets = [] }) => buckets);
  const sum = (of: 'forwarded' | 'dropped', i: number) => [first, ...rest].reduce((total, buckets) => total + (buckets?.[i]?.[of] ?? 0), 0);
  return { buckets: first?.map(({ since }, i) => ({ since, forwarded: sum('forwarded', i), dropped: sum('dropped', i) })) };
}
