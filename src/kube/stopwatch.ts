// SPDX-License-Identifier: Apache-2.0
// How long it takes from the moment that a change is heard until all that follows from it is derived.
//
//   watch ──timed sink──▶ tables ──engine──▶ derived() ──▶ a time for each change, with the labels of its sink

import type { Clock } from '../base/clock.ts';
import { histogram } from '../base/metrics.ts';
import type { Histogram } from '../base/metrics.ts';
import type { Sink } from './source.ts';

type Labels = Readonly<Record<string, string>>;

export type Stopwatch = {
  readonly times: Histogram;
  /** Adds the label event: 'upsert' or 'delete'. */
  timed<T>(labels: Labels, sink: Sink<T>): Sink<T>;
  /** To be called when all that was heard is derived. */
  derived(): void;
};

export function stopwatch(clock: Pick<Clock, 'monotonic'>): Stopwatch {
  const times = histogram();
  let heard: { readonly labels: Labels; readonly at: number }[] = [];
  return {
    times,
    timed: (labels, { read, forget, complete }) => ({
      read(object) {
        const at = clock.monotonic();
        const write = read(object);
        return (name) => {
          heard.push({ labels: { event: 'upsert', ...labels }, at });
          write(name);
        };
      },
      forget(name) {
        heard.push({ labels: { event: 'delete', ...labels }, at: clock.monotonic() });
        forget(name);
      },
      complete,
    }),
    derived() {
      const now = clock.monotonic();
      for (const { labels, at } of heard) times.observe(labels, (now - at) / 1000);
      heard = [];
    },
  };
}
