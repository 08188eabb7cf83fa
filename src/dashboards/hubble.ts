// SPDX-License-Identifier: Apache-2.0
// Flows of the whole cluster: how many, how they end, and how complete what is told of them is.

import { one, orZero, overall, perNode, TARGET, TARGET_LEGEND, top } from './panel.ts';
import type { Dashboard, Panel, Row } from './panel.ts';

const { rate, increase, gauge } = perNode;
const flows = 'hubble_flows_processed_total';
const drops = 'hubble_drop_total';
const flags = 'hubble_tcp_flags_total';
const share = (part: string, whole: string) => `${part} / ${whole}`;
const dropped = `(${orZero(rate(flows, { where: 'verdict="DROPPED"' }))})`;

const summary: Row = {
  title: 'Now',
  panels: [
    number('Flows', 'Events of packets that agents tell of: of a connection its beginning, its first answer, its end, and one every 5 s.', {
      unit: 'cps',
      queries: one(rate(flows), ''),
    }),
    number('Dropped', 'Share of flows that were dropped. See "Drops by reason" for why.', {
      unit: 'percentunit',
      queries: one(share(dropped, rate(flows)), ''),
      badFrom: 0.05,
    }),
    number('Lost events', 'Events of the last time range that nobody saw. See "How complete it is".', {
      unit: 'none',
      queries: one(increase('hubble_lost_events_total'), ''),
      badFrom: 1,
    }),
    number('History reaches back', 'The shortest of all nodes. hubble.history.maxSizeMiB is what limits it.', {
      unit: 's',
      queries: one(gauge('min', 'stentor_history_reach_seconds'), ''),
    }),
  ],
};

function number(title: string, about: string, rest: Pick<Panel, 'unit' | 'queries' | 'badFrom' | 'badBelow'>): Panel {
  return { title, about, kind: 'number', width: 6, ...rest };
}

const traffic: Row = {
  title: 'Flows',
  panels: [
    {
      title: 'Flows by verdict',
      about: 'FORWARDED went on, DROPPED did not, TRANSLATED had a service address replaced by that of a backend.',
      kind: 'stacked',
      unit: 'cps',
      queries: one(rate(flows, { by: ['verdict'] }), '{{verdict}}'),
    },
    {
      title: 'Flows by protocol',
      about: 'DNS and HTTP are requests and answers, the others packets.',
      kind: 'stacked',
      unit: 'cps',
      queries: one(rate(flows, { by: ['protocol'] }), '{{protocol}}'),
    },
    {
      title: 'Flows by type',
      about: 'Where a packet was seen (Trace), requests and answers (L7), drops, and decisions of policies.',
      kind: 'stacked',
      unit: 'cps',
      queries: one(rate(flows, { by: ['type', 'subtype'] }), '{{type}} {{subtype}}'),
    },
    {
      title: 'Flows by node',
      about: 'A node far above the others has the busiest pods, or a scan.',
      kind: 'lines',
      unit: 'cps',
      queries: one(rate(flows, { by: TARGET }), TARGET_LEGEND),
    },
    {
      title: 'Top 10 destination ports',
      about: 'Packets that open or go on with a connection, by the port that they go to.',
      kind: 'lines',
      unit: 'cps',
      queries: one(top(10, rate('hubble_port_distribution_total', { by: ['protocol', 'port'] })), '{{protocol}} {{port}}'),
    },
    {
      title: 'ICMP by type',
      about: 'Echo requests and replies should be level; unreachable says that somebody was refused.',
      kind: 'lines',
      unit: 'cps',
      queries: one(rate('hubble_icmp_total', { by: ['family', 'type'] }), '{{family}} {{type}}'),
    },
  ],
};

const losses: Row = {
  title: 'Drops and refusals',
  panels: [
    {
      title: 'Drops by reason',
      about: '`stentor drops -f` on a node shows each with its addresses, `stentor trace` says what to change.',
      kind: 'stacked',
      unit: 'cps',
      queries: one(rate(drops, { by: ['reason'] }), '{{reason}}'),
    },
    {
      title: 'Drops by protocol and node',
      about: 'Where they happen.',
      kind: 'lines',
      unit: 'cps',
      queries: one(rate(drops, { by: ['protocol', ...TARGET] }), `{{protocol}} ${TARGET_LEGEND}`),
    },
    {
      title: 'TCP flags',
      about: 'SYN opens a connection, SYN-ACK answers it, FIN ends it, RST ends it abruptly or refuses it.',
      kind: 'lines',
      unit: 'cps',
      queries: one(rate(flags, { by: ['flag', 'family'] }), '{{flag}} {{family}}'),
    },
    {
      title: 'Connections without an answer',
      about: 'SYN less SYN-ACK, per second: above zero for long means that somebody calls in vain.',
      kind: 'lines',
      unit: 'cps',
      queries: one(
        `clamp_min(${rate(flags, { by: ['family'], where: 'flag="SYN"' })} - ${rate(flags, { by: ['family'], where: 'flag="SYN-ACK"' })}, 0)`,
        '{{family}}',
      ),
    },
  ],
};

