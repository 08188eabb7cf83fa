// SPDX-License-Identifier: Apache-2.0
// Somebody on the segment says that an address is his which this node answers for, and is no node of ours: his link address is told, and
// the address defended by announcing it again, as RFC 5227 section 2.4 has it: not more often than every ten seconds.

import type { Clock } from '../base/clock.ts';
import type { Mac } from '../base/ip.ts';
import { problem } from '../base/problem.ts';
import type { Problem } from '../base/problem.ts';
import { l2ClaimCodec, l2ClaimKeyCodec } from '../datapath/schema.gen.ts';
import { native } from '../kernel/addon.ts';
import type { BpfMap } from '../kernel/map.ts';
import type { L2Tables } from '../l2/tables.ts';

export type ForeignClaimsOptions = {
  readonly claims: BpfMap;
  readonly l2: L2Tables;
  readonly clock: Clock;
  /** Announces the address again; key of l2_announcements. */
  readonly defend: (key: string) => void;
};

/** How long a claim is told of after it was heard last. */
const TELL_NS = 60e9;
const DEFEND_MS = 10_000;

/** The Problems of now. */
export function foreignClaims({ claims, l2, clock, defend }: ForeignClaimsOptions): () => readonly Problem[] {
  const defended = new Map<string, number>();
  return () => {
    const now = Number(native().monotonicNs());
    const out: Problem[] = [];
    const nodes = macsOf(l2);
    for (const [key, value] of claims.entries()) {
      const { address, interfaceIndex, mac } = l2ClaimKeyCodec.decode(key);
      const { last, count } = l2ClaimCodec.decode(value);
      const owner = l2.owners.get(address);
      if (now - last > TELL_NS || owner?.held === undefined || nodes.has(mac)) continue;
      const place = `${address}%${interfaceIndex}`;
      const since = clock.monotonic() - (defended.get(place) ?? -Infinity);
      if (since > DEFEND_MS && (now - last) / 1e6 < since) {
        defended.set(place, clock.monotonic());
        defend(place);
      }
      out.push(...owner.services.map((service) => claimed(service, { address, mac, count })));
    }
    return out;
  };
}

function claimed(
  service: string,
  { address, mac, count }: { readonly address: string; readonly mac: Mac; readonly count: number },
): Problem {
  return problem({
    object: `Service ${service}`,
    reason: 'AddressClaimed',
    message: `${mac} says that ${address} is his, ${count} times so far, and is no node of this cluster: clients reach one or the other`,
    advice: `Take ${address} away from the host with the link address ${mac}, or from the CiliumLoadBalancerIPPool`,
  });
}

/** Link addresses of nodes: of two that answer during a hand-over neither is foreign. */
export function macsOf({ self, peers }: L2Tables): ReadonlySet<Mac> {
  const members = [self(), ...Array.from(peers.entries(), ([, row]) => row)];
  return new Set(members.flatMap(({ interfaces }) => interfaces.flatMap(({ mac }) => mac ?? [])));
}
