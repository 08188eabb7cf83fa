// SPDX-License-Identifier: Apache-2.0
// The agents: what somebody has to repair, what is dropped, how full everything is, and what they take.

import { one, orNone, orZero, perNode, TARGET, TARGET_LEGEND, top } from './panel.ts';
import type { Dashboard, Panel, Row, Unit } from './panel.ts';

const { rate, gauge, selected } = perNode;
const byTarget = (title: string, about: string, unit: Unit, query: string): Panel => ({
  title,
  about,
  kind: 'lines',
  unit,
  queries: one(query, TARGET_LEGEND),
});
const ofTarget = (metric: string) => gauge('max', metric, { by: TARGET });

const now: Row = {
  title: 'Now',
  panels: [
    {
      title: 'Agents',
      about: 'That are scraped.',
      kind: 'number',
      unit: 'none',
      width: 6,
      queries: one(`count(${selected('cilium_version')})`, ''),
    },
    {
      title: 'Problems',
      about: 'What somebody has to repair. `stentor problems` on a node has object, reason and advice.',
      kind: 'number',
      unit: 'none',
      width: 6,
      queries: one(orZero(gauge('sum', 'stentor_problems')), ''),
      badFrom: 1,
    },
    {
      title: 'Failing',
      about: 'Watches and reconcilers that fail. `cilium status --verbose` names them.',
      kind: 'number',
      unit: 'none',
      width: 6,
      queries: one(gauge('sum', 'cilium_controllers_failing'), ''),
      badFrom: 1,
    },
    {
      title: 'Fullest map',
      about: 'Entries over size. Maps grow with the next start of the agent; one that may not grow any more is a Problem.',
      kind: 'number',
      unit: 'percentunit',
      width: 6,
      queries: one(gauge('max', 'cilium_bpf_map_pressure'), ''),
      badFrom: 0.9,
    },
    {
      title: 'Problems by reason',
      about: 'Each ends by itself when its cause does.',
      kind: 'lines',
      unit: 'none',
      queries: one(orNone(gauge('sum', 'stentor_problems', { by: ['reason'] }), 'reason'), '{{reason}}'),
    },
    {
      title: 'Agents by version',
      about: 'More than one line for long: an upgrade that does not go on.',
      kind: 'stacked',
      unit: 'none',
      queries: one(`count by (version, arch) (${selected('cilium_version')})`, '{{version}} {{arch}}'),
    },
    {
      title: 'Entries that a target refuses',
      about: 'By target; each is a Problem too.',
      kind: 'lines',
      unit: 'none',
      queries: one(top(10, gauge('sum', 'stentor_reconciler_refused', { by: ['target'] })), '{{target}}'),
    },
  ],
};

const packets: Row = {
  title: 'Packets that are dropped or answered',
  panels: [
    {
      title: 'Packets dropped, by reason',
      about: 'Counted in the kernel, also where the event was lost. `stentor drops -f` shows them.',
      kind: 'stacked',
      unit: 'pps',
      queries: one(rate('cilium_drop_count_total', { by: ['reason'] }), '{{reason}}'),
    },
    {
      title: 'Bytes dropped, by reason',
      about: 'Of the same packets.',
      kind: 'stacked',
      unit: 'Bps',
      queries: one(rate('cilium_drop_bytes_total', { by: ['reason'] }), '{{reason}}'),
    },
    byTarget('Packets dropped, by node', 'Where they are dropped.', 'pps', rate('cilium_drop_count_total', { by: TARGET })),
  ],
};

