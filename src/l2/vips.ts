// SPDX-License-Identifier: Apache-2.0
// Which addresses are announced, for which Services, by which policies.

import type { Ip } from '../base/ip.ts';
import type { Table } from '../base/table.ts';
import type { Selector } from '../services/label-selector.ts';
import type { ServiceRow, SliceRow } from '../services/service.ts';
import { selectsService } from './policy.ts';
import type { PolicyRow } from './policy.ts';

export type VipRow = {
  readonly ip: Ip;
  /** 'namespace/name', sorted. Several may share one address: it has one owner all the same. */
  readonly services: readonly string[];
  /** Of a Service of type LoadBalancer: it is there to be announced. */
  readonly balanced: boolean;
  /** Names of policies that announce it for one of them, sorted; empty: nobody may announce it. */
  readonly policies: readonly string[];
  /** Of the Services with externalTrafficPolicy: Local, the nodes that can serve, each sorted. One that nobody can serve is not among them. */
  readonly local: readonly (readonly string[])[];
  /** Of the Services whose annotations name the nodes that serve them; undefined: none does. */
  readonly exposed?: readonly Selector[];
};

const L2_CLASS = 'io.cilium/l2-announcer';

export type VipInputs = {
  readonly services: Table<string, ServiceRow>;
  readonly slices: Table<string, SliceRow>;
  readonly policies: Table<string, PolicyRow>;
};

export function* vipsFor(ip: Ip, { services, slices, policies }: VipInputs): Iterable<readonly [string, VipRow]> {
  const own = [...services.by('vip', ip)].filter(({ external }) => isAnnounced(external?.loadBalancerClass));
  if (own.length === 0) return;
  const named = own.flatMap((service) => announcing(ip, service, policies));
  const local = own.filter(({ external }) => external?.local === true).map(({ name }) => servingNodes(slices.by('service', name)));
  const exposed = own.flatMap(({ nodes }) => (nodes === undefined ? [] : [nodes]));
  yield [
    ip,
    {
      ip,
      services: own.map(({ name }) => name).toSorted(),
      balanced: own.some(({ external }) => external?.ingressIps.includes(ip)),
      policies: [...new Set(named)].toSorted(),
      local: local.filter((nodes) => nodes.length > 0),
      ...(exposed.length > 0 && { exposed }),
    },
  ];
}

function isAnnounced(loadBalancerClass: string | undefined): boolean {
  return loadBalancerClass === undefined || loadBalancerClass === L2_CLASS;
}

function announcing(ip: Ip, service: ServiceRow, policies: Table<string, PolicyRow>): readonly string[] {
  const isIngress = service.external?.ingressIps.includes(ip) === true;
  const isExternal = service.external?.externalIps.includes(ip) === true;
  return Array.from(policies.entries(), ([, policy]) => policy)
    .filter((policy) => (policy.loadBalancerIps && isIngress) || (policy.externalIps && isExternal))
    .filter((policy) => selectsService(policy, service))
    .map(({ name }) => name);
}

/** Those with ready endpoints; where there are none, those with endpoints that end and still serve. */
function servingNodes(slices: Iterable<SliceRow>): readonly string[] {
  const endpoints = [...slices].flatMap((slice) => slice.endpoints);
  const ready = endpoints.filter((endpoint) => endpoint.ready);
  const chosen = ready.length > 0 ? ready : endpoints.filter(({ serving, terminating }) => serving && terminating);
  return [...new Set(chosen.flatMap(({ node }) => node ?? []))].toSorted();
}
