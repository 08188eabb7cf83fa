// SPDX-License-Identifier: Apache-2.0
// The tables of identities and how they follow from each other.
//
//   pods, namespaces ─▶ pod_labels ─▶ label_sets ┬─▶ provisional_identities ─┐
//                                                └─▶ wanted_identities ──────────────────────────▶ CiliumIdentity
//   CiliumIdentity ───▶ cilium_identities ───────────────────────────────────┴─▶ endpoint_identities ┬─▶ kernel
//   CNI ──────────────▶ endpoints ───────────────────────────────────────────────────────────────────┴─▶ CiliumEndpoint
//   CiliumEndpoint of other nodes ─▶ remote_pods ─▶ ipcache (nodes)

import { number } from '../base/assign.ts';
import type { Numbered } from '../base/assign.ts';
import { derive, from } from '../base/derive.ts';
import type { Derivation, Input } from '../base/derive.ts';
import type { Problem, ProblemBook } from '../base/problem.ts';
import { sameRow } from '../base/same.ts';
import { table } from '../base/table.ts';
import type { Table } from '../base/table.ts';
import type { EndpointRow } from '../endpoints/endpoint.ts';
import type { CiliumEndpoint, CiliumNode } from '../kube/types.ts';
import { wantedIdentities } from './allocation.ts';
import type { Wanted } from './allocation.ts';
import { endpointIdentityFor, endpointObjectFor, podOf, provisionalBefore } from './endpoints.ts';
import type { EndpointIdentity, Known, PodLabels } from './endpoints.ts';
import type { IdentityRow, NamespaceRow, PodRow, RemotePod } from './facts.ts';
import { podLabels } from './labels.ts';
import type { Labels } from './labels.ts';
import { isIn, PROVISIONAL } from './numbers.ts';
import type { Range } from './numbers.ts';

/** Tables that the Kubernetes API fills, and the one that endpoints wait for: made first, because others' derivations read them. */
export type IdentitySources = {
  readonly pods: Table<string, PodRow>;
  readonly namespaces: Table<string, NamespaceRow>;
  readonly identities: Table<string, IdentityRow>;
  readonly remotePods: Table<string, RemotePod>;
  readonly nodeObjects: Table<string, CiliumNode>;
  /** Key: host interface, as of endpoints. */
  readonly endpointIdentities: Table<string, EndpointIdentity>;
};

export type IdentityOptions = IdentitySources &
  Pick<Known, 'endpoints' | 'nodes' | 'self' | 'before'> & {
    readonly clusterName: string;
    /** The numbers that the cluster gives out. */
    readonly range: Range;
    readonly problems: ProblemBook;
  };

export type IdentityTables = IdentitySources & {
  readonly podLabels: Table<string, PodLabels>;
  readonly labelSets: Table<Labels, Labels>;
  readonly provisional: Table<Labels, Numbered>;
  readonly wanted: Table<string, Wanted>;
  readonly endpointObjects: Table<string, CiliumEndpoint>;
  readonly derivations: readonly Derivation[];
};

const same = { same: sameRow };

export function identitySources(): IdentitySources {
  return {
    pods: table<string, PodRow>('pods', { ...same, indexes: { namespace: ({ namespace }) => [namespace] } }),
    namespaces: table<string, NamespaceRow>('namespaces', same),
    identities: table<string, IdentityRow>('cilium_identities', { ...same, indexes: { labels: ({ labels }) => [labels] } }),
    remotePods: table<string, RemotePod>('remote_pods', same),
    nodeObjects: table<string, CiliumNode>('cilium_node_objects', same),
    endpointIdentities: table<string, EndpointIdentity>('endpoint_identities', same),
  };
}

export function identityTables(options: IdentityOptions): IdentityTables {
  const made = {
    podLabels: table<string, PodLabels>('pod_labels', { ...same, indexes: { labels: ({ labels }) => [labels] } }),
    labelSets: table<Labels, Labels>('label_sets', same),
    provisional: table<Labels, Numbered>('provisional_identities', same),
    wanted: table<string, Wanted>('wanted_identities', same),
    endpointObjects: table<string, CiliumEndpoint>('cilium_endpoint_objects', same),
  };
  const { pods, namespaces, identities, remotePods, nodeObjects, endpointIdentities } = options;
  const known: Known = { ...options, ...made };
  return {
    pods,
    namespaces,
    identities,
    remotePods,
    nodeObjects,
    endpointIdentities,
    ...made,
    derivations: [...ofLabels(options, made, known), ...ofEndpoints(options, made, known)],
  };
}

