// SPDX-License-Identifier: Apache-2.0
// How owners follow from what is known, in steps that are small even with thousands of addresses: only the choice looks at all at once, and it
// looks at little.
//
//   addresses, policies, nodes, interfaces ─▶ candidates ─▶ choices ─▶ owners
//                                   claims of all nodes ─────┴──────────┘

import { derive, from, fromAny } from '../base/derive.ts';
import type { Derivation } from '../base/derive.ts';
import type { Ip } from '../base/ip.ts';
import type { ProblemBook } from '../base/problem.ts';
import { sameRow } from '../base/same.ts';
import { table } from '../base/table.ts';
import type { Table, Writer } from '../base/table.ts';
import type { NodeTables } from '../nodes/tables.ts';
import { candidatesAmong } from './candidates.ts';
import type { Candidate } from './candidates.ts';
import type { Claim, MemberRow } from './members.ts';
import { choicesFor, ownerOf } from './owners.ts';
import type { OwnerRow, OwnersInput } from './owners.ts';
import { problemsOf } from './problems.ts';
import type { L2Tables } from './tables.ts';

export type OwnershipOptions = {
  readonly self: string;
  readonly l2: Pick<L2Tables, 'policies' | 'announcers' | 'peers' | 'segments' | 'probes' | 'cedes' | 'vips'>;
  readonly nodes: Pick<NodeTables, 'uplinks' | 'interfaces'>;
  readonly owners: Writer<string, OwnerRow>;
  /** This node, but for what it claims. */
  readonly me: () => MemberRow;
  /** What this node claims of an address. */
  readonly own: (ip: Ip) => Claim | undefined;
  readonly isFirst: () => boolean;
  readonly problems: ProblemBook;
};

/** In their order. */
export function ownership(options: OwnershipOptions): readonly Derivation[] {
  const { self, own, l2 } = options;
  const candidates = table<Ip, readonly Candidate[]>('l2_candidates', { same: sameRow });
  const choices = table<Ip, string>('l2_choices');
  const claims = claimsIn(l2.peers);
  const claim = (node: string, ip: Ip) => (node === self ? own(ip) : claims(node, ip));
  return [
    candidatesDerived(options, candidates.writer('l2_candidates')),
    derive<'all', Ip, string>({
      name: 'l2_choices',
      inputs: [fromAny(candidates), fromAny(l2.peers, (row, before) => !sameRow(row?.claims, before?.claims))],
      out: choices.writer('l2_choices'),
      whole: true,
      compute: () => choicesFor(candidates.entries(), { self, claim }),
    }),
    ownersDerived(options, { candidates, choices, claim }),
  ];
}

/** All addresses; and of a row that has one. */
const every = ({ l2 }: OwnershipOptions) => Array.from(l2.vips.entries(), ([, { ip }]) => ip);
const ofAddress = <R extends { readonly ip: Ip }>(source: Table<string, R>) =>
  from<Ip, string, R>(source, (_, row, before) => [row?.ip ?? before?.ip].filter((ip) => ip !== undefined));

function candidatesDerived(options: OwnershipOptions, out: Writer<Ip, readonly Candidate[]>): Derivation {
  const { l2, nodes, me } = options;
  const { policies, announcers, peers, segments, cedes, vips } = l2;
  const ofAll = <R>(source: Table<string, R>) => from<Ip, string, R>(source, () => every(options));
  const among = whileSame([policies, announcers, peers, segments, cedes, nodes.uplinks, nodes.interfaces], () =>
    candidatesAmong({ policies, announcers, members: [me(), ...Array.from(peers.entries(), ([, row]) => row)] }),
  );
  return derive<Ip, Ip, readonly Candidate[]>({
    name: 'l2_candidates',
    inputs: [
      ofAddress(vips),
      ...[policies, announcers, segments, nodes.uplinks, nodes.interfaces].map((source) => ofAll<unknown>(source)),
      ofAddress(cedes),
      from<Ip, string, MemberRow>(peers, (_, row, before) =>
        sameRow(row?.interfaces, before?.interfaces) ? cededIn(row, before) : every(options),
      ),
    ],
    out,
    whole: true,
    compute: function* (ip) {
      const vip = vips.get(ip);
      if (vip) yield [ip, among()(vip)];
    },
  });
}

type Chosen = {
  readonly candidates: Table<Ip, readonly Candidate[]>;
  readonly choices: Table<Ip, string>;
  readonly claim: OwnersInput['claim'];
};

function ownersDerived(options: OwnershipOptions, { candidates, choices, claim }: Chosen): Derivation {
  const { self, l2, owners, isFirst, problems } = options;
  const { peers, probes, vips } = l2;
  const input: OwnersInput = { self, claim, before: (ip) => owners.table.get(ip), probe: (ip) => probes.get(ip) };
  return derive<Ip, string, OwnerRow>({
    name: 'l2_owners',
    inputs: [
      ofAddress(vips),
      from<Ip, Ip, readonly Candidate[]>(candidates),
      from<Ip, Ip, string>(choices),
      from<Ip, string, unknown>(probes, (key) => [vips.get(key)?.ip].filter((ip) => ip !== undefined)),
      from<Ip, string, MemberRow>(peers, (_, row, before) => (row && before ? claimedIn(row, before) : every(options))),
    ],
    out: owners,
    whole: true,
    problems,
    compute: function* (ip) {
      const [vip, all] = [vips.get(ip), candidates.get(ip)];
      if (!vip || !all) return;
      const row = ownerOf(vip, all, choices.get(ip), input);
      yield [ip, row] as const;
      if (isFirst() || row.probes !== undefined) yield* problemsOf(row);
    },
  });
}

/** Addresses of which the node claims something else than before. */
function claimedIn(row: MemberRow, before: MemberRow): readonly Ip[] {
  if (row.claims === before.claims) return [];
  const known = new Map(before.claims.map((claim) => [claim.ip, claim]));
  const changed = row.claims.filter((claim) => !sameRow(claim, known.get(claim.ip)) || !known.delete(claim.ip)).map(({ ip }) => ip);
  return [...changed, ...known.keys()];
}

function cededIn(row: MemberRow | undefined, before: MemberRow | undefined): readonly Ip[] {
  return sameRow(row?.cedes, before?.cedes) ? [] : [...(row?.cedes ?? []), ...(before?.cedes ?? [])].map(({ ip }) => ip);
}

/** What peers claim, indexed once for each row of theirs. */
function claimsIn(peers: Table<string, MemberRow>): (node: string, ip: Ip) => Claim | undefined {
  const known = new WeakMap<MemberRow, ReadonlyMap<Ip, Claim>>();
  return (node, ip) => {
    const row = peers.get(node);
    if (!row) return undefined;
    const claims = known.get(row) ?? new Map(row.claims.map((claim) => [claim.ip, claim]));
    known.set(row, claims);
    return claims.get(ip);
  };
}

/** What `make` returns, made again when one of the tables has changed. */
function whileSame<T extends object>(tables: readonly Pick<Table<string, unknown>, 'changes'>[], make: () => T): () => T {
  const changes = tables.map((one) => one.changes());
  let made: T | undefined;
  return () => {
    const news = changes.map((one) => one.take().size).some((count) => count > 0);
    if (made === undefined || news) made = make();
    return made;
  };
}
