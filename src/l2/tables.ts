// SPDX-License-Identifier: Apache-2.0
// The tables of announcements and how they follow from each other.
//
//   services, slices, policies ─▶ vips ──┐
//   announcers (Kubernetes) ─────────────┼─▶ owners ─┬─▶ l2_answers     the map
//   peers (heartbeats), interfaces ──────┘           └─▶ announcements  told to everybody on the segment

import { derive, from } from '../base/derive.ts';
import type { Derivation } from '../base/derive.ts';
import type { Ip } from '../base/ip.ts';
import type { ProblemBook } from '../base/problem.ts';
import { sameRow } from '../base/same.ts';
import { table } from '../base/table.ts';
import type { Table } from '../base/table.ts';
import { mapEntry, mapKinds } from '../datapath/maps.ts';
import type { MapEntry } from '../datapath/maps.ts';
import type { InterfaceRow } from '../datapath/network.ts';
import type { L2Answer, L2Key } from '../datapath/schema.gen.ts';
import type { AnnouncementRow } from '../datapath/announcements.ts';
import type { NodeTables } from '../nodes/tables.ts';
import type { ServiceTables } from '../services/tables.ts';
import type { AnnouncerRow } from './announcers.ts';
import { conditionsFor } from './conditions.ts';
import type { PolicyCondition } from './conditions.ts';
import type { Cession, Claim, MemberInterface, MemberRow, Sight } from './members.ts';
import { ownership } from './ownership.ts';
import type { OwnerRow, ProbeRow } from './owners.ts';
import type { PolicyRow } from './policy.ts';
import { reachableFor, toBeFound } from './reachable.ts';
import type { Reachable } from './reachable.ts';
import { vipsFor } from './vips.ts';
import type { VipRow } from './vips.ts';

export type L2Tables = {
  readonly policies: Table<string, PolicyRow>;
  readonly announcers: Table<string, AnnouncerRow>;
  /** Other nodes that are heard; complete when everybody had time to answer. */
  readonly peers: Table<string, MemberRow>;
  /** The interfaces of this node on which somebody listens, by name. */
  readonly segments: Table<string, SegmentRow>;
  /** Whether other hosts have addresses that nobody has answered for yet. */
  readonly probes: Table<string, ProbeRow>;
  /** What this node sees of others' addresses. */
  readonly sights: Table<string, Sight>;
  /** Addresses that this node would rather have others answer for. */
  readonly cedes: Table<string, Cession>;
  readonly vips: Table<string, VipRow>;
  readonly owners: Table<string, OwnerRow>;
  readonly answers: Table<string, MapEntry<L2Key, L2Answer>>;
  readonly announcements: Table<string, AnnouncementRow>;
  readonly conditions: Table<string, readonly PolicyCondition[]>;
  readonly reachable: Table<string, Reachable>;
  readonly derivations: readonly Derivation[];
  /** This node as others should know it. */
  readonly self: () => MemberRow;
};

/** `fault`: why it cannot be used, as far as netlink does not say so; `doubt`: why others come first. */
export type SegmentRow = { readonly fault: string | undefined; readonly doubt: string | undefined };

export type L2Options = {
  readonly self: string;
  readonly services: Pick<ServiceTables, 'services' | 'slices'>;
  readonly nodes: Pick<NodeTables, 'uplinks' | 'interfaces'>;
  /** What this node answered for when its agent ended, if it still does. */
  readonly before: readonly Claim[];
  readonly problems: ProblemBook;
};

const same = { same: sameRow };

