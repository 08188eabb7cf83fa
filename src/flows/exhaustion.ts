// SPDX-License-Identifier: Apache-2.0
// A destination to which an address has no port left, and the pod that holds most of them: what new connections of others die of.
//
//   drops for want of a port ─▶ Shortage ─▶ portCount() over conntrack ─▶ its biggest holder ─▶ Problem

import type { Ip } from '../base/ip.ts';
import { problem } from '../base/problem.ts';
import type { Problem } from '../base/problem.ts';
import { DropReason } from '../datapath/schema.gen.ts';
import type { Event } from '../datapath/schema.gen.ts';
import { destinationText } from './port-use.ts';
import type { Destination, PortUse } from './port-use.ts';

export type Shortage = {
  readonly to: Destination;
  /** Milliseconds of the monotonic clock when a packet was last dropped. */
  readonly last: number;
  /** Whose packets. */
  readonly victims: ReadonlySet<Ip>;
};

export type Shortages = {
  /** Notes an event that happened at `at`, milliseconds of the monotonic clock; true when it was a packet that found no port. */
  note(event: Event, at: number): boolean;
  /** Drops those that are over: nothing was dropped for `quiet` milliseconds before `now`. */
  current(now: number, quiet: number): readonly Shortage[];
};

/** Destinations that are remembered at once. A flood may have any number; the first ones say who causes it. */
const LIMIT = 64;
const VICTIMS = 64;

export function shortages(): Shortages {
  const known = new Map<string, { readonly to: Destination; last: number; readonly victims: Set<Ip> }>();
  return {
    note({ reason, flow }, at) {
      if (reason !== DropReason.noMappingForNatMasquerade) return false;
      const text = destinationText(flow);
      const one = known.get(text) ?? { to: flow, last: at, victims: new Set<Ip>() };
      if (known.size >= LIMIT && !known.has(text)) return true;
      one.last = at;
      if (one.victims.size < VICTIMS) one.victims.add(flow.source);
      known.set(text, one);
      return true;
    },
    current(now, quiet) {
      for (const [text, { last }] of known) if (now - last >= quiet) known.delete(text);
      return [...known.values()];
    },
  };
}

export type ExhaustionContext = {
  /** 'Pod shop/cart', 'Node node1': who has an address of this node. */
  readonly ownerOf: (address: Ip) => string;
  /** First and last port of the NAT range. */
  readonly range: readonly [first: number, last: number];
};

/** One Problem for each owner that holds most ports somewhere: of the destination where it holds most. `uses`: of these shortages. */
export function exhaustionProblems(current: readonly Shortage[], uses: readonly PortUse[], context: ExhaustionContext): readonly Problem[] {
  const found = new Map<string, Problem>();
  for (const use of uses.toSorted((a, b) => (b.holders[0]?.ports ?? 0) - (a.holders[0]?.ports ?? 0))) {
    const [biggest] = use.holders;
    const object = biggest && context.ownerOf(biggest.source);
    if (biggest && object !== undefined && !found.has(object))
      found.set(object, exhausted(object, biggest.ports, use, { current, ...context }));
  }
  return [...found.values()];
}

type Situation = ExhaustionContext & { readonly current: readonly Shortage[] };

function exhausted(object: string, ports: number, { address, to, ports: all }: PortUse, { current, ownerOf, range }: Situation): Problem {
  const text = destinationText(to);
  const victims = current.filter((one) => destinationText(one.to) === text).flatMap(({ victims: sources }) => Array.from(sources, ownerOf));
  const [first, last] = to.destinationPort === 0 ? [0, 0xffff] : range;
  return problem({
    object,
    reason: 'MasqueradePortsExhausted',
    message:
      `Holds ${ports} of the ${last - first + 1} ports (${first}-${last}) with which ${address} reaches ${text}; ` +
      `${all} are in use, and new connections there fail: ${listed(victims, object)}`,
    advice:
      'Let it reuse its connections or close them, or spread them over several destination addresses; ' +
      'a nodePort.range that ends lower leaves more ports',
  });
}

const NAMED = 3;

function listed(names: readonly string[], itself: string): string {
  const sorted = [...new Set(names)].filter((name) => name !== itself).toSorted();
  const more = sorted.length > NAMED ? ` and ${sorted.length - NAMED} more` : '';
  return sorted.length === 0 ? 'its own' : `those of ${sorted.slice(0, NAMED).join(', ')}${more}`;
}
