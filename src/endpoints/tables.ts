// SPDX-License-Identifier: Apache-2.0
// The tables of endpoints and how they follow from each other.
//
//   endpoints (CNI) ──┬─▶ pod_links    veth pairs, and the pods' side of them
//                     ├─▶ pod_filters  pod_from and pod_to on each
//   pod_mtu ──────────┘
//   exempt_pods ──────┼─▶ sock_exempt  network namespaces whose sockets stay as they are
//   identities ───────┴─▶ endpoints    the map by address

import { derive, from } from '../base/derive.ts';
import type { Derivation, Input } from '../base/derive.ts';
import type { Ip } from '../base/ip.ts';
import { sameRow } from '../base/same.ts';
import { table } from '../base/table.ts';
import type { Table } from '../base/table.ts';
import type { MapEntry } from '../datapath/maps.ts';
import type { PodFilter } from '../datapath/pod-filters.ts';
import type { PodLink } from '../datapath/pod-links.ts';
import type { Endpoint, Netns } from '../datapath/schema.gen.ts';
import { endpointEntries, podFiltersFor, podLinksFor } from './attachments.ts';
import type { EndpointRow } from './endpoint.ts';
import { exemptEntries } from './sockets.ts';
import type { ExemptPod } from './sockets.ts';

/** The identity of an endpoint that nobody has named; before its entry is written, somebody has. */
const UNKNOWN = 0;

export type EndpointTables = {
  readonly endpoints: Table<string, EndpointRow>;
  readonly podLinks: Table<string, PodLink>;
  readonly podFilters: Table<string, PodFilter>;
  readonly entries: Table<string, MapEntry<Ip, Endpoint>>;
  readonly exemptPods: Table<string, ExemptPod>;
  readonly sockExempt: Table<string, MapEntry<Netns, number>>;
  readonly derivations: readonly Derivation[];
};

/** Who an endpoint is, by host interface. */
export type Identities = Table<string, { readonly identity: number }>;

export type EndpointOptions = {
  /** Ids of the loaded pod_from and pod_to. */
  readonly programs: { readonly from: number; readonly to: number };
  readonly identities: Identities;
  /** What pods of this node get now; empty while nobody knows. */
  readonly podMtu: Table<'now', { readonly mtu: number }>;
};

export function endpointTables({ programs, identities, podMtu }: EndpointOptions): EndpointTables {
  const endpoints = table<string, EndpointRow>('endpoints', {
    same: sameRow,
    indexes: {
      address: ({ addresses }) => addresses,
      interface: ({ interfaceIndex }) => [`${interfaceIndex}`],
      pod: ({ namespace, pod }) => [`${namespace}/${pod}`],
      netns: ({ netnsCookie }) => (netnsCookie === '' ? [] : [netnsCookie]),
    },
  });
  const podLinks = table<string, PodLink>('pod_links', { same: sameRow });
  const podFilters = table<string, PodFilter>('pod_filters', { same: sameRow });
  const entries = table<string, MapEntry<Ip, Endpoint>>('endpoint_entries', { same: sameRow });
  const exemptPods = table<string, ExemptPod>('exempt_pods', { same: sameRow });
  const sockExempt = table<string, MapEntry<Netns, number>>('sock_exempt', { same: sameRow });
  const hostInterfacesOf = (pod: string) => Array.from(endpoints.by('pod', pod), ({ hostInterface }) => hostInterface);
  const derivations = [
    derive({
      name: 'pod_links',
      inputs: [from(endpoints), unhurried(from(podMtu, () => Array.from(endpoints.entries(), ([key]) => key)))],
      out: podLinks.writer('pod_links'),
      compute: (key: string) => podLinksFor(endpoints.get(key), podMtu.get('now')?.mtu),
    }),
    derive({
      name: 'pod_filters',
      inputs: [from(endpoints)],
      out: podFilters.writer('pod_filters'),
      compute: (key) => podFiltersFor(endpoints.get(key), programs),
    }),
    derive({
      name: 'endpoint_entries',
      inputs: [from(endpoints), unhurried(from(identities))],
      out: entries.writer('endpoint_entries'),
      compute: (key: string) => endpointEntries(endpoints.get(key), identities.get(key)?.identity ?? UNKNOWN),
    }),
    derive({
      name: 'sock_exempt',
      inputs: [from(endpoints), from(exemptPods, hostInterfacesOf)],
      out: sockExempt.writer('sock_exempt'),
      compute: (key: string) => exemptEntries(endpoints.get(key), exemptPods),
    }),
  ];
  return { endpoints, podLinks, podFilters, entries, exemptPods, sockExempt, derivations };
}

/** An input that nobody waits for: a pod ends whether or not the API has told who it was and where its node is. */
function unhurried<I>(input: Input<I>): Input<I> {
  return {
    complete: true,
    get pending() {
      return input.pending;
    },
    take: (into, limit) => input.take(into, limit),
  };
}
