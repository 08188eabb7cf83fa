// SPDX-License-Identifier: Apache-2.0
// Frontends whose clients inside the cluster a policy leads to pods of their own node: what services are told of it.

import type { Input } from '../base/derive.ts';
import type { Ip } from '../base/ip.ts';
import { problem } from '../base/problem.ts';
import type { Problem } from '../base/problem.ts';
import { sameRow } from '../base/same.ts';
import { table } from '../base/table.ts';
import type { Table } from '../base/table.ts';
import type { Protocol } from '../datapath/protocols.ts';
import type { BackendSet, Frontend, FrontendKey, SetKey } from './frontends.ts';

export type Redirect = {
  readonly address: Ip;
  readonly port: number;
  readonly protocol: Protocol;
  /** 'namespace/name'. */
  readonly policy: string;
  /** The Service whose ClusterIP it is; undefined: an address that is no Service's. */
  readonly service: string | undefined;
  /** While it has no backend, the frontend is as if there were no policy. */
  readonly set: SetKey;
};

export type Redirects = {
  readonly redirects: Table<FrontendKey, Redirect>;
  readonly redirectSets: Table<SetKey, BackendSet>;
};

export function redirectSources(): Redirects {
  return {
    redirects: table<FrontendKey, Redirect>('redirects', {
      same: sameRow,
      indexes: { address: ({ address, service }) => (service === undefined ? [address] : []), policy: ({ policy }) => [policy] },
    }),
    redirectSets: table<SetKey, BackendSet>('redirect_sets', { same: sameRow }),
  };
}

/** There are no policies. */
export function noRedirects(): Redirects {
  const sources = redirectSources();
  sources.redirects.writer('nobody').complete();
  sources.redirectSets.writer('nobody').complete();
  return sources;
}

/** What a frontend is redirected by, or why it is not: a Service keeps its own address and port. */
export function redirectFor(
  key: FrontendKey,
  frontend: Frontend | undefined,
  redirect: Redirect | undefined,
): Redirect | Problem | undefined {
  if (!redirect || redirect.service === frontend?.service) return redirect;
  if (frontend === undefined || redirect.service !== undefined) return undefined; // the Service is about to go, or another has its address
  return problem({
    object: `CiliumLocalRedirectPolicy ${redirect.policy}`,
    reason: 'FrontendTaken',
    message: `${key} belongs to Service ${frontend.service}, so the policy does not redirect it`,
    advice: `Name the Service by redirectFrontend.serviceMatcher in a new policy, or another address or port`,
  });
}

/** `keys`, once it is known what is redirected: until then they are left as they are. */
export function onceKnown({ redirectSets }: Redirects, keys: readonly FrontendKey[]): Input<FrontendKey> {
  let left = keys;
  return {
    get complete() {
      return redirectSets.complete;
    },
    get pending() {
      return redirectSets.complete ? left.length : 0;
    },
    take(into) {
      if (!redirectSets.complete) return;
      for (const key of left) into.add(key);
      left = [];
    },
  };
}
