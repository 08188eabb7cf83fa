// SPDX-License-Identifier: Apache-2.0
// The page that Prometheus reads.

import { metricsText } from './metrics.ts';
import type { Metric } from './metrics.ts';
import type { Page } from './pages.ts';

/** /metrics at `place`; without a host on every address, as Prometheus comes from elsewhere. */
export const metricsPage = <P extends { readonly host?: string; readonly port: number }>(place: P, metrics: readonly Metric[]) => ({
  host: '::',
  ...place,
  contentType: 'text/plain; version=0.0.4; charset=utf-8',
  answer: (path: string): ReturnType<Page['answer']> =>
    path === '/metrics' ? { status: 200, body: metricsText(metrics) } : { status: 404, body: '/metrics is what there is\n' },
});
