// SPDX-License-Identifier: Apache-2.0
// What the agent counts of itself, for Prometheus: under the names that dashboards for Cilium ask for where there is such a thing, as
// stentor_* otherwise. Nothing is kept for it; a scrape asks whoever knows.

import { arch } from 'node:process';
import { familyOf } from '../base/ip.ts';
import type { Histogram, Metric, Sample } from '../base/metrics.ts';
import { AnswerKind, AnswerTo, answerBudgetCodec, counterCodec, dropReasonNames } from '../datapath/schema.gen.ts';
import { usableSize } from '../ipam/addresses.ts';
import type { BpfMap } from '../kernel/map.ts';
import type { CallCounts } from './call-counts.ts';
import type { Sweep } from './conntrack-sweep.ts';
import type { MapUsage } from './map-usage.ts';
import { openFiles, residentBytes } from './process-facts.ts';
import type { Insides } from './providers.ts';
import { controllersOf, natPorts } from './providers.ts';
import { version } from './version.ts';

export type Measured = Insides & {
  readonly usage: MapUsage;
  readonly sweep: Sweep;
  readonly calls: CallCounts;
  readonly redirectTimes: Histogram;
  readonly engine: { readonly status: { readonly commits: number; readonly longestMs: number } };
};

export function agentMetrics(measured: Measured): readonly Metric[] {
  return [
    ...aboutNetwork(measured),
    ...aboutFlows(measured),
    ...aboutMaps(measured),
    ...aboutPorts(measured),
    ...aboutVips(measured),
    {
      name: 'cilium_localredirectpolicy_controller_duration_seconds',
      type: 'histogram',
      help: 'From the moment that a change of a CiliumLocalRedirectPolicy is heard until all that follows is decided',
      samples: () => measured.redirectTimes.samples(),
    },
    ...aboutAgent(measured),
    ...aboutProcess(),
  ];
}

function gauge(name: string, help: string, samples: () => Iterable<Sample>): Metric {
  return { name, type: 'gauge', help, samples };
}

function counter(name: string, help: string, samples: () => Iterable<Sample>): Metric {
  return { name, type: 'counter', help, samples };
}

function aboutVips({ l2, vips }: Measured): readonly Metric[] {
  const owners = () => Array.from(l2.owners.entries(), ([, row]) => row);
  return [
    gauge('stentor_l2_addresses', 'Load balancer addresses by the node that answers for them, as this node knows it', () => {
      const counts = new Map<string, number>();
      for (const { owner = '' } of owners()) counts.set(owner, (counts.get(owner) ?? 0) + 1);
      return Array.from(counts, ([node, value]) => ({ labels: { node }, value }));
    }),
    gauge('stentor_l2_owned', '1: this node answers for the address', () =>
      owners().flatMap(({ ip, held }) => (held ? [{ labels: { ip }, value: 1 }] : [])),
    ),
    gauge('stentor_l2_peers', 'Other nodes whose heartbeats are heard', () => [{ value: l2.peers.size }]),
    gauge('stentor_l2_reachable', '1: `from` asks for the address on the LAN and finds it at its owner; 0: it does not find it', () =>
      vips.rows().flatMap(({ ip, reachable }) => reachable.map(({ from, found }) => ({ labels: { ip, from }, value: Number(found) }))),
    ),
    counter('stentor_l2_moves_total', 'Changes of the node that answers for an address', () =>
      Array.from(vips.moves(), ([ip, value]) => ({ labels: { ip }, value })),
    ),
  ];
}

function aboutNetwork({ endpoints, identities, nodes, services, self, maps }: Measured): readonly Metric[] {
  const families = [4, 6] as const;
  const addresses = (family: 4 | 6) =>
    Array.from(endpoints.endpoints.entries(), ([, row]) => row.addresses.filter((address) => familyOf(address) === family).length).reduce(
      (sum, count) => sum + count,
      0,
    );
  const drops = () => dropCounts(maps);
  return [
    gauge('cilium_version', 'Version of the agent', () => [{ labels: { version: version(), arch }, value: 1 }]),
    gauge('cilium_endpoint_state', 'Endpoints of this node by state', () => [
      { labels: { endpoint_state: 'ready' }, value: endpoints.endpoints.size },
    ]),
    gauge('cilium_identity', 'Identities that are known', () => [{ labels: { type: 'cluster_local' }, value: identities.identities.size }]),
    gauge('cilium_nodes_all_num', 'Nodes of the cluster', () => [{ value: nodes.nodes.size }]),
    gauge('cilium_ip_addresses', 'Addresses that pods of this node have', () =>
      families.map((family) => ({ labels: { family: `ipv${family}` }, value: addresses(family) })),
    ),
    gauge('cilium_ipam_capacity', 'Addresses that this node can give to pods', () =>
      (nodes.nodes.get(self)?.podCidrs ?? []).map((range) => ({
        labels: { family: `ipv${familyOf(range.ip)}` },
        value: usableSize(range),
      })),
    ),
    gauge('stentor_frontends', 'Service addresses and ports that this node serves', () => [{ value: services.frontends.size }]),
    gauge('stentor_backends', 'Addresses that serve them', () => [{ value: services.backends.size }]),
    counter('cilium_drop_count_total', 'Packets dropped, by reason', () =>
      drops().map(({ reason, packets }) => ({ labels: { reason }, value: packets })),
    ),
    counter('stentor_answers_total', 'TCP resets, ICMP unreachables and echo replies in the name of service addresses, by who asked', () =>
      answerCounts(maps),
    ),
    counter('cilium_drop_bytes_total', 'Bytes of packets dropped, by reason', () =>
      drops().map(({ reason, bytes }) => ({ labels: { reason }, value: bytes })),
    ),
  ];
}