const pods: Row = {
  title: 'Pods',
  panels: [
    byTarget('Pods', 'With an address of this node.', 'none', ofTarget('cilium_endpoint_state')),
    {
      title: 'Addresses in use',
      about: 'Of those that the node can give to pods, by family.',
      kind: 'lines',
      unit: 'percentunit',
      queries: one(
        `max by (family, ${TARGET.join(', ')}) (${selected('cilium_ip_addresses')} / ${selected('cilium_ipam_capacity')})`,
        `{{family}} ${TARGET_LEGEND}`,
      ),
    },
    {
      title: 'CNI calls',
      about: 'By verb and result; code 0 is success, of others the events of the pod say why.',
      kind: 'lines',
      unit: 'cps',
      queries: one(rate('stentor_cni_calls_total', { by: ['verb', 'code'] }), '{{verb}} {{code}}'),
    },
    {
      title: 'Time of a CNI call',
      about: 'Mean, by verb.',
      kind: 'lines',
      unit: 's',
      queries: one(
        `${rate('stentor_cni_call_seconds_total', { by: ['verb'] })} / ${rate('stentor_cni_calls_total', { by: ['verb'] })}`,
        '{{verb}}',
      ),
    },
    byTarget('Identities', 'That this node knows.', 'none', ofTarget('cilium_identity')),
    byTarget('Nodes', 'That this node knows.', 'none', ofTarget('cilium_nodes_all_num')),
  ],
};

const services: Row = {
  title: 'Services and connections',
  panels: [
    byTarget('Service addresses and ports', 'That each node serves.', 'none', ofTarget('stentor_frontends')),
    byTarget('Backends', 'Addresses that serve them.', 'none', ofTarget('stentor_backends')),
    byTarget(
      'Connections',
      'Entries of conntrack at the last look, two for a connection.',
      'none',
      gauge('max', 'cilium_datapath_conntrack_gc_entries', { by: TARGET, where: 'status="alive"' }),
    ),
    byTarget(
      'Masquerade ports',
      'The most in use towards one destination, over those that there are. At 100 % new connections there fail.',
      'percentunit',
      ofTarget('stentor_masquerade_port_pressure'),
    ),
  ],
};

const maps: Row = {
  title: 'Maps',
  panels: [
    {
      title: 'Fullest maps',
      about: 'Entries over size, on the node where it is fullest.',
      kind: 'bars',
      unit: 'percentunit',
      queries: one(top(10, gauge('max', 'cilium_bpf_map_pressure', { by: ['map_name'] })), '{{map_name}}'),
    },
    byTarget('Memory of all maps', 'It grows with use.', 'bytes', gauge('sum', 'stentor_bpf_map_bytes', { by: TARGET })),
    {
      title: 'Largest maps',
      about: 'By memory, on the node where it is largest.',
      kind: 'bars',
      unit: 'bytes',
      queries: one(top(10, gauge('max', 'stentor_bpf_map_bytes', { by: ['map_name'] })), '{{map_name}}'),
    },
  ],
};

const agents: Row = {
  title: 'The process',
  panels: [
    byTarget('Memory', 'Resident.', 'bytes', ofTarget('cilium_process_resident_memory_bytes')),
    byTarget('CPU', 'Seconds a second: 1 is a core.', 'short', rate('cilium_process_cpu_seconds_total', { by: TARGET })),
    byTarget('Open files', 'They should not grow for ever.', 'none', ofTarget('cilium_process_open_fds')),
    byTarget(
      'Since the start',
      'A line that falls to zero is a restart.',
      's',
      `time() - ${ofTarget('cilium_process_start_time_seconds')}`,
    ),
    byTarget(
      'Commits',
      'Turns in which tables were derived and the kernel was written.',
      'cps',
      rate('stentor_engine_commits_total', { by: TARGET }),
    ),
    byTarget(
      'Longest commit',
      'Since the start. Traffic does not wait for it, changes do.',
      's',
      ofTarget('stentor_engine_longest_commit_seconds'),
    ),
  ],
};

export const agentDashboard: Dashboard = {
  file: 'cilium-dashboard',
  uid: 'vtuWtdumz',
  title: 'Cilium: agents',
  about:
    'One agent on each node. `cilium status` and `stentor problems` say the same in words. What the metrics mean: `docs/operate.md`, "Metrics". They need ' +
    '`prometheus.enabled`.',
  nodesOf: 'cilium_version',
  rows: [now, packets, pods, services, maps, agents],
};
