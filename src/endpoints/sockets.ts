// SPDX-License-Identifier: Apache-2.0
// Pods whose sockets stay as they are: somebody in the pod wants to see service addresses, as a sidecar does that redirects connections, or
// a virtual machine whose kernel the node's socket programs never see. Their packets are translated one by one.

import { problem } from '../base/problem.ts';
import type { Problem } from '../base/problem.ts';
import type { Table } from '../base/table.ts';
import { mapEntry, mapKinds } from '../datapath/maps.ts';
import type { MapEntry } from '../datapath/maps.ts';
import type { Netns } from '../datapath/schema.gen.ts';
import type { Pod } from '../kube/types.ts';
import type { EndpointRow } from './endpoint.ts';

export type ExemptPod = {
  /** What of the pod says so. */
  readonly because: string;
};

/** Annotation of a pod: "false" leaves its sockets as they are, "true" does not, whatever else the pod has. */
const WISH = 'stentor.dev/socket-lb';

/** What those put on a pod who redirect its connections by their service address, or run a kernel of its own in it. */
const SIGNS = [
  { kind: 'annotations', key: 'sidecar.istio.io/status' },
  { kind: 'annotations', key: 'linkerd.io/proxy-version' },
  { kind: 'labels', key: 'kubevirt.io/created-by' },
] as const;

/** A row under 'namespace/name' for a pod that is exempt. */
export function* exemptPodRows({ metadata, spec }: Pod): Iterable<readonly [string, ExemptPod] | Problem> {
  if (spec?.hostNetwork === true) return;
  const pod = `${metadata.namespace ?? 'default'}/${metadata.name}`;
  const wish = metadata.annotations?.[WISH];
  if (wish !== undefined && wish !== 'true' && wish !== 'false')
    yield problem({
      object: `Pod ${pod}`,
      reason: 'InvalidAnnotation',
      message: `${WISH} is ${JSON.stringify(wish)}, wanted "true" or "false"`,
      advice: `Correct the annotation in the pod's template`,
    });
  const sign = SIGNS.find(({ kind, key }) => metadata[kind]?.[key] !== undefined);
  if (wish === 'false') yield [pod, { because: `annotation ${WISH} is "false"` }];
  else if (wish !== 'true' && sign) yield [pod, { because: `it has ${sign.key} among its ${sign.kind}` }];
}

/** The entry of an exempt pod's network namespace. */
export function* exemptEntries(
  endpoint: EndpointRow | undefined,
  pods: Table<string, ExemptPod>,
): Iterable<readonly [string, MapEntry<Netns, number>]> {
  if (!endpoint || endpoint.netnsCookie === '' || !pods.has(`${endpoint.namespace}/${endpoint.pod}`)) return;
  yield mapEntry(mapKinds.sockExempt, { cookie: BigInt(endpoint.netnsCookie) }, 1);
}
