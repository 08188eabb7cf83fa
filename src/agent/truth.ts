// SPDX-License-Identifier: Apache-2.0
// Whether an address is really found on the segment: two other nodes ask for it once a second, as a client would, and tell everybody what
// they saw. An owner that is not found writes its answers again and announces anew.

import type { Ip } from '../base/ip.ts';
import { familyOf } from '../base/ip.ts';
import { problem } from '../base/problem.ts';
import type { Problem } from '../base/problem.ts';
import { knockPort } from '../l2/knocks.ts';
import { isConnected, sightsOf } from '../l2/members.ts';
import type { MemberRow } from '../l2/members.ts';
import { missingText } from '../l2/reachable.ts';
import { score } from '../l2/owners.ts';
import type { OwnerRow } from '../l2/owners.ts';
import type { L2Tables } from '../l2/tables.ts';
import type { NodeTables } from '../nodes/tables.ts';
import type { ServiceTables } from '../services/tables.ts';
import type { Asker, Question } from './asker.ts';
import { doorOf } from './knocker.ts';
import type { Knocker } from './knocker.ts';

export type TruthOptions = {
  readonly self: string;
  readonly l2: L2Tables;
  readonly nodes: Pick<NodeTables, 'uplinks' | 'interfaces'>;
  readonly services: Pick<ServiceTables, 'services' | 'slices'>;
  readonly asker: Asker;
  readonly knocker: Knocker;
  /** Writes the answer again, and announces the address anew. */
  readonly heal: (row: OwnerRow) => void;
  /** Lets another node have it, for so long. */
  readonly cede: (ip: Ip, why: string, ms: number) => void;
};

const WITNESSES = 2;
const TIMES = 2;
const EACH_MS = 200;
/** In a row, before an address counts as not found: frames get lost. */
const MISSES = 3;
/** Turns after healing. */
const HANDS_OVER_AFTER = 5;
const CEDES_MS = 600_000;

type Test = { readonly question: Question & { readonly source: Ip }; readonly port: number | undefined };

/** To be called once a second; what it returns is wrong with this node's own addresses. */
export function truthOf(options: TruthOptions): () => readonly Problem[] {
  const { l2, asker, knocker, services } = options;
  const sights = l2.sights.writer('truth');
  sights.complete();
  const misses = new Map<Ip, number>();
  const underWay = new Set<Ip>();
  const lostFor = new Map<Ip, number>();
  const look = async (row: OwnerRow, { question, port }: Test, macs: ReadonlySet<string>) => {
    underWay.add(row.ip);
    const mac = await asker.ask(question, TIMES, EACH_MS);
    const isOwners = mac !== undefined && macs.has(mac);
    const serves = !isOwners || port === undefined || (await knocker.knock({ ...question, port, to: mac }));
    underWay.delete(row.ip);
    const now = l2.owners.get(row.ip);
    if (now?.owner !== row.owner) return; // it has moved meanwhile
    const failed = isOwners && serves ? 0 : (misses.get(row.ip) ?? 0) + 1;
    misses.set(row.ip, failed);
    const missing = serves ? {} : { missing: `TCP port ${port}` };
    if (failed === 0 || failed >= MISSES) sights.put(row.ip, { ip: row.ip, found: failed === 0, ...missing });
  };
  return () => {
    const members = [l2.self(), ...Array.from(l2.peers.entries(), ([, row]) => row)];
    const mine = new Set<string>();
    const doors = new Set<string>();
    const lost: Problem[] = [];
    for (const [, row] of l2.owners.entries()) {
      if (row.held) lost.push(...healIfLost(row, members, lostFor, options));
      else lostFor.delete(row.ip);
      const question = questionFor(row, members, options);
      if (question === undefined) continue;
      mine.add(row.ip);
      const port = knockPort(row, services);
      if (port !== undefined) doors.add(doorOf(row.ip, port));
      const owner = members.find(({ node }) => node === row.owner);
      if (!underWay.has(row.ip)) void look(row, { question, port }, new Set(owner?.interfaces.flatMap(({ mac }) => mac ?? [])));
    }
    knocker.keep(doors);
    for (const [ip] of l2.sights.entries()) if (!mine.has(ip)) sights.delete(ip);
    for (const ip of misses.keys()) if (!mine.has(ip)) misses.delete(ip);
    return lost;
  };
}

/**
 * Heals at once, and hands over where that did not help: not on the word of one, who may be cut off himself, and not again within ten
 * minutes, so that what no node cures does not wander. `lostFor`: turns since it was found last.
 */
function healIfLost(
  row: OwnerRow,
  members: readonly MemberRow[],
  lostFor: Map<Ip, number>,
  { self, heal, cede }: TruthOptions,
): readonly Problem[] {
  const sights = sightsOf(row.ip, members);
  if (sights.length === 0 || sights.some(({ found }) => found)) {
    lostFor.delete(row.ip);
    return [];
  }
  const turns = lostFor.get(row.ip) ?? 0;
  lostFor.set(row.ip, turns + 1);
  const witnesses = sights.map(({ from }) => from).join(' and ');
  if (turns === 0) heal(row);
  if (turns === HANDS_OVER_AFTER && sights.length >= WITNESSES) cede(row.ip, `is not where ${witnesses} find it`, CEDES_MS);
  return row.services.map((service) =>
    problem({
      object: `Service ${service}`,
      reason: 'NotReachable',
      message: `${witnesses} ask for ${row.ip} on the LAN and do not find it at ${self}, which answers for it${missingText(sights)}`,
      advice: `Look at the switch port and the filters between these nodes for ARP, neighbour discovery or TCP that is dropped`,
    }),
  );
}

/** Undefined: it is others who ask, or this node is not on the segment. */
function questionFor({ ip, owner }: OwnerRow, members: readonly MemberRow[], { self, nodes }: TruthOptions): Test['question'] | undefined {
  if (owner === undefined || owner === self) return undefined;
  const able = members.filter(
    ({ node, interfaces }) => node !== owner && interfaces.some((one) => isConnected(one, ip) && one.fault === undefined),
  );
  const witnesses = able.toSorted((a, b) => score(b.node, ip) - score(a.node, ip)).slice(0, WITNESSES);
  if (!witnesses.some(({ node }) => node === self)) return undefined;
  for (const [, { index }] of nodes.uplinks.entries()) {
    const row = nodes.interfaces.get(String(index));
    if (row?.mac === undefined) continue;
    const source = row.addresses.find((address) => familyOf(address.ip) === familyOf(ip));
    const prefixes = row.addresses.map((address) => `${address.ip}/${address.bits}`);
    if (source && isConnected({ prefixes }, ip)) return { ip, interfaceIndex: index, mac: row.mac, source: source.ip };
  }
  return undefined;
}
