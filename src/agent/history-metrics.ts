// SPDX-License-Identifier: Apache-2.0
// Flows on disk: how many, how far they reach back, and what is missing among them. Without a store there are Problems only.

import type { Clock } from '../base/clock.ts';
import { metricKinds } from '../base/metrics.ts';
import type { Store } from '../history/store.ts';
import { HISTORY_REASONS } from './history.ts';
import type { FlowHistory } from './history.ts';

type Facts = { readonly history: Pick<FlowHistory, 'store' | 'problems'>; readonly clock: Pick<Clock, 'now'> };

const { gauge, counter } = metricKinds<Facts>();
const ofStore =
  (value: (store: Store) => number) =>
  ({ history: { store } }: Facts) =>
    store ? [{ value: value(store) }] : [];

export const historyMetrics = [
  gauge(
    'stentor_history_bytes',
    'Disk that the flows of this node take',
    [],
    ofStore(({ bytes }) => bytes),
  ),
  gauge(
    'stentor_history_max_bytes',
    'Disk that they may take (hubble.history.maxSizeMiB)',
    [],
    ofStore(({ maxBytes }) => maxBytes),
  ),
  gauge(
    'stentor_history_segments',
    'Files with flows in them',
    [],
    ofStore(({ segments }) => segments),
  ),
  gauge(
    'stentor_history_flows',
    'Flows that are kept',
    [],
    ofStore(({ rows }) => rows),
  ),
  gauge(
    'stentor_history_oldest_timestamp_seconds',
    'When the oldest flow that is kept was, since the Unix epoch',
    [],
    ({ history: { store } }) => (store?.oldest === undefined ? [] : [{ value: Number(store.oldest) / 1e9 }]),
  ),
  gauge('stentor_history_reach_seconds', 'How far the flows that are kept reach back', [], ({ history: { store }, clock }) =>
    store ? [{ value: store.oldest === undefined ? 0 : Math.max(0, clock.now() / 1000 - Number(store.oldest) / 1e9) }] : [],
  ),
  counter(
    'stentor_history_missed_total',
    'Flows that were not kept, as the disk did not take them',
    [],
    ofStore(({ missed }) => missed),
  ),
  counter(
    'stentor_history_gaps_total',
    'Times of which flows are missing; stopped: there was no agent; full: no room; slow: the disk did not keep up',
    ['why'],
    ({ history: { store } }) => Object.entries(store?.gaps ?? {}).map(([why, value]) => ({ labels: { why }, value })),
  ),
  gauge('stentor_history_problems', 'What somebody has to repair, by reason', ['reason'], ({ history: { problems } }) =>
    HISTORY_REASONS.map((reason) => ({ labels: { reason }, value: problems.filter((one) => one.reason === reason).length })),
  ),
];
