// SPDX-License-Identifier: Apache-2.0
// The virtual packet that a trace walks, what the walk tells of it, and what becomes of it.

import type { Family, Ip } from '../base/ip.ts';
import { familyOf } from '../base/ip.ts';

export const Protocol = { tcp: 'tcp', udp: 'udp', icmp: 'icmp' } as const;
export type Protocol = (typeof Protocol)[keyof typeof Protocol];

/** The first packet of a new flow. An icmp packet is an echo request: it has no ports, and they are 0. */
export type Packet = {
  readonly protocol: Protocol;
  /** 'host': this node, with the address that its stack would choose. */
  readonly source: Ip | 'host';
  readonly sourcePort: number;
  readonly destination: Ip;
  readonly destinationPort: number;
  /** Begins with the packet, not with the socket: a process that the socket programs do not see. */
  readonly raw: boolean;
};

/** The packet where it is now. */
export type Moving = {
  readonly protocol: Protocol;
  readonly source: Ip;
  /** Undefined: a number that the program draws. */
  readonly sourcePort: number | undefined;
  readonly destination: Ip;
  readonly destinationPort: number;
};

/** The program that decides, or 'stack': the host's own routing, or 'pod': that of the pod. */
export type Place = 'sock_connect4' | 'sock_connect6' | 'pod_from' | 'pod_to' | 'host_from' | 'host_to' | 'stack' | 'pod';

export type Step = {
  readonly hook: Place;
  /** A map or table and the key, as `stentor tables` shows it. */
  readonly lookedUp: string;
  /** Undefined: no such entry. */
  readonly found: string | undefined;
  readonly decision: string;
};

export type Verdict =
  /** To a pod of this node, 'namespace/name'. */
  | { readonly kind: 'delivered'; readonly pod: string }
  | { readonly kind: 'sent'; readonly node: string; readonly through: string }
  /** Out of the cluster. */
  | { readonly kind: 'leaves'; readonly through: string; readonly masqueraded: boolean }
  /** By the host's own stack; whether somebody listens is not known here. */
  | { readonly kind: 'taken' }
  /** A ping to a service address: the data plane answers it. */
  | { readonly kind: 'answered' }
  | { readonly kind: 'refused'; readonly because: 'no backend' | 'no such port' | 'no route' }
  /** `reason` is one of dropReasonNames. */
  | { readonly kind: 'dropped'; readonly reason: string };

/** One way that the packet may take. */
export type Way = {
  readonly steps: readonly Step[];
  readonly verdict: Verdict;
  /** The packet when it was last seen. */
  readonly out: Moving;
};

export type Trace = Way & {
  readonly packet: Packet;
  /** What happens, in one sentence. */
  readonly sentence: string;
  /** Whether it arrives, or goes where it was sent, whichever backend is chosen. */
  readonly delivered: boolean;
  /** Where the other backends would have led, when there are several. */
  readonly others: readonly (Pick<Way, 'verdict' | 'out'> & { readonly sentence: string })[];
};

/** IANA numbers; ICMP has one for each family. */
export function protocolNumber({ protocol, destination }: Pick<Moving, 'protocol' | 'destination'>): number {
  const numbers: Readonly<Record<Protocol, Readonly<Record<Family, number>>>> = {
    tcp: { 4: 6, 6: 6 },
    udp: { 4: 17, 6: 17 },
    icmp: { 4: 1, 6: 58 },
  };
  return numbers[protocol][familyOf(destination)];
}
