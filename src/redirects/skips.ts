// SPDX-License-Identifier: Apache-2.0
// Who is not redirected: pods that a policy leads to, where it says skipRedirectFromBackend. Ready or not: such a pod may need what is
// behind it to become so.

import type { Numbered } from '../base/assign.ts';
import type { Table } from '../base/table.ts';
import { mapEntry, mapKinds } from '../datapath/maps.ts';
import type { MapEntry } from '../datapath/maps.ts';
import { LbSkipKind } from '../datapath/schema.gen.ts';
import type { LbSkip } from '../datapath/schema.gen.ts';
import type { EndpointRow } from '../endpoints/endpoint.ts';
import type { SetKey } from '../services/frontends.ts';
import type { Redirect } from '../services/redirect.ts';
import type { LocalPod } from './local-pod.ts';
import type { PolicyRow } from './policy.ts';
import { podsOf } from './redirects.ts';

export type SkipInputs = {
  readonly pods: Table<string, LocalPod>;
  readonly redirects: Table<string, Redirect>;
  /** Numbers of sets. */
  readonly setIds: Table<SetKey, Numbered>;
  readonly endpoints: Table<string, EndpointRow>;
  /** Network namespace of the node itself; 0: not known. */
  readonly hostCookie: bigint;
};

export function* skipEntries(policy: PolicyRow | undefined, inputs: SkipInputs): Iterable<readonly [string, MapEntry<LbSkip, number>]> {
  if (policy?.skip !== true) return;
  const sets = new Set(Array.from(inputs.redirects.by('policy', policy.name), ({ set }) => set));
  const clients = podsOf(policy, inputs.pods).flatMap((pod) => clientsOf(pod, inputs));
  for (const set of sets) {
    const service = inputs.setIds.get(set)?.id;
    if (service === undefined) continue;
    for (const client of clients) yield mapEntry(mapKinds.lbSkips, { ...client, service }, 1);
  }
}

/** Its sockets and its packets; of a pod with the node's network, all sockets of the node. */
function clientsOf({ name, hostNetwork }: LocalPod, { endpoints, hostCookie }: SkipInputs): readonly Omit<LbSkip, 'service'>[] {
  if (hostNetwork) return hostCookie === 0n ? [] : [{ kind: LbSkipKind.netns, cookie: hostCookie }];
  return [...endpoints.by('pod', name)].flatMap(({ netnsCookie, interfaceIndex }) => [
    ...(netnsCookie === '' ? [] : [{ kind: LbSkipKind.netns, cookie: BigInt(netnsCookie) }]),
    { kind: LbSkipKind.interface, cookie: BigInt(interfaceIndex) },
  ]);
}
