// SPDX-License-Identifier: Apache-2.0
// DNS as pods ask it: who is not answered, and what does not exist.

import { one, orZero, perNode, TARGET, TARGET_LEGEND, top } from './panel.ts';
import type { Dashboard } from './panel.ts';

const { rate, increase } = perNode;
const queries = 'hubble_dns_queries_total';
const responses = 'hubble_dns_responses_total';
const failed = 'rcode!="No Error"';
const unanswered = `clamp_min(${rate(queries)} - ${rate(responses)}, 0)`;

export const dnsDashboard: Dashboard = {
  file: 'hubble-dns',
  uid: 'stentor-dns',
  title: 'Hubble: DNS',
  about:
    'Names that pods ask for, from the packets themselves: no policy and no proxy is needed. `hubble observe --protocol dns` shows each. ' +
    'Names are there with `dns:query` in `hubble.metrics.enabled`; with `ignoreAAAA` questions for IPv6 addresses alone do not count.',
  nodesOf: 'hubble_lost_events_total',
  rows: [
    {
      title: 'Now',
      panels: [
        { title: 'Queries', about: 'Per second.', kind: 'number', unit: 'reqps', width: 8, queries: one(rate(queries), '') },
        {
          title: 'Answered with an error',
          about: 'Share of all answers. Non-Existent Domain is usual where pods have search domains: a name is tried with each of them.',
          kind: 'number',
          unit: 'percentunit',
          width: 8,
          queries: one(`(${orZero(rate(responses, { where: failed }))}) / ${rate(responses)}`, ''),
        },
        {
          title: 'Not answered',
          about: 'Queries less answers, per second.',
          kind: 'number',
          unit: 'reqps',
          width: 8,
          queries: one(unanswered, ''),
          badFrom: 1,
        },
      ],
    },
    {
      title: 'Queries and answers',
      panels: [
        {
          title: 'Queries by type',
          about: 'A: IPv4 addresses. AAAA: IPv6 addresses.',
          kind: 'stacked',
          unit: 'reqps',
          queries: one(rate(queries, { by: ['qtypes'] }), '{{qtypes}}'),
        },
        {
          title: 'Answers by result',
          about: 'Server Failure and Query Refused are the name server’s; look at its log.',
          kind: 'stacked',
          unit: 'reqps',
          queries: one(rate(responses, { by: ['rcode'] }), '{{rcode}}'),
        },
        {
          title: 'Queries without an answer',
          about: 'Above zero for long: the name server does not keep up, or packets are lost on the way (see drops).',
          kind: 'lines',
          unit: 'reqps',
          queries: one(unanswered, 'not answered'),
        },
        {
          title: 'Answers by record type',
          about: 'What name servers gave.',
          kind: 'lines',
          unit: 'reqps',
          queries: one(rate('hubble_dns_response_types_total', { by: ['type'] }), '{{type}}'),
        },
        {
          title: 'Addresses in an answer',
          about: 'How many there are: 0 with No Error is a name that exists without an address of that family.',
          kind: 'lines',
          unit: 'reqps',
          queries: one(rate(responses, { by: ['ips_returned'] }), '{{ips_returned}}'),
        },
        {
          title: 'Queries by node',
          about: 'Told where the pod is that asks.',
          kind: 'lines',
          unit: 'reqps',
          queries: one(rate(queries, { by: TARGET }), TARGET_LEGEND),
        },
      ],
    },
    {
      title: 'Names',
      panels: [
        {
          title: 'Most asked for',
          about: 'In the time range.',
          kind: 'bars',
          unit: 'short',
          width: 12,
          queries: one(top(10, increase(queries, { by: ['query'] })), '{{query}}'),
        },
        {
          title: 'Most often answered with an error',
          about: 'In the time range, with the error.',
          kind: 'bars',
          unit: 'short',
          width: 12,
          queries: one(top(10, increase(responses, { by: ['query', 'rcode'], where: failed })), '{{query}} {{rcode}}'),
        },
      ],
    },
  ],
};
