// SPDX-License-Identifier: Apache-2.0
// How well each node could announce an address, and why not better.

import { cidrContains, parseCidr } from '../base/ip.ts';
import type { Ip } from '../base/ip.ts';
import type { Table } from '../base/table.ts';
import type { AnnouncerRow } from './announcers.ts';
import { selects } from '../services/label-selector.ts';
import type { Level, MemberInterface, MemberRow } from './members.ts';
import { selectsInterface, selectsNode } from './policy.ts';
import type { PolicyRow } from './policy.ts';
import type { VipRow } from './vips.ts';

export type Candidate = {
  readonly node: string;
  readonly level: Level;
  /** Why the level is not 2, in words that follow the node's name. */
  readonly why: string | undefined;
  /** Names of those on which it would announce. */
  readonly interfaces: readonly string[];
};

export type Everybody = {
  readonly policies: Table<string, PolicyRow>;
  readonly announcers: Table<string, AnnouncerRow>;
  readonly members: readonly MemberRow[];
};

/** What is asked of a node for each of many addresses, read once. */
type Seat = {
  readonly announcer: AnnouncerRow;
  readonly member: MemberRow | undefined;
  readonly cedes: ReadonlyMap<Ip, string>;
  /** Policies that select the node, by name. */
  readonly policies: ReadonlyMap<string, PolicyRow>;
};

/** Those for an address: one for each node that is there, and for each other that policies select: that it is not heard is why it is none. */
export function candidatesAmong({ policies, announcers, members }: Everybody): (vip: VipRow) => readonly Candidate[] {
  const byNode = new Map(members.map((member) => [member.node, member]));
  const all = Array.from(policies.entries(), ([, policy]) => policy);
  const seats = Array.from(announcers.entries(), ([node, announcer]): Seat => {
    const member = byNode.get(node);
    return {
      announcer,
      member,
      cedes: new Map(member?.cedes.map(({ ip, why }) => [ip, why])),
      policies: new Map(all.filter((policy) => selectsNode(policy, announcer.labels)).map((policy) => [policy.name, policy])),
    };
  }).toSorted((a, b) => (a.announcer.node < b.announcer.node ? -1 : 1));
  const around = prefixesAround(members);
  return (vip) => {
    const prefixes = around(vip.ip);
    return seats.map((seat) => candidateAt(seat, vip, prefixes));
  };
}

/** Connected prefixes that have an address, as text; of all nodes together. */
function prefixesAround(members: readonly MemberRow[]): (ip: Ip) => ReadonlySet<string> {
  const texts = new Set(members.flatMap(({ interfaces }) => interfaces.flatMap(({ prefixes }) => prefixes)));
  const known = [...texts].map((text) => [text, parseCidr(text)] as const);
  return (ip) => new Set(known.flatMap(([text, prefix]) => (prefix && cidrContains(prefix, ip) ? [text] : [])));
}

function candidateAt(seat: Seat, vip: VipRow, around: ReadonlySet<string>): Candidate {
  const { announcer, member } = seat;
  const own = vip.policies.flatMap((name) => seat.policies.get(name) ?? []);
  const chosen = (member?.interfaces ?? []).filter((one) => own.some((policy) => takes(policy, one, around)));
  const working = chosen.filter(({ fault }) => fault === undefined);
  const never = own.length === 0 ? 'is selected by no policy' : hindrance(vip, announcer, member, { chosen, working });
  const late = never === undefined ? reluctance(seat, vip, { own, working }) : undefined;
  return {
    node: announcer.node,
    level: never !== undefined ? 0 : late !== undefined ? 1 : 2,
    why: never ?? late,
    interfaces: working.map(({ name }) => name),
  };
}

/** Without patterns the interface is the one whose subnet has the address; where no node has such a subnet, any. */
function takes(policy: PolicyRow, one: MemberInterface, around: ReadonlySet<string>): boolean {
  if (policy.interfaces.length > 0) return selectsInterface(policy, one.name);
  return around.size === 0 || one.prefixes.some((prefix) => around.has(prefix));
}

type Chosen = { readonly chosen: readonly MemberInterface[]; readonly working: readonly MemberInterface[] };

/** Why it cannot at all. */
function hindrance(
  { local, ip, exposed = [] }: VipRow,
  { node, labels }: AnnouncerRow,
  member: MemberRow | undefined,
  { chosen, working }: Chosen,
): string | undefined {
  if (member === undefined) return 'is not heard on the segment';
  if (chosen.length === 0) return `has no interface for ${ip}`;
  if (working.length === 0) return chosen.map(({ name, fault }) => `${name}: ${fault}`).join(', ');
  if (!exposed.every((nodes) => selects(nodes, labels))) return 'is none of the nodes that the annotations of its Service name';
  return local.length > 0 && !local.some((nodes) => nodes.includes(node))
    ? 'has no ready endpoint, as externalTrafficPolicy: Local wants'
    : undefined;
}

type Asked = { readonly own: readonly PolicyRow[]; readonly working: readonly MemberInterface[] };

/** Why others come first. Whoever names a node means it, whatever its label says. */
function reluctance({ announcer, cedes }: Seat, { ip }: VipRow, { own, working }: Asked): string | undefined {
  const { leaving, excluded } = announcer;
  if (leaving !== undefined) return leaving.replace(/^it /, '');
  if (excluded && own.every(({ nodes }) => nodes === undefined)) return 'has the label exclude-from-external-load-balancers';
  if (working.every(({ doubt }) => doubt !== undefined)) return working.map(({ name, doubt }) => `${name}: ${doubt}`).join(', ');
  return cedes.get(ip);
}
