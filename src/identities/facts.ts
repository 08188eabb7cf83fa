// SPDX-License-Identifier: Apache-2.0
// The facts of Kubernetes objects that identities are made of.

import type { Aged } from '../base/age.ts';
import { parseIp } from '../base/ip.ts';
import type { Ip } from '../base/ip.ts';
import { problem } from '../base/problem.ts';
import type { Problem } from '../base/problem.ts';
import type { CiliumEndpoint, CiliumIdentity, Namespace, Pod } from '../kube/types.ts';
import { labelsIn } from './labels.ts';
import type { Labelled, Labels } from './labels.ts';
import { agreedIdentity, identity } from './numbers.ts';
import type { Identity } from './numbers.ts';
import { NODE_LABEL, nodeLabel, WORKLOAD } from './objects.ts';

/** A pod of this node that has a network of its own. */
export type PodRow = Labelled & { readonly name: string; readonly uid: string; readonly workload?: Workload };

/** Who made a pod. */
export type Workload = { readonly name: string; readonly kind: string };

/** Annotation of a CiliumIdentity. */
export const RETIRED = 'stentor.dev/retired';

/** Labels of a namespace. */
export type NamespaceRow = Readonly<Record<string, string>>;

/** A number that the cluster has agreed on. */
export type IdentityRow = {
  readonly id: Identity;
  readonly labels: Labels;
  /** RFC 3339, so that the older is the lesser text. */
  readonly created: string;
  /** About to be removed: its number is not free yet, and nobody begins to use it. */
  readonly retired: boolean;
};

/** A pod on another node, as its agent describes it. */
export type RemotePod = Aged & {
  readonly identity: Identity;
  readonly addresses: readonly Ip[];
  /** The address of its node. */
  readonly node: Ip | undefined;
  /** Undefined: nobody made it, or its agent does not say. */
  readonly workload?: Workload;
};

export function* podRows({ metadata, spec }: Pod): Iterable<readonly [string, PodRow]> {
  if (spec?.hostNetwork === true) return;
  const { namespace = 'default', name, uid = '', labels = {} } = metadata;
  const workload = workloadOf(metadata);
  const serviceAccount = spec?.serviceAccountName ?? 'default';
  yield [`${namespace}/${name}`, { namespace, name, uid, labels, serviceAccount, ...(workload && { workload }) }];
}

/** A ReplicaSet is a Deployment's, as its name says. */
function workloadOf({ ownerReferences = [], labels = {} }: Pod['metadata']): Workload | undefined {
  const [owner] = ownerReferences;
  if (!owner) return undefined;
  const ending = `-${labels['pod-template-hash'] ?? ''}`;
  if (owner.kind === 'ReplicaSet' && ending !== '-' && owner.name.endsWith(ending))
    return { name: owner.name.slice(0, -ending.length), kind: 'Deployment' };
  return { name: owner.name, kind: owner.kind };
}

export function* namespaceRows({ metadata }: Namespace): Iterable<readonly [string, NamespaceRow]> {
  yield [metadata.name, metadata.labels ?? {}];
}

export function* identityRows(found: CiliumIdentity): Iterable<readonly [string, IdentityRow] | Problem> {
  const { name, creationTimestamp: created = '', annotations } = found.metadata;
  const [id, labels] = [agreedIdentity(name), labelsIn(found['security-labels'] ?? {})];
  if (id !== undefined && labels !== undefined) yield [name, { id, labels, created, retired: annotations?.[RETIRED] !== undefined }];
  else
    yield problem({
      object: `CiliumIdentity ${name}`,
      reason: 'UnreadableIdentity',
      message:
        id === undefined
          ? `its name is ${name}, wanted a number from 256 to 16777215`
          : `security-labels is ${JSON.stringify(found['security-labels'])}, wanted labels such as k8s:app: cart`,
      advice: 'Delete it; whoever needs an identity of these labels makes another',
    });
}

/** Those of other nodes than `self`. An endpoint that has no address or no identity yet is not known. */
export function* remotePodRows({ metadata, status }: CiliumEndpoint, self: string): Iterable<readonly [string, RemotePod]> {
  if (metadata.labels?.[NODE_LABEL] === nodeLabel(self)) return;
  const id = status?.identity?.id;
  const texts = (status?.networking?.addressing ?? []).flatMap(({ ipv4, ipv6 }) => [ipv4, ipv6]);
  const addresses = texts.map((text) => parseIp(text ?? '')).filter((address) => address !== undefined);
  if (typeof id !== 'number' || addresses.length === 0) return;
  const age = metadata.creationTimestamp !== undefined && { created: metadata.creationTimestamp };
  const [, kind, workload] = /^(\w+)\/(.+)$/.exec(metadata.annotations?.[WORKLOAD] ?? '') ?? [];
  const maker = kind !== undefined && workload !== undefined && { workload: { name: workload, kind } };
  yield [
    `${metadata.namespace ?? 'default'}/${metadata.name}`,
    { identity: identity(id), addresses, node: parseIp(status?.networking?.node ?? ''), ...maker, ...age },
  ];
}
