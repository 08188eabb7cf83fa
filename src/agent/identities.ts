// SPDX-License-Identifier: Apache-2.0
// Identities and the Kubernetes API: what is watched, and the objects that this node writes there. Without their
// CustomResourceDefinitions pods run all the same, under numbers of this node's own.

import { asyncReconciler } from '../base/reconcile-async.ts';
import type { AsyncReconciler, AsyncTarget } from '../base/reconcile-async.ts';
import { problem } from '../base/problem.ts';
import type { Problem, ProblemBook } from '../base/problem.ts';
import type { Table } from '../base/table.ts';
import type { EndpointRow } from '../endpoints/endpoint.ts';
import { identityRows, namespaceRows, remotePodRows } from '../identities/facts.ts';
import type { Wanted } from '../identities/allocation.ts';
import { identityObject, nodeLabel, NODE_LABEL, WORKLOAD } from '../identities/objects.ts';
import type { IdentitySources, IdentityTables } from '../identities/tables.ts';
import type { KubeClient } from '../kube/client.ts';
import { isStatus } from '../kube/kube-error.ts';
import { objectTarget } from '../kube/objects.ts';
import { pathOf, resources } from '../kube/resources.ts';
import { kubeSource, sink } from '../kube/source.ts';
import type { Sink, Source } from '../kube/source.ts';
import { eachOf } from '../kube/status.ts';
import type { CiliumEndpoint, CiliumIdentity, CiliumNode, Namespace } from '../kube/types.ts';
import { SUBNETS } from '../nodes/segments.ts';
import { ownObjects } from './own-objects.ts';

export type IdentitySourcesOptions = {
  readonly tables: IdentitySources;
  readonly client: KubeClient;
  /** Name of this node. */
  readonly self: string;
  readonly problems: ProblemBook;
  readonly changed: () => void;
  /** Hear of this node's own objects. */
  readonly own: { readonly endpoints: Sink<CiliumEndpoint>; readonly nodes: Sink<CiliumNode> };
};

export function identityKinds({ tables, client, self, problems, changed, own }: IdentitySourcesOptions): readonly Source[] {
  const watch = { client, changed };
  const { namespaces, identities, remotePods } = tables;
  return [
    kubeSource<Namespace>({
      ...watch,
      resource: resources.namespaces,
      sinks: [sink(namespaces.writer('kubernetes'), namespaceRows, problems)],
    }),
    kubeSource<CiliumIdentity>({
      ...watch,
      resource: resources.ciliumIdentities,
      sinks: [sink(identities.writer('kubernetes'), identityRows, problems)],
    }),
    kubeSource<CiliumEndpoint>({
      ...watch,
      resource: resources.ciliumEndpoints,
      sinks: [sink(remotePods.writer('kubernetes'), (one: CiliumEndpoint) => remotePodRows(one, self), problems), own.endpoints],
    }),
    kubeSource<CiliumNode>({ ...watch, resource: resources.ciliumNodes, fieldSelector: `metadata.name=${self}`, sinks: [own.nodes] }),
  ];
}

/** A kind that cannot be watched is a Problem: its definition is missing, or the right to read it. */
export function unwatched(sources: readonly Source[]): readonly Problem[] {
  return sources.flatMap(({ status: { name, synced, error } }) =>
    synced || error === undefined
      ? []
      : [
          problem({
            object: `Source ${name}`,
            reason: 'CannotWatch',
            message: error,
            advice: `Apply the CustomResourceDefinitions of the chart, and let the agent's ClusterRole get, list and watch ${name}`,
          }),
        ],
  );
}

/** The objects that this node writes; nothing rests on them but other nodes' knowledge. */
export type IdentityObjects = {
  readonly identities: AsyncReconciler;
  readonly endpoints: AsyncReconciler;
  readonly nodes: AsyncReconciler;
};

/** What they should be. */
type WhatIsWritten = { readonly identities: IdentityTables; readonly published: Table<string, CiliumNode> };

export function identityObjects(
  client: KubeClient,
  { identities: { wanted, endpointObjects }, published }: WhatIsWritten,
  self: string,
): IdentityObjects {
  const endpoints = objectTarget<CiliumEndpoint>({
    client,
    resource: resources.ciliumEndpoints,
    owner: resources.pods,
    selection: { labelSelector: `${NODE_LABEL}=${nodeLabel(self)}` },
    ours: oursOfEndpoint,
  });
  const nodes = objectTarget<CiliumNode>({
    client,
    resource: resources.ciliumNodes,
    owner: resources.nodes,
    selection: { fieldSelector: `metadata.name=${self}` },
    ours: oursOfNode,
  });
  return {
    identities: asyncReconciler(wanted, identityTarget(client)),
    endpoints: asyncReconciler(endpointObjects, endpoints),
    nodes: asyncReconciler(published, nodes),
  };
}

/** Sees to it that what others delete or change of these objects comes back. */
export function ownIdentityObjects(
  { endpoints, nodes }: IdentityObjects,
  { identities: { endpointObjects }, published }: WhatIsWritten,
  self: string,
): IdentitySourcesOptions['own'] {
  const ofThisNode = (found: CiliumEndpoint) =>
    found.metadata.labels?.[NODE_LABEL] === nodeLabel(self) ? oursOfEndpoint(found) : undefined;
  return {
    endpoints: ownObjects({ desired: endpointObjects, ours: ofThisNode, doubt: (key) => endpoints.doubt(key) }),
    nodes: ownObjects({ desired: published, ours: oursOfNode, doubt: (key) => nodes.doubt(key) }),
  };
}

function oursOfEndpoint({ metadata, status = {} }: CiliumEndpoint): CiliumEndpoint {
  const { name, namespace = 'default', labels = {}, annotations = {}, ownerReferences = [] } = metadata;
  return { metadata: { name, namespace, labels, annotations: { [WORKLOAD]: annotations[WORKLOAD] ?? '' }, ownerReferences }, status };
}

function oursOfNode({ metadata: { name, annotations = {}, ownerReferences = [] }, spec = {} }: CiliumNode): CiliumNode {
  return { metadata: { name, ownerReferences, annotations: { [SUBNETS]: annotations[SUBNETS] ?? '' } }, spec };
}

/**
 * Asks for numbers. The API takes each name once, so a number that is there already is an answer too: the watch says whose it
 * is. What is not wanted any more has been agreed on, and is removed by nobody but the operator.
 */
function identityTarget(client: KubeClient): AsyncTarget<string, Wanted> {
  const { apiVersion, kind } = resources.ciliumIdentities;
  return {
    name: resources.ciliumIdentities.plural,
    list: () => Promise.resolve([]),
    put: (entries) =>
      eachOf(entries, async (_key, wanted) => {
        try {
          await client.create(pathOf(resources.ciliumIdentities), { apiVersion, kind, ...identityObject(wanted) });
        } catch (error) {
          if (!isStatus(error, 409)) throw error;
        }
      }),
    remove: () => Promise.resolve(),
  };
}

/** The numbers that endpoints have in the kernel, by host interface. `numberOf`: of an address. */
export function identitiesBefore(endpoints: readonly EndpointRow[], numberOf: ReadonlyMap<string, number>): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  for (const { hostInterface, addresses } of endpoints) {
    const number = addresses.map((address) => numberOf.get(address)).find((one) => one !== undefined && one !== 0);
    if (number !== undefined) found.set(hostInterface, number);
  }
  return found;
}
