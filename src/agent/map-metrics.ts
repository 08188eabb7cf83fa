// SPDX-License-Identifier: Apache-2.0
// The maps of the data plane: how full they are, and what the sweeps of conntrack found.

import { metricKinds } from '../base/metrics.ts';
import type { Insides } from './providers.ts';
import { natPorts } from './providers.ts';

type Facts = Pick<Insides, 'usage' | 'maps' | 'sweep' | 'config'>;

const { gauge, counter } = metricKinds<Facts>();
const known = ({ usage }: Facts) => usage.uses().filter(({ entries }) => entries !== undefined);
const busiest = ({ sweep }: Facts) => sweep.last?.ports ?? [];

export const mapMetrics = [
  gauge('cilium_bpf_map_pressure', 'Entries of a map over its size', ['map_name'], (facts) =>
    known(facts).map(({ name, entries = 0, capacity }) => ({ labels: { map_name: name }, value: entries / capacity })),
  ),
  gauge('stentor_bpf_map_entries', 'Entries of a map', ['map_name'], (facts) =>
    known(facts).map(({ name, entries = 0 }) => ({ labels: { map_name: name }, value: entries })),
  ),
  gauge('stentor_bpf_map_capacity', 'Entries that a map can have', ['map_name'], ({ usage }) =>
    usage.uses().map(({ name, capacity }) => ({ labels: { map_name: name }, value: capacity })),
  ),
  gauge('stentor_bpf_map_bytes', 'Memory of a map', ['map_name'], ({ maps }) =>
    maps.map((map) => ({ labels: { map_name: map.name }, value: map.info().memoryBytes })),
  ),
  counter('cilium_datapath_conntrack_gc_runs_total', 'Sweeps of conntrack', ['status'], ({ sweep }) => [
    { labels: { status: 'completed' }, value: sweep.runs },
  ]),
  gauge('cilium_datapath_conntrack_gc_entries', 'Entries that the last sweep of conntrack found', ['status'], ({ sweep }) =>
    sweep.last
      ? [
          { labels: { status: 'alive' }, value: sweep.last.entries },
          { labels: { status: 'deleted' }, value: sweep.last.removed },
        ]
      : [],
  ),
  gauge(
    'stentor_masquerade_ports',
    'Masquerade ports in use, of the addresses and destinations with most of them',
    ['address', 'destination'],
    (facts) => busiest(facts).map(({ address, destination, ports }) => ({ labels: { address, destination }, value: ports })),
  ),
  gauge(
    'stentor_masquerade_port_pressure',
    'The most ports that one address has in use towards one destination, over those that it has',
    [],
    (facts) => (facts.sweep.last ? [{ value: (busiest(facts)[0]?.ports ?? 0) / natPorts(facts.config) }] : []),
  ),
];