const completeness: Row = {
  title: 'How complete it is',
  panels: [
    {
      title: 'Lost events by source',
      about:
        'perf_event_ring_buffer: the agent did not keep up with the kernel. observer_events_queue: more of a kind came than is told in a second. hubble_ring_buffer: a client read too slowly.',
      kind: 'lines',
      unit: 'cps',
      queries: one(rate('hubble_lost_events_total', { by: ['source'] }), '{{source}}'),
    },
    {
      title: 'Flows on disk',
      about: 'Of each node, and what it may take (hubble.history.maxSizeMiB). At the limit the oldest go.',
      kind: 'lines',
      unit: 'bytes',
      queries: [
        { query: gauge('sum', 'stentor_history_bytes', { by: TARGET }), legend: TARGET_LEGEND },
        { query: gauge('max', 'stentor_history_max_bytes'), legend: 'limit' },
      ],
    },
    {
      title: 'How far history reaches back',
      about: 'By node.',
      kind: 'lines',
      unit: 's',
      queries: one(gauge('max', 'stentor_history_reach_seconds', { by: TARGET }), TARGET_LEGEND),
    },
    {
      title: 'What history is missing',
      about: 'Flows a second that the disk did not take, and gaps in the time range by why: stopped (no agent), full, slow.',
      kind: 'lines',
      unit: 'short',
      queries: [
        { query: rate('stentor_history_missed_total'), legend: 'flows not kept, per second' },
        { query: increase('stentor_history_gaps_total', { by: ['why'] }), legend: 'gaps: {{why}}' },
      ],
    },
    {
      title: 'Problems of history',
      about: 'Each is a Problem with advice: `stentor problems` on that node.',
      kind: 'lines',
      unit: 'none',
      queries: one(gauge('sum', 'stentor_history_problems', { by: ['reason'] }), '{{reason}}'),
    },
    {
      title: 'Series of flow metrics',
      about:
        'Series whose labels are the choice of whoever sends packets; at 2,000 for one metric of one node the rest counts under "other".',
      kind: 'lines',
      unit: 'none',
      queries: one(gauge('max', 'stentor_flow_metric_series', { by: ['metric'] }), '{{metric}}'),
    },
  ],
};

const here = 'and on (instance) stentor_relay_peer_service_connected';
const calls = (metric: string) => overall.selected(metric, 'grpc_service="observer.Observer"');

const relay: Row = {
  title: 'Relay',
  panels: [
    {
      title: 'Agents by connection',
      about: 'READY answer; TRANSIENT_FAILURE do not, and their flows are missing from the page and from `hubble observe`.',
      kind: 'lines',
      unit: 'none',
      queries: one(overall.gauge('max', 'hubble_relay_pool_peer_connection_status', { by: ['status'] }), '{{status}}'),
    },
    {
      title: 'Calls by method',
      about: 'What clients of Hubble ask for: the page, `hubble observe`, others.',
      kind: 'lines',
      unit: 'reqps',
      queries: one(`sum by (grpc_method) (rate(${calls('grpc_server_started_total')}[$__rate_interval]) ${here})`, '{{grpc_method}}'),
    },
    {
      title: 'Calls by how they ended',
      about: 'Canceled is a client that stopped following. InvalidArgument is a filter that cannot be.',
      kind: 'lines',
      unit: 'reqps',
      queries: one(`sum by (grpc_code) (rate(${calls('grpc_server_handled_total')}[$__rate_interval]) ${here})`, '{{grpc_code}}'),
    },
    {
      title: 'Messages to clients',
      about: 'Flows and what is told of nodes, per second.',
      kind: 'lines',
      unit: 'cps',
      queries: one(`sum by (grpc_method) (rate(${calls('grpc_server_msg_sent_total')}[$__rate_interval]) ${here})`, '{{grpc_method}}'),
    },
    {
      title: 'Certificates end in',
      about: 'The operator renews them by itself; one that gets near to zero says that no operator leads.',
      kind: 'lines',
      unit: 's',
      queries: one(`min by (secret) (stentor_certificate_expiry_timestamp_seconds) - time()`, '{{secret}}'),
    },
    {
      title: 'Memory of relays',
      about: 'Resident.',
      kind: 'lines',
      unit: 'bytes',
      queries: one(`sum by (instance) (process_resident_memory_bytes ${here})`, '{{instance}}'),
    },
  ],
};

export const hubbleDashboard: Dashboard = {
  file: 'hubble-dashboard',
  uid: '5HftnJAWz',
  title: 'Hubble: flows',
  about:
    'What pods do, as agents see it. `hubble observe` and the page show each flow. What the metrics mean: `docs/operate.md`, "Metrics". They are those of ' +
    '`hubble.metrics.enabled`: `drop`, `tcp`, `flow`, `port-distribution`, `icmp`.',
  nodesOf: 'hubble_lost_events_total',
  rows: [summary, traffic, losses, completeness, relay],
};