export function l2Tables({ self, services, nodes, before, problems }: L2Options): L2Tables {
  const policies = table<string, PolicyRow>('l2_policies', same);
  const announcers = table<string, AnnouncerRow>('l2_announcers', same);
  const peers = table<string, MemberRow>('l2_peers', same);
  const segments = table<string, SegmentRow>('l2_segments', same);
  const probes = table<string, ProbeRow>('l2_probes', same);
  const sights = table<string, Sight>('l2_sights', same);
  const cedes = table<string, Cession>('l2_cedes', same);
  const vips = table<string, VipRow>('vips', same);
  const owners = table<string, OwnerRow>('l2_owners', { ...same, indexes: { service: ({ services: names }) => names } });
  const answers = table<string, MapEntry<L2Key, L2Answer>>('l2_answer_entries', same);
  const announcements = table<string, AnnouncementRow>('l2_announcements', same);
  const conditions = table<string, readonly PolicyCondition[]>('l2_conditions', same);
  const reachable = table<string, Reachable>('l2_reachable', same);
  /** Of several that would say the same. */
  const isFirst = () => Array.from(peers.entries()).every(([node]) => self < node);

  const known = (claims: readonly Claim[]): MemberRow => {
    const rows = <R>(from: Table<string, R>) => Array.from(from.entries(), ([, row]) => row);
    return { node: self, interfaces: interfacesOf(nodes, segments), claims, sights: rows(sights), cedes: rows(cedes) };
  };
  const earlier = new Map(before.map((claim) => [claim.ip, claim]));
  const claimOf = (ip: Ip): Claim | undefined => {
    if (!owners.complete) return earlier.get(ip);
    const one = owners.get(ip)?.held;
    return one && { ip, epoch: one.epoch, level: one.level };
  };
  const me = (): MemberRow => {
    const claims = Array.from(owners.entries(), ([, { ip }]) => claimOf(ip)).filter((one) => one !== undefined);
    return known(owners.complete ? claims : before);
  };
  const ofIp = () => Array.from(vips.entries(), ([address]) => address);
  const vipKeys = (
    row: { readonly external: { readonly ingressIps: readonly Ip[]; readonly externalIps: readonly Ip[] } | undefined } | undefined,
  ) => [...(row?.external?.ingressIps ?? []), ...(row?.external?.externalIps ?? [])];
  const held = <R>(source: Table<string, R>) => from<string, string, R>(source, () => Array.from(owners.entries(), ([address]) => address));
  const derivations = [
    derive({
      name: 'vips',
      inputs: [
        from(services.services, (_, row, last) => [...vipKeys(row), ...vipKeys(last)]),
        from(services.slices, (_, row, last) =>
          [row, last].flatMap((slice) => (slice ? vipKeys(services.services.get(slice.service)) : [])),
        ),
        from<Ip, string, PolicyRow>(policies, () => ofIp().map((address) => address as Ip)), // keys of `vips` are addresses
      ],
      out: vips.writer('vips'),
      whole: true,
      compute: (address) => vipsFor(address, { ...services, policies }),
    }),
    ...ownership({
      self,
      l2: { policies, announcers, peers, segments, probes, cedes, vips },
      nodes,
      owners: owners.writer('l2_owners'),
      me: () => known([]),
      own: claimOf,
      isFirst,
      problems,
    }),
    derive({
      name: 'l2_conditions',
      inputs: [from(policies), from(peers, () => Array.from(policies.entries(), ([name]) => name))],
      out: conditions.writer('l2_conditions'),
      whole: true,
      compute: (name: string) => conditionsFor(policies.get(name), isFirst()),
    }),
    derive({
      name: 'l2_reachable',
      inputs: [
        from(owners, (_, row, last) => [...(row?.services ?? []), ...(last?.services ?? [])]),
        from(peers, () => Array.from(owners.entries(), ([, row]) => row.services).flat()),
      ],
      out: reachable.writer('l2_reachable'),
      whole: true,
      compute: (service: string) => {
        return reachableFor(service, toBeFound(owners, service), {
          peers: Array.from(peers.entries(), ([, row]) => row),
          isFirst: isFirst(),
        });
      },
    }),
    derive({
      name: 'l2_answers',
      inputs: [from(owners), held(nodes.uplinks), held(nodes.interfaces)],
      out: answers.writer('l2_answers'),
      compute: (address: string) => answersFor(owners.get(address), nodes),
    }),
    derive({
      name: 'l2_announcements',
      inputs: [from(owners), held(nodes.uplinks), held(nodes.interfaces)],
      out: announcements.writer('l2_announcements'),
      compute: (address: string) => announcementsFor(owners.get(address), nodes),
    }),
  ];
  return {
    policies,
    announcers,
    peers,
    segments,
    probes,
    sights,
    cedes,
    vips,
    owners,
    answers,
    announcements,
    conditions,
    reachable,
    derivations,
    self: me,
  };
}

function interfacesOf({ uplinks, interfaces }: L2Options['nodes'], segments: L2Tables['segments']): readonly MemberInterface[] {
  const rows = Array.from(uplinks.entries(), ([, { index }]) => interfaces.get(String(index))).filter((row) => row !== undefined);
  return rows.map(({ name, mac, addresses, carrier }) => ({
    name,
    mac,
    prefixes: addresses.map(({ ip, bits }) => `${ip}/${bits}`),
    fault: carrier ? faultOn(segments.get(name)) : 'no carrier',
    ...doubtOn(segments.get(name)),
  }));
}

function faultOn(segment: SegmentRow | undefined): string | undefined {
  return segment === undefined ? 'it has just come up' : segment.fault;
}

function doubtOn(segment: SegmentRow | undefined): Pick<MemberInterface, 'doubt'> {
  return segment?.doubt === undefined ? {} : { doubt: segment.doubt };
}

type Place = { readonly name: string; readonly index: number; readonly mac: NonNullable<InterfaceRow['mac']> };

/** Where this node answers for an address. */
function placesOf({ held }: OwnerRow, { uplinks, interfaces }: L2Options['nodes']): readonly Place[] {
  return (held?.interfaces ?? []).flatMap((name) => {
    const row = interfaces.get(String(uplinks.get(name)?.index));
    return row?.mac === undefined ? [] : [{ name, index: row.index, mac: row.mac }];
  });
}

function* answersFor(row: OwnerRow | undefined, nodes: L2Options['nodes']): Iterable<readonly [string, MapEntry<L2Key, L2Answer>]> {
  if (!row?.held) return;
  for (const { index, mac } of placesOf(row, nodes))
    yield mapEntry(mapKinds.l2Answers, { address: row.ip, interfaceIndex: index }, { epoch: row.held.epoch, mac });
}

function* announcementsFor(row: OwnerRow | undefined, nodes: L2Options['nodes']): Iterable<readonly [string, AnnouncementRow]> {
  if (!row?.held) return;
  const { ip, held, rivals } = row;
  for (const { name, index, mac } of placesOf(row, nodes))
    yield [`${ip}%${index}`, { ip, interface: name, interfaceIndex: index, mac, epoch: held.epoch, rivals: rivals.length }];
}
