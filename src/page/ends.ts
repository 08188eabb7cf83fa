// SPDX-License-Identifier: Apache-2.0
// Which node of the map an end of a flow is: its workload, a name outside, or one of the few that every cluster has.

import type { FlowEndpoint } from '../flows/flow.ts';
import type { NodeKind } from './graph.ts';

export type End = { readonly id: string; readonly kind: NodeKind; readonly name: string; readonly namespace?: string | undefined };

const single = (kind: NodeKind, id: string, name = id): End => ({ id, kind, name });
export const world = single('world', 'world');
const host = single('host', 'host', 'nodes');
const apiserver = single('kube-apiserver', 'kube-apiserver');
/** Where those are that there is no room for. */
export const other: End = single('other', 'other', 'others');

/** By reserved identity. Nodes are one on the map, this one and the others: who is which depends on where one looks. */
const reserved: Readonly<Record<number, End>> = {
  1: host,
  2: world,
  3: single('reserved', 'reserved:unmanaged', 'unmanaged pods'),
  4: single('reserved', 'reserved:health', 'health checks'),
  5: single('reserved', 'reserved:init', 'starting pods'),
  6: host,
  7: apiserver,
  8: single('reserved', 'reserved:ingress', 'ingress'),
  9: world,
  10: world,
};
const unknown = single('reserved', 'unknown', 'unknown');

const NAMESPACE_LABEL = 'k8s:io.kubernetes.pod.namespace=';
const nameLabels = ['k8s:app.kubernetes.io/name=', 'k8s:app=', 'k8s:k8s-app=', 'k8s:name='];

/** `names`: those by which this end was asked for. */
export function endOf(endpoint: FlowEndpoint | undefined, names: readonly string[] = []): End {
  const { identity = 0, labels = [], podName, workloads } = endpoint ?? {};
  const namespace = endpoint?.namespace || labelValue(labels, [NAMESPACE_LABEL]);
  if (namespace) {
    const name = workloads?.[0]?.name || (podName && workloadName(podName)) || labelValue(labels, nameLabels);
    return { id: `${namespace}/${name || 'pods'}`, kind: 'workload', name: name || 'pods', namespace };
  }
  if (labels.includes('reserved:kube-apiserver')) return apiserver;
  const known = reserved[identity];
  if (known && known !== world) return known;
  const [name] = names;
  if (name) return nameEnd(name);
  if (known) return known;
  return identity >= FIRST_LOCAL || labels.some((label) => label.startsWith('cidr:') || label === 'reserved:world') ? world : unknown;
}

/** Identities of prefixes begin here. */
const FIRST_LOCAL = 2 ** 24;

function nameEnd(name: string): End {
  const plain = name.toLowerCase().replace(/\.$/, '');
  return { id: `name:${plain}`, kind: 'name', name: plain };
}

function labelValue(labels: readonly string[], prefixes: readonly string[]): string | undefined {
  for (const prefix of prefixes) {
    const label = labels.find((one) => one.startsWith(prefix));
    if (label) return label.slice(prefix.length);
  }
  return undefined;
}

/** Kubernetes' letters for generated names: no vowels, nothing that looks like another. */
const suffixes = [/-[bcdfghjklmnpqrstvwxz2456789]{6,10}-[bcdfghjklmnpqrstvwxz2456789]{5}$/, /-[bcdfghjklmnpqrstvwxz2456789]{5}$/, /-\d+$/];

/** The name of the workload whose pods have such names: cart-6a63b8c9d-x2x4z belongs to cart, store-0 to store. */
export function workloadName(pod: string): string {
  const suffix = suffixes.find((one) => one.test(pod));
  return suffix === undefined ? pod : pod.replace(suffix, '');
}
