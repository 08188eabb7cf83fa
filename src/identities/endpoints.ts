// SPDX-License-Identifier: Apache-2.0
// Who each endpoint of this node is, and what other nodes are told of it.

import type { Numbered } from '../base/assign.ts';
import type { Ip } from '../base/ip.ts';
import type { Table } from '../base/table.ts';
import type { EndpointRow } from '../endpoints/endpoint.ts';
import type { CiliumEndpoint } from '../kube/types.ts';
import { agreedOn } from './allocation.ts';
import type { IdentityRow, PodRow } from './facts.ts';
import type { Labels } from './labels.ts';
import { identity, isIn, PROVISIONAL, Reserved } from './numbers.ts';
import type { Identity, Range } from './numbers.ts';
import { endpointObject } from './objects.ts';

/** Who an endpoint is. */
export type EndpointIdentity = {
  readonly identity: Identity;
  /** Undefined: not known yet. */
  readonly labels: Labels | undefined;
  /** The whole cluster knows the number. */
  readonly agreed: boolean;
};

/** Key: namespace and name of the pod. */
export type PodLabels = { readonly pod: string; readonly labels: Labels };

export type Known = {
  readonly endpoints: Table<string, EndpointRow>;
  readonly pods: Table<string, PodRow>;
  readonly podLabels: Table<string, PodLabels>;
  readonly identities: Table<string, IdentityRow>;
  readonly provisional: Table<Labels, Numbered>;
  /** The cluster's numbers. */
  readonly range: Range;
  /** The numbers that endpoints had in the kernel when the agent started, by host interface. */
  readonly before: ReadonlyMap<string, number>;
  /** Name of this node, and what is known of it. */
  readonly self: string;
  readonly nodes: Table<string, { readonly addresses: readonly Ip[] }>;
};

export function podOf({ namespace, pod }: EndpointRow): string {
  return `${namespace}/${pod}`;
}

/** `now`: the row as it stands. */
export function* endpointIdentityFor(
  key: string,
  known: Known,
  now: EndpointIdentity | undefined,
): Iterable<readonly [string, EndpointIdentity]> {
  const { endpoints, podLabels, identities, provisional, range, before } = known;
  const row = endpoints.get(key);
  if (!row) return;
  const labels = podLabels.get(podOf(row))?.labels;
  const agreed = labels === undefined ? undefined : agreedOn(labels, identities, range);
  if (agreed !== undefined) {
    yield [key, { identity: agreed, labels, agreed: true }];
    return;
  }
  // While not everything is known, or not any more because the pod's object went first, an endpoint stays who it is.
  const is = now ?? { identity: identity(before.get(key) ?? Reserved.init), labels: undefined, agreed: false };
  const own = labels === undefined ? undefined : provisional.get(labels);
  if (own === undefined) yield [key, { ...is, labels: labels ?? is.labels }];
  else if (!identities.complete && is.identity !== Reserved.init) yield [key, { ...is, labels }];
  else yield [key, { identity: identity(own.id), labels, agreed: false }];
}

/** The provisional number that an endpoint with these labels had in the kernel. */
export function provisionalBefore(labels: Labels, { endpoints, podLabels, before }: Known): number | undefined {
  for (const { pod } of podLabels.by('labels', labels))
    for (const { hostInterface } of endpoints.by('pod', pod)) {
      const id = before.get(hostInterface);
      if (id !== undefined && isIn(PROVISIONAL, id)) return id;
    }
  return undefined;
}

/** `now`: the object as it stands, which stays until the cluster has agreed on another number. */
export function* endpointObjectFor(
  pod: string,
  known: Known,
  identities: Table<string, EndpointIdentity>,
  now: CiliumEndpoint | undefined,
): Iterable<readonly [string, CiliumEndpoint]> {
  const { endpoints, pods, nodes, self } = known;
  const [endpoint] = endpoints.by('pod', pod);
  const who = endpoint && identities.get(endpoint.hostInterface);
  const { uid = '', workload } = pods.get(pod) ?? {};
  const [address] = nodes.get(self)?.addresses ?? [];
  if (!endpoint || !who || uid === '' || address === undefined) return;
  if (who.agreed && who.labels !== undefined)
    yield [pod, endpointObject({ endpoint, uid, workload, identity: who.identity, labels: who.labels, node: self, address })];
  else if (now?.metadata.ownerReferences?.[0]?.uid === uid) yield [pod, now];
}
