// SPDX-License-Identifier: Apache-2.0
// Which of a Service's ready endpoints this node takes, by the hints that Kubernetes puts into EndpointSlices for trafficDistribution and
// topology-mode (KEP-2433, KEP-3015, KEP-4444). A hint is followed only when every endpoint has one and somebody is meant for this node:
// half a set of hints, or none for our zone, would leave endpoints without clients or clients without endpoints.

import type { Labels, Node } from '../kube/types.ts';

/** This node as Services see it. Key: its name. */
export type OwnNode = { readonly name: string; readonly zone: string | undefined; readonly labels: Labels };

const ZONE = 'topology.kubernetes.io/zone';

export function* ownNodeRows({ metadata: { name, labels = {} } }: Node, self: string): Iterable<readonly [string, OwnNode]> {
  if (name === self) yield [name, { name, zone: labels[ZONE], labels }];
}

/** For which nodes and zones an endpoint is meant; undefined: it has no hint of the kind. */
export type Hints = { readonly nodes: readonly string[] | undefined; readonly zones: readonly string[] | undefined };

const NO_HINTS: Hints = { nodes: undefined, zones: undefined };

type Named = readonly { readonly name: string }[];

export function hintsOf(hints: { readonly forZones?: Named; readonly forNodes?: Named } | undefined): Hints {
  const names = (of: Named | undefined) => (of === undefined || of.length === 0 ? undefined : of.map(({ name }) => name));
  const [nodes, zones] = [names(hints?.forNodes), names(hints?.forZones)];
  return nodes || zones ? { nodes, zones } : NO_HINTS;
}

/** The ready endpoints that clients of `node` get: those of the node, else those of its zone, else all. */
export function nearest<E extends { readonly hints: Hints }>(ready: readonly E[], node: OwnNode | undefined): readonly E[] {
  if (!node) return ready;
  for (const [kind, name] of [
    ['nodes', node.name],
    ['zones', node.zone],
  ] as const) {
    if (name === undefined || !ready.every(({ hints }) => hints[kind])) continue;
    const meant = ready.filter(({ hints }) => hints[kind]?.includes(name));
    if (meant.length > 0) return meant;
  }
  return ready;
}
