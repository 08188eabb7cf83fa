// SPDX-License-Identifier: Apache-2.0
// From endpoints, identities and this node to the objects by which people and other nodes see them. Whole objects: what a field
// means stands in chart/crds.

import { familyOf } from '../base/ip.ts';
import type { Ip } from '../base/ip.ts';
import type { EndpointRow } from '../endpoints/endpoint.ts';
import type { CiliumEndpoint, CiliumIdentity, CiliumNode, Node, OwnerReference } from '../kube/types.ts';
import type { Wanted } from './allocation.ts';
import type { Workload } from './facts.ts';
import { labelList, NAMESPACE, securityLabels } from './labels.ts';
import type { Labels } from './labels.ts';
import type { Identity } from './numbers.ts';

/** On CiliumEndpoints: their node. So an agent lists its own and watches those of the others. */
export const NODE_LABEL = 'stentor.dev/node';
/** On CiliumEndpoints: kind and name of who made the pod ('Deployment/cart'), empty where nobody did. */
export const WORKLOAD = 'stentor.dev/workload';
const LABEL_LIMIT = 63;

/** The value of NODE_LABEL: the name, or the end of one that is too long for a label. */
export function nodeLabel(name: string): string {
  return name.slice(-LABEL_LIMIT).replace(/^[^a-z0-9]+/, '');
}

export type EndpointFacts = {
  readonly endpoint: EndpointRow;
  /** Of the pod. */
  readonly uid: string;
  readonly workload: Workload | undefined;
  readonly identity: Identity;
  readonly labels: Labels;
  /** Name and address of this node. */
  readonly node: string;
  readonly address: Ip;
};

export function endpointObject({ endpoint, uid, workload, identity, labels, node, address }: EndpointFacts): CiliumEndpoint {
  const { namespace, pod, containerId, interfaceName, addresses } = endpoint;
  const [ipv4, ipv6] = ([4, 6] as const).map((family) => addresses.find((one) => familyOf(one) === family));
  return {
    metadata: {
      name: pod,
      namespace,
      labels: { [NODE_LABEL]: nodeLabel(node) },
      annotations: { [WORKLOAD]: workload ? `${workload.kind}/${workload.name}` : '' },
      ownerReferences: [owner('Pod', pod, uid)],
    },
    status: {
      id: endpoint.id,
      identity: { id: identity, labels: labelList(labels) },
      networking: { addressing: [{ ...(ipv4 !== undefined && { ipv4 }), ...(ipv6 !== undefined && { ipv6 }) }], node: address },
      state: 'ready',
      'external-identifiers': {
        'cni-attachment-id': `${containerId}:${interfaceName}`,
        'container-id': containerId,
        'k8s-namespace': namespace,
        'k8s-pod-name': pod,
        'pod-name': `${namespace}/${pod}`,
      },
    },
  };
}

export function identityObject({ id, labels }: Wanted): CiliumIdentity {
  const security = securityLabels(labels);
  const namespace = security[`k8s:${NAMESPACE}`];
  return {
    metadata: { name: `${id}`, ...(namespace !== undefined && { labels: { [NAMESPACE]: namespace } }) },
    'security-labels': security,
  };
}

/** The rows of this node's own CiliumNode. */
export function* nodeObjects({ metadata, spec, status }: Node, self: string): Iterable<readonly [string, CiliumNode]> {
  const { name, uid } = metadata;
  if (name !== self || uid === undefined) return;
  const addresses = (status?.addresses ?? []).filter(({ type }) => type.endsWith('IP')).map(({ type, address }) => ({ type, ip: address }));
  const podCIDRs = spec?.podCIDRs ?? (spec?.podCIDR === undefined ? [] : [spec.podCIDR]);
  yield [name, { metadata: { name, ownerReferences: [owner('Node', name, uid)] }, spec: { addresses, ipam: { podCIDRs } } }];
}

function owner(kind: string, name: string, uid: string): OwnerReference {
  return { apiVersion: 'v1', kind, name, uid };
}
