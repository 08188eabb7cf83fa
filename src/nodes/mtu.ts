// SPDX-License-Identifier: Apache-2.0
// The MTU of pods: the least of the uplinks, so that a packet fits whichever way it leaves, unless the values say one.

import { problem } from '../base/problem.ts';
import type { Problem } from '../base/problem.ts';

export type PodMtu = {
  readonly mtu: number;
  /** 'the least of the uplinks: eth0 1500, wlan0 1500'. */
  readonly reason: string;
};

const USUAL_MTU = 1500;
const LEAST_IPV6_MTU = 1280; // RFC 8200 section 5
const LARGEST_MTU = 65_520; // of the loopback and of a veth whose packets carry an Ethernet header too

/** `configured`: MTU of the values, undefined: as the uplinks say. */
export function podMtu(uplinks: Iterable<{ readonly name: string; readonly mtu: number }>, configured: number | undefined): PodMtu {
  if (configured !== undefined) return { mtu: configured, reason: 'MTU in the values' };
  const rows = Array.from(uplinks).toSorted((a, b) => (a.name < b.name ? -1 : 1));
  if (rows.length === 0) return { mtu: USUAL_MTU, reason: 'there is no uplink to take it from' };
  const reason = `the least of the uplinks: ${rows.map(({ name, mtu }) => `${name} ${mtu}`).join(', ')}`;
  return { mtu: Math.min(LARGEST_MTU, ...rows.map(({ mtu }) => mtu)), reason };
}

/** The one row of its table. Without an uplink there is none: pods keep what they have. */
export function* podMtuEntry(
  uplinks: readonly { readonly name: string; readonly mtu: number }[],
  configured: number | undefined,
): Iterable<readonly ['now', PodMtu]> {
  if (uplinks.length > 0 || configured !== undefined) yield ['now', podMtu(uplinks, configured)];
}

/** IPv6 does not work below its least MTU: the kernel takes it away from such an interface, so pods with IPv6 get no less. */
export function mtuProblems(
  { mtu, reason }: PodMtu,
  { node, ipv6 }: { readonly node: string; readonly ipv6: boolean },
): readonly Problem[] {
  if (!ipv6 || mtu >= LEAST_IPV6_MTU) return [];
  return [
    problem({
      object: `Node ${node}`,
      reason: 'MtuTooSmall',
      message: `pods get an MTU of ${mtu} (${reason}), and IPv6 wants at least ${LEAST_IPV6_MTU}: pods with IPv6 get that, and what they send in full size is lost`,
      advice: `Raise the MTU of that interface, leave it out by devices, set MTU to ${LEAST_IPV6_MTU} or more, or set ipv6.enabled: false`,
    }),
  ];
}
