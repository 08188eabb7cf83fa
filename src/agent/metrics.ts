// SPDX-License-Identifier: Apache-2.0
// What the agent counts of itself, for Prometheus: under the names that dashboards for Cilium ask for where there is such a thing, as
// stentor_* otherwise. Nothing is kept for it; a scrape asks whoever knows.

import { arch } from 'node:process';
import { familyOf } from '../base/ip.ts';
import { metricKinds, metricsOf } from '../base/metrics.ts';
import type { Histogram, Metric, MetricOf } from '../base/metrics.ts';
import { AnswerKind, AnswerTo, answerBudgetCodec, counterCodec, dropReasonNames } from '../datapath/schema.gen.ts';
import { usableSize } from '../ipam/addresses.ts';
import type { BpfMap } from '../kernel/map.ts';
import type { CallCounts } from './call-counts.ts';
import { mapMetrics } from './map-metrics.ts';
import { openFiles, residentBytes } from './process-facts.ts';
import type { Insides } from './providers.ts';
import { controllersOf } from './providers.ts';
import { version } from './version.ts';
import { vipMetrics } from './vip-metrics.ts';

export type Measured = Insides & {
  readonly calls: CallCounts;
  readonly redirectTimes: Histogram;
  readonly engine: { readonly status: { readonly commits: number; readonly longestMs: number } };
};

const { gauge, counter, histogram } = metricKinds<Measured>();

export const agentMetrics = (measured: Measured): readonly Metric[] => metricsOf(allOfAgent, measured);

const families = [4, 6] as const;

function addressCount({ endpoints }: Measured, family: 4 | 6): number {
  let count = 0;
  for (const [, { addresses }] of endpoints.endpoints.entries()) count += addresses.filter((one) => familyOf(one) === family).length;
  return count;
}

const aboutNetwork: readonly MetricOf<Measured>[] = [
  gauge('cilium_version', 'Version of the agent', ['version', 'arch'], () => [{ labels: { version: version(), arch }, value: 1 }]),
  gauge('cilium_endpoint_state', 'Endpoints of this node by state', ['endpoint_state'], ({ endpoints }) => [
    { labels: { endpoint_state: 'ready' }, value: endpoints.endpoints.size },
  ]),
  gauge('cilium_identity', 'Identities that are known', ['type'], ({ identities }) => [
    { labels: { type: 'cluster_local' }, value: identities.identities.size },
  ]),
  gauge('cilium_nodes_all_num', 'Nodes of the cluster', [], ({ nodes }) => [{ value: nodes.nodes.size }]),
  gauge('cilium_ip_addresses', 'Addresses that pods of this node have', ['family'], (measured) =>
    families.map((family) => ({ labels: { family: `ipv${family}` }, value: addressCount(measured, family) })),
  ),
  gauge('cilium_ipam_capacity', 'Addresses that this node can give to pods', ['family'], ({ nodes, self }) =>
    (nodes.nodes.get(self)?.podCidrs ?? []).map((range) => ({
      labels: { family: `ipv${familyOf(range.ip)}` },
      value: usableSize(range),
    })),
  ),
  gauge('stentor_frontends', 'Service addresses and ports that this node serves', [], ({ services }) => [
    { value: services.frontends.size },
  ]),
  gauge('stentor_backends', 'Addresses that serve them', [], ({ services }) => [{ value: services.backends.size }]),
  counter('cilium_drop_count_total', 'Packets dropped, by reason', ['reason'], ({ maps }) =>
    dropCounts(maps).map(({ reason, packets }) => ({ labels: { reason }, value: packets })),
  ),
  counter('cilium_drop_bytes_total', 'Bytes of packets dropped, by reason', ['reason'], ({ maps }) =>
    dropCounts(maps).map(({ reason, bytes }) => ({ labels: { reason }, value: bytes })),
  ),
  counter(
    'stentor_answers_total',
    'TCP resets, ICMP unreachables and echo replies in the name of service addresses, by who asked',
    ['answer', 'to'],
    ({ maps }) => answerCounts(maps),
  ),
];

/** What the programs have said in the name of service addresses. */
function answerCounts(maps: readonly BpfMap[]) {
  const map = maps.find(({ name }) => name === 'answer_budgets');
  const key = Buffer.alloc(4);
  return Object.entries(AnswerTo).flatMap(([to, asker]) =>
    Object.entries(AnswerKind).flatMap(([answer, kind]) => {
      key.writeUInt32LE(3 * asker + kind);
      const value = map?.lookup(key);
      return value ? [{ labels: { answer, to }, value: answerBudgetCodec.decode(value).given }] : [];
    }),
  );
}

