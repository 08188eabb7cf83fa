// SPDX-License-Identifier: Apache-2.0
// Who answers for each address: the same on every node that knows the same, without asking anybody.
//
//   addresses ─▶ candidates ─▶ the one that answers already, of several the highest claim
//                         └──▶ else rendezvous hashing: the best score among those that have not their share yet
//
// Whoever answers goes on while it can. A node that is to hand over answers until its successor says that it does; one that
// cannot serve ends at once.

import type { Ip, Mac } from '../base/ip.ts';
import type { Candidate } from './candidates.ts';
import type { Claim, Level } from './members.ts';
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

/** What is known beside who could. */
export type OwnersInput = {
  readonly self: string;
  /** What a node says that it answers for. */
  readonly claim: (node: string, ip: Ip) => Claim | undefined;
  readonly before: (ip: Ip) => OwnerRow | undefined;
  /** What was found when it was asked; undefined: nobody has asked. */
  readonly probe: (ip: Ip) => ProbeRow | undefined;
};

/** `taken`: by the host with this link address, which is no node. */
export type ProbeRow = { readonly taken: Mac | undefined };

type Claimant = Candidate & { readonly claim: Claim | undefined };
/** `able`: those with the best level that anybody has. */
type Case = { readonly candidates: readonly Claimant[]; readonly able: readonly Claimant[] };

/** A node gets at most this much of its even share before others are asked. */
const LOAD_BOUND = 1.25;

/** The most of `addresses` that one of so many nodes should have. */
export function loadBound(addresses: number, nodes: number): number {
  return Math.ceil((LOAD_BOUND * addresses) / nodes);
}

/** The node that should answer for each address, of all at once, as they share the load. None where nobody can. */
export function* choicesFor(
  found: Iterable<readonly [Ip, readonly Candidate[]]>,
  input: Pick<OwnersInput, 'self' | 'claim'>,
): Iterable<readonly [Ip, string]> {
  const owners = new Map<Ip, string>();
  const loads = new Map<string, number>();
  const rest: { readonly ip: Ip; readonly able: readonly string[] }[] = [];
  let count = 0;
  const give = (ip: Ip, node: string) => {
    owners.set(ip, node);
    loads.set(node, (loads.get(node) ?? 0) + 1);
  };
  for (const [ip, candidates] of found) {
    count++;
    const incumbent = incumbentOf(ip, candidates, input);
    if (incumbent !== undefined) give(ip, incumbent);
    else rest.push({ ip, able: caseOf(ip, candidates, input).able.map(({ node }) => node) });
  }
  for (const { ip, able } of rest.toSorted((a, b) => (a.ip < b.ip ? -1 : 1))) {
    const bound = loadBound(count, able.length);
    const ranked = able.toSorted((a, b) => score(b, ip) - score(a, ip));
    const chosen = ranked.find((node) => (loads.get(node) ?? 0) < bound) ?? ranked[0];
    if (chosen !== undefined) give(ip, chosen);
  }
  yield* owners;
}

function caseOf(ip: Ip, found: readonly Candidate[], { self, claim }: Pick<OwnersInput, 'self' | 'claim'>): Case {
  const mine = claim(self, ip)?.epoch ?? 0;
  const candidates = found.map((one) => believed(one, claim(one.node, ip), self, mine));
  const best = candidates.reduce((most, { level }) => Math.max(most, level), 0);
  return { candidates, able: best === 0 ? [] : candidates.filter(({ level }) => level === best) };
}

/** Of those with the best level the one that claims most; of equal claims the first by name, which is their order. Nearly every address has one. */
function incumbentOf(ip: Ip, found: readonly Candidate[], { self, claim }: Pick<OwnersInput, 'self' | 'claim'>): string | undefined {
  const mine = claim(self, ip)?.epoch ?? 0;
  let best = 0;
  let most = -1;
  let first: string | undefined;
  for (const one of found) {
    const said = claim(one.node, ip);
    const level = believedLevel(one, said, self, mine);
    if (level > best) [best, most, first] = [level, -1, undefined];
    if (level === best && level > 0 && said !== undefined && said.epoch > most) [most, first] = [said.epoch, one.node];
  }
  return first;
}

/**
 * Of what a node can do, it knows its interfaces best and we may know its endpoints better: the worse of the two counts. Only a claim above
 * our own is taken at its word: whoever made it knew ours and had a reason.
 */
function believedLevel({ node, level, interfaces }: Candidate, claim: Claim | undefined, self: string, epoch: number): Level {
  if (node === self || claim === undefined) return level;
  if (claim.epoch > epoch && interfaces.length > 0) return claim.level;
  return claim.level < level ? claim.level : level;
}

function believed(candidate: Candidate, claim: Claim | undefined, self: string, epoch: number): Claimant {
  const level = believedLevel(candidate, claim, self, epoch);
  return level < candidate.level ? { ...candidate, claim, level, why: 'hands over what it has' } : { ...candidate, claim, level };
}

/** `choice`: what choicesFor() says of the address. */
export function ownerOf(vip: VipRow, all: readonly Candidate[], choice: string | undefined, input: OwnersInput): OwnerRow {
  const { ip, services, balanced, policies } = vip;
  const { self, before, probe } = input;
  const { candidates } = caseOf(ip, all, input);
  const chosen = candidates.find(({ node }) => node === choice);
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
function heldBy(me: Claimant | undefined, owner: Claimant | undefined, highest: number): Held | undefined {
  if (me === undefined || owner === undefined || me.level === 0) return undefined;
  const { claim, level, interfaces } = me;
  if (owner.node === me.node) return { epoch: claim?.epoch === highest ? highest : highest + 1, level, interfaces };
  return claim === undefined || owner.claim !== undefined ? undefined : { epoch: claim.epoch, level, interfaces };
}

function reasonOf({ policies }: VipRow, candidates: readonly Claimant[], owner: Claimant | undefined, last: OwnerRow | undefined): string {
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
