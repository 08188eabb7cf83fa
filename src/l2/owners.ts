// SPDX-License-Identifier: Apache-2.0
// Who answers for each address: the same on every node that knows the same, without asking anybody.
//
//   addresses ─▶ candidates ─▶ the one that answers already, of several the highest claim
//                         └──▶ else rendezvous hashing: the best score among those that have not their share yet
//
// Whoever answers goes on while it can. A node that is to hand over answers until its successor says that it does; one that
// cannot serve ends at once.

import type { Ip, Mac } from '../base/ip.ts';
import type { Candidate, Everybody } from './candidates.ts';
import { candidatesFor } from './candidates.ts';
import type { Level } from './members.ts';
import type { VipRow } from './vips.ts';

export type OwnerRow = {
  readonly ip: Ip;
  readonly services: readonly string[];
  readonly balanced: boolean;
  readonly policies: readonly string[];
  /** Undefined: nobody can; `why` has the reason. */
  readonly owner: string | undefined;
  /** Of the owner. */
  readonly interfaces: readonly string[];
  /** Why this one, or nobody. */
  readonly why: string;
  /** The highest that was ever claimed. */
  readonly epoch: number;
  /** What this node claims, and answers for. */
  readonly held: Held | undefined;
  /** Interfaces of this node on which it has to be asked whether another host has it, before it is answered for the first time. */
  readonly probes: readonly string[] | undefined;
  /** Other nodes that claim it, too. */
  readonly rivals: readonly string[];
  readonly candidates: readonly Pick<Candidate, 'node' | 'level' | 'why'>[];
};

export type Held = { readonly epoch: number; readonly level: Level; readonly interfaces: readonly string[] };

export type OwnersInput = Everybody & {
  readonly self: string;
  readonly vips: Iterable<VipRow>;
  readonly before: (ip: Ip) => OwnerRow | undefined;
  /** What was found when it was asked; undefined: nobody has asked. */
  readonly probe: (ip: Ip) => ProbeRow | undefined;
};

/** `taken`: by the host with this link address, which is no node. */
export type ProbeRow = { readonly taken: Mac | undefined };

type Case = { readonly vip: VipRow; readonly candidates: readonly Candidate[]; readonly able: readonly Candidate[] };

/** A node gets at most this much of its even share before others are asked. */
const LOAD_BOUND = 1.25;

export function* ownersFor(input: OwnersInput): Iterable<readonly [string, OwnerRow]> {
  const cases = Array.from(input.vips, (vip) => caseOf(vip, input)).toSorted((a, b) => (a.vip.ip < b.vip.ip ? -1 : 1));
  const owners = new Map<Ip, Candidate>();
  const loads = new Map<string, number>();
  const give = ({ vip }: Case, to: Candidate) => {
    owners.set(vip.ip, to);
    loads.set(to.node, (loads.get(to.node) ?? 0) + 1);
  };
  for (const one of cases) {
    const incumbent = one.able.filter(({ claim }) => claim !== undefined).toSorted(byClaim)[0];
    if (incumbent) give(one, incumbent);
  }
  for (const one of cases) {
    if (owners.has(one.vip.ip) || one.able.length === 0) continue;
    const bound = Math.ceil((LOAD_BOUND * cases.length) / one.able.length);
    const ranked = one.able.toSorted((a, b) => score(b.node, one.vip.ip) - score(a.node, one.vip.ip));
    const chosen = ranked.find(({ node }) => (loads.get(node) ?? 0) < bound) ?? ranked[0];
    if (chosen) give(one, chosen);
  }
  for (const one of cases) yield [one.vip.ip, rowOf(one, owners.get(one.vip.ip), input)];
}

/** `able`: those with the best level that anybody has. */
function caseOf(vip: VipRow, input: OwnersInput): Case {
  const found = candidatesFor(vip, input);
  const mine = found.find(({ node }) => node === input.self)?.claim;
  const candidates = found.map((one) => believed(one, input.self, mine?.epoch ?? 0));
  const best = Math.max(0, ...candidates.map(({ level }) => level));
  return { vip, candidates, able: best === 0 ? [] : candidates.filter(({ level }) => level === best) };
}

