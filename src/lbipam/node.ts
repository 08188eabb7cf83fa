// SPDX-License-Identifier: Apache-2.0
// What has to be known of nodes: addresses that are theirs, and the subnets in which they can announce others.

import { parseCidr, parseIp } from '../base/ip.ts';
import type { Cidr, Ip } from '../base/ip.ts';
import type { CiliumL2AnnouncementPolicy, CiliumNode, Node } from '../kube/types.ts';
import { SUBNETS } from '../nodes/segments.ts';

export type LbNodeRow = { readonly addresses: readonly Ip[] };

export function* lbNodeRows({ metadata, status }: Node): Iterable<readonly [string, LbNodeRow]> {
  yield [metadata.name, { addresses: [...new Set((status?.addresses ?? []).flatMap(({ address }) => parseIp(address) ?? []))] }];
}

export function* subnetRows({ metadata }: CiliumNode): Iterable<readonly [string, readonly Cidr[]]> {
  const text = metadata.annotations?.[SUBNETS];
  if (text !== undefined) yield [metadata.name, text.split(',').flatMap((one) => (one === '' ? [] : (parseCidr(one.trim()) ?? [])))];
}

/** Policies that announce load balancer IPs: of which Services, each Service is told by whoever announces. */
export function* announcerRows({ metadata, spec }: CiliumL2AnnouncementPolicy): Iterable<readonly [string, true]> {
  if (spec?.loadBalancerIPs === true) yield [metadata.name, true];
}
