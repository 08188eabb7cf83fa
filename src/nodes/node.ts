// SPDX-License-Identifier: Apache-2.0
// The facts of a Kubernetes Node that routing needs.

import type { Aged } from '../base/age.ts';
import { parseCidr, parseIp } from '../base/ip.ts';
import type { Cidr, Ip } from '../base/ip.ts';
import { problem } from '../base/problem.ts';
import type { Problem } from '../base/problem.ts';
import type { Node } from '../kube/types.ts';

export type NodeRow = Aged & {
  readonly name: string;
  /** InternalIPs first, then ExternalIPs. */
  readonly addresses: readonly Ip[];
  /** At most one for each family. */
  readonly podCidrs: readonly Cidr[];
};

export function* nodeRows(node: Node): Iterable<readonly [string, NodeRow] | Problem> {
  const name = node.metadata.name;
  const object = `Node ${name}`;
  const texts = node.spec?.podCIDRs ?? (node.spec?.podCIDR === undefined || node.spec.podCIDR === '' ? [] : [node.spec.podCIDR]);
  const podCidrs: Cidr[] = [];
  for (const text of texts) {
    const prefix = parseCidr(text);
    if (prefix) podCidrs.push(prefix);
    else
      yield problem({
        object,
        reason: 'InvalidPodCidr',
        message: `spec.podCIDRs has '${text}', wanted a prefix such as 10.244.1.0/24`,
        advice: 'Correct the podCIDR; Kubernetes wants the Node object made anew for that',
      });
  }
  if (texts.length === 0)
    yield problem({
      object,
      reason: 'NoPodCidr',
      message: 'spec.podCIDRs is empty, so pods on this node get no address and others no route to them',
      advice: 'Run kube-controller-manager with --allocate-node-cidrs and --cluster-cidr',
    });
  const found = node.status?.addresses ?? [];
  const addresses = ['InternalIP', 'ExternalIP']
    .flatMap((type) => found.filter((address) => address.type === type))
    .map(({ address }) => parseIp(address));
  const created = node.metadata.creationTimestamp;
  const age = created !== undefined && { created };
  yield [name, { name, addresses: addresses.filter((address) => address !== undefined), podCidrs, ...age }];
}