type Made = Pick<IdentityTables, 'podLabels' | 'labelSets' | 'provisional' | 'wanted' | 'endpointObjects'>;

/** Which label sets this node has, and their numbers. */
function ofLabels(
  { pods, namespaces, identities, endpoints, clusterName, range, before, problems }: IdentityOptions,
  made: Made,
  known: Known,
): Derivation[] {
  const { podLabels: labelled, labelSets, provisional, wanted } = made;
  const labelsOf = (key: string): Iterable<readonly [string, PodLabels]> => {
    const pod = pods.get(key);
    const namespace = pod && namespaces.get(pod.namespace);
    return pod && namespace ? [[key, { pod: key, labels: podLabels(pod, namespace, clusterName) }]] : [];
  };
  const labelSetOf = (pod: string): Iterable<readonly [Labels, Labels]> => {
    const labels = labelled.get(pod)?.labels;
    const [endpoint] = endpoints.by('pod', pod);
    return labels !== undefined && endpoint ? [[labels, labels]] : [];
  };
  const wantedNow = (): Iterable<readonly [string, Wanted] | Problem> =>
    wantedIdentities(
      Array.from(labelSets.entries(), ([labels]) => labels),
      identities,
      range,
    );
  return [
    derive({
      name: 'pod_labels',
      inputs: [from(pods), from(namespaces, (name) => Array.from(pods.by('namespace', name), (pod) => `${name}/${pod.name}`))],
      out: labelled.writer('pod_labels'),
      compute: labelsOf,
    }),
    derive({
      name: 'label_sets',
      inputs: [from(labelled), from(endpoints, podsOfBoth)],
      out: labelSets.writer('label_sets'),
      compute: labelSetOf,
    }),
    number({
      name: 'provisional_identities',
      from: labelSets,
      out: provisional.writer('numbering'),
      previous: (labels) => provisionalBefore(labels, known),
      reserved: [...before.values()].filter((id) => isIn(PROVISIONAL, id)),
      range: PROVISIONAL,
      problems,
    }),
    derive({
      name: 'wanted_identities',
      whole: true,
      inputs: [from(labelSets, () => ['all']), from(identities, () => ['all'])],
      out: wanted.writer('wanted_identities'),
      compute: wantedNow,
      problems,
    }),
  ];
}

/** Who endpoints are, and what the API is told of them. */
function ofEndpoints(
  { pods, identities, endpoints, endpointIdentities, nodes, self }: IdentityOptions,
  made: Made,
  known: Known,
): Derivation[] {
  const { podLabels: labelled, provisional, endpointObjects } = made;
  const interfacesOf = (pod: string) => Array.from(endpoints.by('pod', pod), (row) => row.hostInterface);
  const interfacesWith = (labels: Labels) => Array.from(labelled.by('labels', labels), ({ pod }) => interfacesOf(pod)).flat();
  const podsHere = () => Array.from(endpoints.entries(), ([, row]) => podOf(row));
  return [
    derive({
      name: 'endpoint_identities',
      inputs: [
        from(endpoints),
        onceComplete(identities, () => Array.from(endpoints.entries(), ([key]) => key)),
        from(labelled, interfacesOf),
        from(provisional, interfacesWith),
        from(identities, (_key, now, then) => [now, then].flatMap((row) => (row ? interfacesWith(row.labels) : []))),
      ],
      out: endpointIdentities.writer('endpoint_identities'),
      compute: (key: string) => endpointIdentityFor(key, known, endpointIdentities.get(key)),
    }),
    derive({
      name: 'cilium_endpoint_objects',
      whole: true,
      inputs: [
        from(pods),
        from(endpoints, podsOfBoth),
        from(endpointIdentities, (key) => podsOfBoth(key, endpoints.get(key), undefined)),
        from(nodes, (name) => (name === self ? podsHere() : [])),
      ],
      out: endpointObjects.writer('cilium_endpoint_objects'),
      compute: (pod: string) => endpointObjectFor(pod, known, endpointIdentities, endpointObjects.get(pod)),
    }),
  ];
}

/** Input keys for the moment from which on a missing row means that there is none. */
function onceComplete<I>(source: Table<string, unknown>, keys: () => Iterable<I>): Input<I> {
  let told = false;
  return {
    get complete() {
      return source.complete;
    },
    get pending() {
      return source.complete && !told ? 1 : 0;
    },
    take(into) {
      if (!source.complete || told) return;
      told = true;
      for (const key of keys()) into.add(key);
    },
  };
}

function podsOfBoth(_key: string, now: EndpointRow | undefined, then: EndpointRow | undefined): string[] {
  return [now, then].flatMap((row) => (row ? [podOf(row)] : []));
}