/** What the programs have said in the name of service addresses. */
function answerCounts(maps: readonly BpfMap[]): readonly Sample[] {
  const map = maps.find(({ name }) => name === 'answer_budgets');
  const key = Buffer.alloc(4);
  const samples: Sample[] = [];
  for (const [to, asker] of Object.entries(AnswerTo))
    for (const [answer, kind] of Object.entries(AnswerKind)) {
      key.writeUInt32LE(3 * asker + kind);
      const value = map?.lookup(key);
      if (value) samples.push({ labels: { answer, to }, value: answerBudgetCodec.decode(value).given });
    }
  return samples;
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

function aboutPorts({ sweep, config }: Measured): readonly Metric[] {
  const found = () => sweep.last?.ports ?? [];
  return [
    gauge('stentor_masquerade_ports', 'Masquerade ports in use, of the addresses and destinations with most of them', () =>
      found().map(({ address, destination, ports }) => ({ labels: { address, destination }, value: ports })),
    ),
    gauge(
      'stentor_masquerade_port_pressure',
      'The most ports that one address has in use towards one destination, over those that it has',
      () => (sweep.last ? [{ value: (found()[0]?.ports ?? 0) / natPorts(config) }] : []),
    ),
  ];
}

/** Events that the kernel did not tell of, or that nobody read in time. */
function aboutFlows({ flows }: Measured): readonly Metric[] {
  if (!flows) return [];
  return [
    counter(
      'stentor_events_lost_total',
      'Events of packets that were not told: more of their kind came than is read in a second, or the ring buffer was full',
      () =>
        flows.losses().flatMap(({ kind, cpu, limited, full }) => [
          { labels: { kind, cpu: String(cpu), reason: 'limited' }, value: limited },
          { labels: { kind, cpu: String(cpu), reason: 'full' }, value: full },
        ]),
    ),
    counter('stentor_payload_malformed_total', 'Packets that began as DNS or HTTP and were none', () =>
      Object.entries(flows.malformed).map(([protocol, value]) => ({ labels: { protocol }, value })),
    ),
  ];
}

function aboutMaps({ usage, maps, sweep }: Measured): readonly Metric[] {
  const known = () => usage.uses().filter(({ entries }) => entries !== undefined);
  return [
    gauge('cilium_bpf_map_pressure', 'Entries of a map over its size', () =>
      known().map(({ name, entries = 0, capacity }) => ({ labels: { map_name: name }, value: entries / capacity })),
    ),
    gauge('stentor_bpf_map_entries', 'Entries of a map', () =>
      known().map(({ name, entries = 0 }) => ({ labels: { map_name: name }, value: entries })),
    ),
    gauge('stentor_bpf_map_capacity', 'Entries that a map can have', () =>
      usage.uses().map(({ name, capacity }) => ({ labels: { map_name: name }, value: capacity })),
    ),
    gauge('stentor_bpf_map_bytes', 'Memory of a map', () =>
      maps.map((map) => ({ labels: { map_name: map.name }, value: map.info().memoryBytes })),
    ),
    counter('cilium_datapath_conntrack_gc_runs_total', 'Sweeps of conntrack', () => [
      { labels: { status: 'completed' }, value: sweep.runs },
    ]),
    gauge('cilium_datapath_conntrack_gc_entries', 'Entries that the last sweep of conntrack found', () =>
      sweep.last
        ? [
            { labels: { status: 'alive' }, value: sweep.last.entries },
            { labels: { status: 'deleted' }, value: sweep.last.removed },
          ]
        : [],
    ),
  ];
}

function aboutAgent(measured: Measured): readonly Metric[] {
  const { problems, reconcilers, slow, engine, calls } = measured;
  const byReason = () =>
    Map.groupBy(
      Array.from(problems.table.entries(), ([, row]) => row.reason),
      (reason) => reason,
    );
  return [
    gauge('stentor_problems', 'What somebody has to repair, by reason', () =>
      Array.from(byReason(), ([reason, all]) => ({ labels: { reason }, value: all.length })),
    ),
    gauge('cilium_controllers_failing', 'Watches and reconcilers that fail', () => [
      { value: controllersOf(measured).filter(({ failures }) => failures > 0).length },
    ]),
    gauge('stentor_reconciler_refused', 'Entries that a target does not take', () =>
      [...reconcilers, ...slow].map(({ name, status }) => ({ labels: { target: name }, value: status.refused.size })),
    ),
    counter('stentor_engine_commits_total', 'Turns in which tables were derived and targets written', () => [
      { value: engine.status.commits },
    ]),
    gauge('stentor_engine_longest_commit_seconds', 'The longest of them', () => [{ value: engine.status.longestMs / 1000 }]),
    counter('stentor_cni_calls_total', 'CNI calls by verb and result; code 0 is success', () =>
      calls.rows().map(({ verb, code, count }) => ({ labels: { verb, code: String(code) }, value: count })),
    ),
    counter('stentor_cni_call_seconds_total', 'Time that they took', () =>
      calls.rows().map(({ verb, code, seconds }) => ({ labels: { verb, code: String(code) }, value: seconds })),
    ),
  ];
}

function aboutProcess(): readonly Metric[] {
  const started = Date.now() / 1000 - process.uptime();
  return [
    gauge('cilium_process_resident_memory_bytes', 'Resident memory of the agent', () => [{ value: residentBytes() }]),
    counter('cilium_process_cpu_seconds_total', 'CPU time of the agent', () => {
      const { user, system } = process.cpuUsage();
      return [{ value: (user + system) / 1e6 }];
    }),
    gauge('cilium_process_open_fds', 'Open files of the agent', () => [{ value: openFiles() }]),
    gauge('cilium_process_start_time_seconds', 'When the agent started, since the Unix epoch', () => [{ value: started }]),
  ];
}