type DropCount = { readonly reason: string; readonly packets: number; readonly bytes: number };

/** Of reasons that have happened. */
function dropCounts(maps: readonly BpfMap[]): readonly DropCount[] {
  const map = maps.find(({ name }) => name === 'drops');
  const key = Buffer.alloc(4);
  const counts: DropCount[] = [];
  for (const [number, name] of Object.entries(dropReasonNames)) {
    key.writeUInt32LE(Number(number));
    const values = map?.lookup(key) ?? Buffer.alloc(0);
    let [packets, bytes] = [0, 0];
    for (let at = 0; at < values.length; at += counterCodec.size) {
      const cpu = counterCodec.decode(values, at);
      packets += cpu.packets;
      bytes += cpu.bytes;
    }
    if (packets > 0) counts.push({ reason: name, packets, bytes });
  }
  return counts;
}

/** Events that the kernel did not tell of, or that nobody read in time. */
const aboutFlows: readonly MetricOf<Measured>[] = [
  counter(
    'stentor_events_lost_total',
    'Events of packets that were not told: more of their kind came than is read in a second, or the ring buffer was full',
    ['kind', 'cpu', 'reason'],
    ({ flows }) =>
      (flows?.losses() ?? []).flatMap(({ kind, cpu, limited, full }) => [
        { labels: { kind, cpu: String(cpu), reason: 'limited' }, value: limited },
        { labels: { kind, cpu: String(cpu), reason: 'full' }, value: full },
      ]),
  ),
  counter('stentor_payload_malformed_total', 'Packets that began as DNS or HTTP and were none', ['protocol'], ({ flows }) =>
    Object.entries(flows?.malformed ?? {}).map(([protocol, value]) => ({ labels: { protocol }, value })),
  ),
];

const aboutAgent: readonly MetricOf<Measured>[] = [
  histogram(
    'cilium_localredirectpolicy_controller_duration_seconds',
    'From the moment that a change of a CiliumLocalRedirectPolicy is heard until all that follows is decided',
    ['event'],
    ({ redirectTimes }) => redirectTimes,
  ),
  gauge('stentor_problems', 'What somebody has to repair, by reason', ['reason'], ({ problems }) => {
    const reasons = Array.from(problems.table.entries(), ([, row]) => row.reason);
    return Array.from(
      Map.groupBy(reasons, (reason) => reason),
      ([reason, all]) => ({ labels: { reason }, value: all.length }),
    );
  }),
  gauge('cilium_controllers_failing', 'Watches and reconcilers that fail', [], (measured) => [
    { value: controllersOf(measured).filter(({ failures }) => failures > 0).length },
  ]),
  gauge('stentor_reconciler_refused', 'Entries that a target does not take', ['target'], ({ reconcilers, slow }) =>
    [...reconcilers, ...slow].map(({ name, status }) => ({ labels: { target: name }, value: status.refused.size })),
  ),
  counter('stentor_engine_commits_total', 'Turns in which tables were derived and targets written', [], ({ engine }) => [
    { value: engine.status.commits },
  ]),
  gauge('stentor_engine_longest_commit_seconds', 'The longest of them', [], ({ engine }) => [{ value: engine.status.longestMs / 1000 }]),
  counter('stentor_cni_calls_total', 'CNI calls by verb and result; code 0 is success', ['verb', 'code'], ({ calls }) =>
    calls.rows().map(({ verb, code, count }) => ({ labels: { verb, code: String(code) }, value: count })),
  ),
  counter('stentor_cni_call_seconds_total', 'Time that they took', ['verb', 'code'], ({ calls }) =>
    calls.rows().map(({ verb, code, seconds }) => ({ labels: { verb, code: String(code) }, value: seconds })),
  ),
];

const started = Date.now() / 1000 - process.uptime();

const aboutProcess: readonly MetricOf<Measured>[] = [
  gauge('cilium_process_resident_memory_bytes', 'Resident memory of the agent', [], () => [{ value: residentBytes() }]),
  counter('cilium_process_cpu_seconds_total', 'CPU time of the agent', [], () => {
    const { user, system } = process.cpuUsage();
    return [{ value: (user + system) / 1e6 }];
  }),
  gauge('cilium_process_open_fds', 'Open files of the agent', [], () => [{ value: openFiles() }]),
  gauge('cilium_process_start_time_seconds', 'When the agent started, since the Unix epoch', [], () => [{ value: started }]),
];

export const allOfAgent: readonly MetricOf<Measured>[] = [
  ...aboutNetwork,
  ...aboutFlows,
  ...mapMetrics,
  ...vipMetrics,
  ...aboutAgent,
  ...aboutProcess,
];
