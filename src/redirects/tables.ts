// SPDX-License-Identifier: Apache-2.0
// The tables of redirects and how they follow from each other.
//
//   redirect_policies ┬─▶ redirects ─────┬─▶ lb_services, lb_addresses (services)
//   services ─────────┤                  └─▶ lb_skips ◀── endpoints, numbers of sets
//   local_pods ───────┴─▶ redirect_sets ───▶ backend_sets (services)

import { derive, from } from '../base/derive.ts';
import type { Derivation, Input } from '../base/derive.ts';
import type { ProblemBook } from '../base/problem.ts';
import { sameRow } from '../base/same.ts';
import { table } from '../base/table.ts';
import type { Table } from '../base/table.ts';
import type { MapEntry } from '../datapath/maps.ts';
import type { LbSkip } from '../datapath/schema.gen.ts';
import type { EndpointRow } from '../endpoints/endpoint.ts';
import { redirectSources } from '../services/redirect.ts';
import type { Redirects } from '../services/redirect.ts';
import type { ServiceTables } from '../services/tables.ts';
import type { ServiceSources } from '../services/sources.ts';
import type { LocalPod } from './local-pod.ts';
import type { PolicyRow } from './policy.ts';
import { redirectSetsFor, redirectsFor, targetOf } from './redirects.ts';
import type { RedirectInputs } from './redirects.ts';
import { skipEntries } from './skips.ts';
import type { SkipInputs } from './skips.ts';

export type RedirectTables = Redirects & {
  readonly policies: Table<string, PolicyRow>;
  readonly pods: Table<string, LocalPod>;
  /** Before those of services, which read what these make. */
  readonly derivations: readonly Derivation[];
};

/** The one input key of what is worked out at once. */
const ALL = 'of all policies';
const same = { same: sameRow };

export function redirectTables({ services }: Pick<ServiceSources, 'services'>, problems: ProblemBook): RedirectTables {
  const policies = table<string, PolicyRow>('redirect_policies', {
    ...same,
    indexes: { target: (row) => [targetOf(row)], namespace: ({ namespace }) => [namespace] },
  });
  const pods = table<string, LocalPod>('local_pods', { ...same, indexes: { namespace: ({ namespace }) => [namespace] } });
  const { redirects, redirectSets } = redirectSources();
  const inputs: RedirectInputs = { policies, services, pods };
  const named = (target: string) => Array.from(policies.by('target', target), ({ name }) => name);
  const derivations = [
    derive({
      name: 'redirects',
      whole: true,
      inputs: [from(policies, () => [ALL]), from(services, (name) => (named(name).length > 0 ? [ALL] : []))],
      out: redirects.writer('redirects'),
      compute: () => redirectsFor(inputs),
      problems,
    }),
    derive({
      name: 'redirect sets',
      whole: true,
      inputs: [from(policies), from(services, named), ofPods(inputs)],
      out: redirectSets.writer('redirect sets'),
      compute: (name) => redirectSetsFor(policies.get(name), inputs),
      problems,
    }),
  ];
  return { policies, pods, redirects, redirectSets, derivations };
}

/** Policies of the namespace of a pod that changed. Without policies nobody waits for pods. */
function ofPods({ policies, pods }: Pick<RedirectInputs, 'policies' | 'pods'>): Input<string> {
  const changed = from<string, string, LocalPod>(pods, (_key, now, last) =>
    [now, last].flatMap((row) => (row === undefined ? [] : Array.from(policies.by('namespace', row.namespace), ({ name }) => name))),
  );
  return {
    get complete() {
      return changed.complete || (policies.complete && policies.size === 0);
    },
    get pending() {
      return changed.pending;
    },
    take: (into, limit) => changed.take(into, limit),
  };
}

export type SkipTables = { readonly lbSkips: Table<string, MapEntry<LbSkip, number>>; readonly derivations: readonly Derivation[] };

/** `endpoints`: of this node. After those of services. */
export function skipTables(
  { policies, pods, redirects }: RedirectTables,
  { setIds }: Pick<ServiceTables, 'setIds'>,
  { endpoints, hostCookie }: Pick<SkipInputs, 'endpoints' | 'hostCookie'>,
): SkipTables {
  const lbSkips = table<string, MapEntry<LbSkip, number>>('lb_skips', same);
  const inputs: SkipInputs = { pods, redirects, setIds, endpoints, hostCookie };
  const policyOf = (key: string) => (key.includes(':local-redirect/') ? [key.slice(0, key.indexOf(':'))] : []);
  const ofEndpoint = (_key: string, now: EndpointRow | undefined, last: EndpointRow | undefined) =>
    [now, last].flatMap((row) => (row === undefined ? [] : Array.from(policies.by('namespace', row.namespace), ({ name }) => name)));
  const derivation = derive({
    name: 'lb_skips',
    inputs: [
      from(policies),
      from(redirects, (_key, now, last) => policiesOf(now, last)),
      ofPods({ policies, pods }),
      from(setIds, policyOf),
      from(endpoints, ofEndpoint),
    ],
    out: lbSkips.writer('lb_skips'),
    compute: (name: string) => skipEntries(policies.get(name), inputs),
  });
  return { lbSkips, derivations: [derivation] };
}

function policiesOf(...rows: readonly ({ readonly policy: string } | undefined)[]): string[] {
  return rows.flatMap((row) => (row === undefined ? [] : [row.policy]));
}
