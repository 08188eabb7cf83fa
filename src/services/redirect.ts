// SPDX-License-Identifier: Apache-2.0
// Frontends whose clients inside the cluster a policy leads to pods of their own node: what services are told of it.

import type { Input } from '../base/derive.ts';
import { familyOf } from '../base/ip.ts';
import type { Ip } from '../base/ip.ts';
import { problem } from '../base/problem.ts';
import type { Problem } from '../base/problem.ts';
import { sameRow } from '../base/same.ts';
import { table } from '../base/table.ts';
import type { Table } from '../base/table.ts';
import type { Protocol } from '../datapath/protocols.ts';
import { EVERY_ADDRESS, frontendKey } from './frontends.ts';
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

export type RedirectOwners = {
  readonly redirects: Redirects['redirects'];
  readonly frontends: Table<FrontendKey, Frontend>;
  /** Those that node ports are at. */
  readonly nodeAddresses: Table<string, unknown>;
};

/** What a frontend is redirected by, or why it is not: a Service keeps its own address and port, a node port at each address of the node. */
export function redirectFor(key: FrontendKey, { redirects, frontends, nodeAddresses }: RedirectOwners): Redirect | Problem | undefined {
  const redirect = redirects.get(key);
  const frontend = frontends.get(key);
  if (!redirect || (redirect.service !== undefined && redirect.service === frontend?.service)) return redirect;
  if (redirect.service !== undefined) return undefined; // the Service is about to go, or another has its address
  const everywhere = { ...redirect, address: EVERY_ADDRESS[familyOf(redirect.address)] };
  const owner = frontend ?? (nodeAddresses.has(redirect.address) ? frontends.get(frontendKey(everywhere)) : undefined);
  if (!owner) return redirect;
  return problem({
    object: `CiliumLocalRedirectPolicy ${redirect.policy}`,
    reason: 'FrontendTaken',
    message: `${key} belongs to ${ownerText(owner)}, so the policy does not redirect it`,
    advice: `Name the Service by redirectFrontend.serviceMatcher in a new policy, or another address or port`,
  });
}

function ownerText({ type, service }: Frontend): string {
  return type === 'HostPort' ? `the host ports of pod ${service.slice(0, service.indexOf(':'))}` : `Service ${service}`;
}

/** The addresses and ports of this node that redirects want, where a frontend is at every address of the node. */
export function sharedWith(frontend: Frontend | undefined, { redirects, nodeAddresses }: RedirectOwners): FrontendKey[] {
  if (frontend?.address !== EVERY_ADDRESS[4] && frontend?.address !== EVERY_ADDRESS[6]) return [];
  return Array.from(redirects.entries())
    .filter(([, { port, protocol, address }]) => port === frontend.port && protocol === frontend.protocol && nodeAddresses.has(address))
    .map(([key]) => key);
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
