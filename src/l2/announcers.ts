// SPDX-License-Identifier: Apache-2.0
// What the Kubernetes API says of a node that matters for announcing.

import type { Labels, Node } from '../kube/types.ts';

export type AnnouncerRow = {
  readonly node: string;
  /** Of the Node object: who says hello on the segment must know it, or it is another cluster's. */
  readonly uid: string;
  readonly labels: Labels;
  /** Why it hands over what it has as soon as somebody else can have it. */
  readonly leaving: string | undefined;
  /** Has the label that keeps load balancers away. */
  readonly excluded: boolean;
};

const EXCLUDED = 'node.kubernetes.io/exclude-from-external-load-balancers';

export function* announcerRows({ metadata, spec, status }: Node): Iterable<readonly [string, AnnouncerRow]> {
  const { name: node, uid = '', labels = {} } = metadata;
  const shutting = status?.conditions?.some(({ type, message }) => type === 'Ready' && /shutting down/i.test(message ?? '')) === true;
  const leaving = shutting ? 'it shuts down' : spec?.unschedulable === true ? 'it is cordoned' : undefined;
  yield [node, { node, uid, labels, leaving, excluded: Object.hasOwn(labels, EXCLUDED) }];
}
