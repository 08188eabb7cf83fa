// SPDX-License-Identifier: Apache-2.0
// Redirects and the Kubernetes API: which kinds are watched for them, and what the agent tells of them.

import { addressPort } from '../base/ip.ts';
import type { ProblemBook } from '../base/problem.ts';
import type { KubeClient } from '../kube/client.ts';
import { resources } from '../kube/resources.ts';
import { kubeSource, sink } from '../kube/source.ts';
import type { Sink, Source } from '../kube/source.ts';
import type { Stopwatch } from '../kube/stopwatch.ts';
import type { CiliumLocalRedirectPolicy, Pod } from '../kube/types.ts';
import { localPodRows } from '../redirects/local-pod.ts';
import { policyRows } from '../redirects/policy.ts';
import type { RedirectTables } from '../redirects/tables.ts';
import type { RedirectRow } from './api-types.ts';
import type { Config } from './config.ts';
import type { AgentTables } from './tables.ts';

export type RedirectKindsOptions = {
  readonly tables: RedirectTables;
  readonly client: KubeClient;
  readonly changed: () => void;
  readonly problems: ProblemBook;
  /** Of policies: how long it takes until what they ask for is so. */
  readonly watch: Stopwatch;
  readonly config: Pick<Config, 'localRedirectPolicy' | 'addressMatcherCidrs'>;
};

/** `podSinks`: hear of the pods of this node. Where policies are switched off there are none, and nobody is asked for them. */
export function redirectKinds({ tables, client, changed, problems, watch, config }: RedirectKindsOptions): {
  readonly kinds: readonly Source[];
  readonly podSinks: readonly Sink<Pod>[];
} {
  const policies = tables.policies.writer('kubernetes');
  const pods = tables.pods.writer('kubernetes');
  if (!config.localRedirectPolicy) {
    policies.complete();
    pods.complete();
    return { kinds: [], podSinks: [] };
  }
  const rowsOf = (one: CiliumLocalRedirectPolicy) => policyRows(one, config.addressMatcherCidrs);
  const kind = kubeSource<CiliumLocalRedirectPolicy>({
    client,
    changed,
    resource: resources.localRedirectPolicies,
    optional: true,
    sinks: [watch.timed({}, sink(policies, rowsOf, problems))],
  });
  return { kinds: [kind], podSinks: [sink(pods, localPodRows, problems)] };
}

/** Each policy with what it redirects, and the pods that get it. */
export function redirectRows({
  redirects: { policies, redirects, pods },
  services: { sets },
}: Pick<AgentTables, 'redirects' | 'services'>): RedirectRow[] {
  const podAt = new Map(
    Array.from(pods.entries()).flatMap(([name, { addresses }]) => addresses.map((address) => [address, name] as const)),
  );
  return Array.from(policies.entries(), ([name, { frontend }]) => ({
    policy: name,
    service: frontend.kind === 'service' ? frontend.service : undefined,
    ports: frontend.ports === undefined ? ('all' as const) : frontend.ports.length > 1 ? ('named' as const) : ('one' as const),
    frontends: Array.from(redirects.by('policy', name), ({ address, port, protocol, set }) => ({
      frontend: `${addressPort(address, port)}/${protocol}`,
      backends: (sets.get(set)?.backends ?? []).map((one) => ({
        address: addressPort(one.address, one.port),
        pod: podAt.get(one.address),
      })),
    })).toSorted((a, b) => (a.frontend < b.frontend ? -1 : 1)),
  })).toSorted((a, b) => (a.policy < b.policy ? -1 : 1));
}
