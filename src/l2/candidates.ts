// SPDX-License-Identifier: Apache-2.0
// How well each node could announce an address, and why not better.

import type { Table } from '../base/table.ts';
import type { AnnouncerRow } from './announcers.ts';
import { selects } from '../services/label-selector.ts';
import { isConnected } from './members.ts';
import type { Claim, Level, MemberInterface, MemberRow } from './members.ts';
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
  /** What it says that it answers for. */
  readonly claim: Claim | undefined;
};

export type Everybody = {
  readonly policies: Table<string, PolicyRow>;
  readonly announcers: Table<string, AnnouncerRow>;
  readonly members: readonly MemberRow[];
};

/** One for each node that is there, and for each other that policies select: that it is not heard is why it is none. */
export function candidatesFor(vip: VipRow, { policies, announcers, members }: Everybody): readonly Candidate[] {
  const named = vip.policies.map((name) => policies.get(name)).filter((policy) => policy !== undefined);
  const onSegment = members.some(({ interfaces }) => interfaces.some((one) => isConnected(one, vip.ip)));
  const out: Candidate[] = [];
  for (const [node, announcer] of announcers.entries()) {
    const member = members.find((one) => one.node === node);
    const claim = member?.claims.find(({ ip }) => ip === vip.ip);
    const own = named.filter((policy) => selectsNode(policy, announcer.labels));
    const chosen = (member?.interfaces ?? []).filter((one) => own.some((policy) => takes(policy, one, vip, onSegment)));
    const working = chosen.filter(({ fault }) => fault === undefined).map(({ name }) => name);
    const never = own.length === 0 ? 'is selected by no policy' : hindrance(vip, announcer, member, { chosen, working });
    const late = own.length === 0 ? undefined : reluctance(announcer, own);
    const level = never !== undefined ? 0 : late !== undefined ? 1 : 2;
    out.push({ node, level, why: never ?? late, interfaces: working, claim });
  }
  return out.toSorted((a, b) => (a.node < b.node ? -1 : 1));
}

/** Without patterns the interface is the one whose subnet has the address; where no node has such a subnet, any. */
function takes(policy: PolicyRow, one: MemberInterface, { ip }: VipRow, onSegment: boolean): boolean {
  if (policy.interfaces.length > 0) return selectsInterface(policy, one.name);
  return onSegment ? isConnected(one, ip) : true;
}

type Chosen = { readonly chosen: readonly MemberInterface[]; readonly working: readonly string[] };

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

/** Why others come first. Whoever names a node means it, whatever its label says. */
function reluctance({ leaving, excluded }: AnnouncerRow, own: readonly PolicyRow[]): string | undefined {
  if (leaving !== undefined) return leaving.replace(/^it /, '');
  return excluded && own.every(({ nodes }) => nodes === undefined) ? 'has the label exclude-from-external-load-balancers' : undefined;
}
