// SPDX-License-Identifier: Apache-2.0
// The tables of endpoints and how they follow from each other.
//
//   endpoints (CNI) ──┬─▶ pod_links    veth pairs, and the pods' side of them
//                     ├─▶ pod_filters  pod_from and pod_to on each
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
import type { Endpoint } from '../datapath/schema.gen.ts';
import { endpointEntries, podFiltersFor, podLinksFor } from './attachments.ts';
import type { EndpointRow } from './endpoint.ts';

/** The identity of an endpoint that nobody has named; before its entry is written, somebody has. */
const UNKNOWN = 0;

export type EndpointTables = {
  readonly endpoints: Table<string, EndpointRow>;
  readonly podLinks: Table<string, PodLink>;
  readonly podFilters: Table<string, PodFilter>;
  readonly entries: Table<string, MapEntry<Ip, Endpoint>>;
  readonly derivations: readonly Derivation[];
};

/** Who an endpoint is, by host interface. */
export type Identities = Table<string, { readonly identity: number }>;

/** `programs`: ids of the loaded pod_from and pod_to. */
export function endpointTables(programs: { readonly from: number; readonly to: number }, identities: Identities): EndpointTables {
  const endpoints = table<string, EndpointRow>('endpoints', {
    same: sameRow,
    indexes: {
      address: ({ addresses }) => addresses,
      pod: ({ namespace, pod }) => [`${namespace}/${pod}`],
    },
  });
  const podLinks = table<string, PodLink>('pod_links', { same: sameRow });
  const podFilters = table<string, PodFilter>('pod_filters', { same: sameRow });
  const entries = table<string, MapEntry<Ip, Endpoint>>('endpoint_entries', { same: sameRow });
  const derivations = [
    derive({
      name: 'pod_links',
      inputs: [from(endpoints)],
      out: podLinks.writer('pod_links'),
      compute: (key) => podLinksFor(endpoints.get(key)),
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
  ];
  return { endpoints, podLinks, podFilters, entries, derivations };
}

/** An input that nobody waits for: a pod ends whether or not the API has told who it was. */
function unhurried<I>(input: Input<I>): Input<I> {
  return {
    complete: true,
    get pending() {
      return input.pending;
    },
    take: (into, limit) => input.take(into, limit),
  };
}
