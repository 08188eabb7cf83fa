// SPDX-License-Identifier: Apache-2.0
// Which labels make an identity.
//
//   pod's labels ──────────────── filter ─┐
//   namespace's labels ─ prefixed ────────┼─▶ 'k8s:app=cart;k8s:io.kubernetes.pod.namespace=shop;…'
//   namespace, cluster, service account ──┘   sorted, so that equal sets are equal text
//
// The filter is a list of patterns, anchored at the start of a key; those that begin with '!' leave keys out. Of a key that both
// kinds match, the longest of the one is compared with the shortest of the other.

import type { Brand } from '../base/brand.ts';

/** Sorted 'source:key=value' joined by ';', which no key and no value of Kubernetes contains. */
export type Labels = Brand<string, 'Labels'>;

export const NAMESPACE = 'io.kubernetes.pod.namespace';
const CLUSTER = 'io.cilium.k8s.policy.cluster';
const SERVICE_ACCOUNT = 'io.cilium.k8s.policy.serviceaccount';
const NAMESPACE_LABELS = 'io.cilium.k8s.namespace.labels';

/** Keys that we alone set: a pod that carries one itself would speak for another namespace (GO-2022-0959). */
const OURS = [NAMESPACE_LABELS, NAMESPACE, CLUSTER, SERVICE_ACCOUNT];

/** The patterns that Cilium has without `labels` in the values. */
const includes = [
  'io\\.kubernetes\\.pod\\.namespace',
  'io\\.cilium\\.k8s\\.namespace\\.labels',
  'app\\.kubernetes\\.io',
  'io\\.cilium\\.k8s\\.policy\\.cluster',
  'io\\.cilium\\.k8s\\.policy\\.serviceaccount',
];
const excludes = [
  'io\\.kubernetes',
  'kubernetes\\.io',
  '.*beta\\.kubernetes\\.io',
  'k8s\\.io',
  'pod-template-generation',
  'pod-template-hash',
  'controller-revision-hash',
  'controller-uid',
  'annotation.*',
  'etcd_node',
  'statefulset\\.kubernetes\\.io/pod-name',
  'apps\\.kubernetes\\.io/pod-index',
  'batch\\.kubernetes\\.io/job-completion-index',
  'batch\\.kubernetes\\.io/controller-uid',
];
const [include, exclude] = [includes, excludes].map((patterns) => patterns.map((pattern) => new RegExp(`^(?:${pattern})`)));

export type Labelled = {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly serviceAccount: string;
};

/** The labels of a pod's identity. `namespaceLabels`: those of its Namespace object. */
export function podLabels(
  { namespace, labels, serviceAccount }: Labelled,
  namespaceLabels: Readonly<Record<string, string>>,
  cluster: string,
): Labels {
  const entries = [
    ...Object.entries(labels).filter(([key]) => !OURS.some((prefix) => key.startsWith(prefix))),
    ...Object.entries(namespaceLabels).map(([key, value]) => [`${NAMESPACE_LABELS}.${key}`, value] as const),
    [NAMESPACE, namespace] as const,
    [CLUSTER, cluster] as const,
    [SERVICE_ACCOUNT, serviceAccount] as const,
  ];
  return joined(entries.filter(([key]) => isPartOfIdentity(key)).map(([key, value]) => `k8s:${key}=${value}`));
}

/** The labels in `security-labels` of a CiliumIdentity ('k8s:app' to 'cart'), or undefined when they are none of ours to compare. */
export function labelsIn(found: Readonly<Record<string, unknown>>): Labels | undefined {
  const parts: string[] = [];
  for (const [key, value] of Object.entries(found)) {
    if (typeof value !== 'string' || /[=;]/.test(key) || value.includes(';')) return undefined;
    parts.push(`${key}=${value}`);
  }
  return parts.length === 0 ? undefined : joined(parts);
}

/** Each 'k8s:app=cart', sorted. */
export function labelList(labels: Labels): readonly string[] {
  return labels.split(';');
}

/** As a CiliumIdentity has them: 'k8s:app' to 'cart'. */
export function securityLabels(labels: Labels): Readonly<Record<string, string>> {
  return Object.fromEntries(
    labelList(labels).map((label) => {
      const at = label.indexOf('=');
      return [label.slice(0, at), label.slice(at + 1)];
    }),
  );
}

function joined(parts: readonly string[]): Labels {
  return parts.toSorted().join(';') as Labels; // canonical by construction
}

function isPartOfIdentity(key: string): boolean {
  const kept = Math.max(0, ...matches(include ?? [], key));
  const left = Math.min(...matches(exclude ?? [], key));
  return left === Infinity || kept > left;
}

/** How many characters each pattern that matches takes. */
function matches(patterns: readonly RegExp[], key: string): number[] {
  return patterns.map((pattern) => pattern.exec(key)?.[0].length ?? 0).filter((length) => length > 0);
}