/**
 * Of what a node can do, it knows its interfaces best and we may know its endpoints better: the worse of the two counts. Only a claim above
 * our own is taken at its word: whoever made it knew ours and had a reason.
 */
function believed(candidate: Candidate, self: string, epoch: number): Candidate {
  const { node, claim, level, interfaces } = candidate;
  if (node === self || claim === undefined) return candidate;
  if (claim.epoch > epoch && interfaces.length > 0) return { ...candidate, level: claim.level };
  return claim.level < level ? { ...candidate, level: claim.level, why: 'hands over what it has' } : candidate;
}

function byClaim(a: Candidate, b: Candidate): number {
  return (b.claim?.epoch ?? 0) - (a.claim?.epoch ?? 0) || (a.node < b.node ? -1 : 1);
}

function rowOf({ vip, candidates }: Case, chosen: Candidate | undefined, { self, before, probe }: OwnersInput): OwnerRow {
  const { ip, services, balanced, policies } = vip;
  const last = before(ip);
  const highest = Math.max(last?.epoch ?? 0, ...candidates.map(({ claim }) => claim?.epoch ?? 0));
  const me = candidates.find(({ node }) => node === self);
  const probes = highest === 0 && chosen?.node === self ? chosen.interfaces : undefined;
  const found = probes === undefined ? { taken: undefined } : probe(ip);
  const owner = found?.taken === undefined ? chosen : undefined;
  const held = found === undefined ? undefined : heldBy(me, owner, highest);
  return {
    ip,
    services,
    balanced,
    policies,
    owner: owner?.node,
    interfaces: owner?.interfaces ?? [],
    why:
      found?.taken === undefined ? reasonOf(vip, candidates, owner, last) : `${found.taken} has it already, and is no node of this cluster`,
    epoch: Math.max(highest, held?.epoch ?? 0),
    held,
    probes,
    rivals: candidates.filter(({ node, claim }) => node !== self && claim !== undefined).map(({ node }) => node),
    candidates: candidates.map(({ node, level, why }) => ({ node, level, why })),
  };
}

/** A claim that stands keeps its number; a new one is above all that were heard of. */
function heldBy(me: Candidate | undefined, owner: Candidate | undefined, highest: number): Held | undefined {
  if (me === undefined || owner === undefined || me.level === 0) return undefined;
  const { claim, level, interfaces } = me;
  if (owner.node === me.node) return { epoch: claim?.epoch === highest ? highest : highest + 1, level, interfaces };
  return claim === undefined || owner.claim !== undefined ? undefined : { epoch: claim.epoch, level, interfaces };
}

function reasonOf(
  { policies }: VipRow,
  candidates: readonly Candidate[],
  owner: Candidate | undefined,
  last: OwnerRow | undefined,
): string {
  if (owner === undefined) {
    if (policies.length === 0) return 'no CiliumL2AnnouncementPolicy selects it';
    return candidates.length === 0 ? 'no node is known' : candidates.map(({ node, why }) => `${node} ${why ?? 'can'}`).join('; ');
  }
  const previous = last?.owner;
  if (last !== undefined && previous === owner.node) return last.why;
  if (previous === undefined) return last === undefined && owner.claim !== undefined ? 'it had it already' : 'chosen by hash';
  const gone = candidates.find(({ node }) => node === previous);
  return `${previous} ${gone === undefined ? 'is no node any more' : (gone.why ?? 'made way')}`;
}

/** The same on every node, and different for every pair: FNV-1a, mixed as MurmurHash3 ends. */
export function score(node: string, ip: Ip): number {
  let hash = 0x811c9dc5;
  for (const letter of `${node}#${ip}`) hash = Math.imul(hash ^ (letter.codePointAt(0) ?? 0), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
