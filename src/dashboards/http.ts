// SPDX-License-Identifier: Apache-2.0
// Plaintext HTTP: requests, errors, and how long answers took.

import { NODE, one, perNode, TARGET, TARGET_LEGEND } from './panel.ts';
import type { Dashboard, Query } from './panel.ts';

const { rate, increase, quantile } = perNode;
const requests = 'hubble_http_requests_total';
const took = 'hubble_http_request_duration_seconds';

/** Answers by labels, per second: `http` has a metric of them, `httpV2` has the status at requests. */
function answers(by: readonly string[], where?: string): string {
  const more = where === undefined ? '' : `,${where}`;
  const ofHttp = `rate(hubble_http_responses_total{${NODE}${more}}[$__rate_interval])`;
  const ofHttpV2 = `rate(hubble_http_requests_total{status!="",${NODE}${more}}[$__rate_interval])`;
  return `sum${by.length > 0 ? ` by (${by.join(', ')})` : ''} (${ofHttp} or ${ofHttpV2})`;
}

const quantiles = (by: readonly string[], legend: string): readonly Query[] =>
  [0.5, 0.95, 0.99].map((part) => ({ query: quantile(part, took, { by }), legend: `p${part * 100}${legend}` }));
const failing = `(${answers([], 'status=~"5.."')} or vector(0)) / ${answers([])}`;

export const httpDashboard: Dashboard = {
  file: 'hubble-http',
  uid: 'stentor-http',
  title: 'Hubble: HTTP',
  about:
    'Requests and answers in plaintext HTTP, from the packets themselves: no policy and no proxy is needed. `hubble observe --protocol http` shows each. ' +
    'Who tells of a request is the node of its server, or of the client where the server is no pod of the cluster.',
  nodesOf: 'hubble_lost_events_total',
  rows: [
    {
      title: 'Now',
      panels: [
        { title: 'Requests', about: 'Per second.', kind: 'number', unit: 'reqps', queries: one(rate(requests), '') },
        {
          title: 'Answered with 5xx',
          about: 'Share of all answers.',
          kind: 'number',
          unit: 'percentunit',
          queries: one(failing, ''),
          badFrom: 0.01,
        },
        {
          title: 'Slowest 1 %',
          about: 'From the request to the beginning of its answer: 99 of 100 are faster.',
          kind: 'number',
          unit: 's',
          queries: one(quantile(0.99, took), ''),
        },
      ],
    },
    {
      title: 'Requests and answers',
      panels: [
        {
          title: 'Requests by method',
          about: 'Per second.',
          kind: 'stacked',
          unit: 'reqps',
          queries: one(rate(requests, { by: ['method'] }), '{{method}}'),
        },
        {
          title: 'Answers by status',
          about: '4xx is the client’s, 5xx the server’s.',
          kind: 'stacked',
          unit: 'reqps',
          queries: one(answers(['status']), '{{status}}'),
        },
        {
          title: 'Share of 5xx',
          about: 'Of all answers.',
          kind: 'lines',
          unit: 'percentunit',
          queries: one(failing, '5xx'),
        },
        {
          title: 'Requests by protocol',
          about: 'HTTP/1.1, HTTP/2 where it is not encrypted.',
          kind: 'lines',
          unit: 'reqps',
          queries: one(rate(requests, { by: ['protocol'] }), '{{protocol}}'),
        },
        {
          title: 'Requests by node',
          about: 'Of the node that tells of them.',
          kind: 'lines',
          unit: 'reqps',
          queries: one(rate(requests, { by: TARGET }), TARGET_LEGEND),
        },
        {
          title: 'Answered in the time range',
          about: 'By method.',
          kind: 'bars',
          unit: 'short',
          queries: one(increase(`${took}_count`, { by: ['method'] }), '{{method}}'),
        },
      ],
    },
    {
      title: 'How long it takes',
      panels: [
        {
          title: 'Time to the answer',
          about: 'From the request to the beginning of its answer, as the node of the server sees it.',
          kind: 'lines',
          unit: 's',
          width: 12,
          queries: quantiles([], ''),
        },
        {
          title: 'Time to the answer, by method',
          about: '99 of 100 are faster.',
          kind: 'lines',
          unit: 's',
          width: 12,
          queries: one(quantile(0.99, took, { by: ['method'] }), '{{method}}'),
        },
      ],
    },
  ],
};
