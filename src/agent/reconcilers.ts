// SPDX-License-Identifier: Apache-2.0
// Every target of the agent with the table that it is made equal to, in dependency order: what points comes after what it points at.

import { dirname } from 'node:path';
import { asyncReconciler } from '../base/reconcile-async.ts';
import type { AsyncReconciler } from '../base/reconcile-async.ts';
import { cidr, cidrText } from '../base/ip.ts';
import type { ReconcilerOptions } from '../base/ledger.ts';
import { reconciler } from '../base/reconcile.ts';
import type { Reconciler } from '../base/reconcile.ts';
import type { Table } from '../base/table.ts';
import { announcementTarget } from '../datapath/announcements.ts';
import { attachmentTarget, sameAttachment } from '../datapath/attachments.ts';
import { leaseLasts } from '../datapath/lease.ts';
import { mapKinds, mapTarget } from '../datapath/maps.ts';
import type { MapEntry, MapKind } from '../datapath/maps.ts';
import type { Loss } from '../datapath/network.ts';
import { podFilterTarget } from '../datapath/pod-filters.ts';
import { podLinkTarget, samePodLink } from '../datapath/pod-links.ts';
import type { Datapath } from '../datapath/programs.ts';
import { reservedPorts, reservedPortsTarget } from '../datapath/reserved-ports.ts';
import type { PortRange } from '../datapath/reserved-ports.ts';
import { routeTarget } from '../datapath/routes.ts';
import { sysctlTable, sysctlTarget } from '../datapath/sysctls.ts';
import type { EndpointTables } from '../endpoints/tables.ts';
import type { NetlinkSocket } from '../kernel/socket.ts';
import type { L2Tables } from '../l2/tables.ts';
import type { NodeTables } from '../nodes/tables.ts';
import type { SkipTables } from '../redirects/tables.ts';
import type { ServiceTables } from '../services/tables.ts';
import type { CniOptions } from './cni.ts';
import { endpointFileTarget } from './endpoint-files.ts';
import { HANDOVER_MS } from './succession.ts';

export type Reconcilers = {
  readonly walks: readonly (readonly Reconciler[])[];
  readonly attachments: AsyncReconciler;
  /** What this node answers for on its segments. */
  readonly answers: Reconciler;
  readonly announcements: Reconciler;
  /** Those that somebody else's hand on the node's network may reach. */
  readonly lost: (loss: Loss) => void;
  /** Those that an endpoint depends on. */
  readonly needs: CniOptions['needs'];
  readonly leaving: CniOptions['leaving'];
};

export type Everything = {
  readonly datapath: Datapath;
  readonly netlink: NetlinkSocket;
  readonly services: ServiceTables;
  readonly skips: SkipTables;
  readonly nodes: NodeTables;
  readonly endpoints: EndpointTables;
  readonly l2: L2Tables;
  readonly signal: AbortSignal;
  /** Kept from sockets that ask for any port; undefined: none. */
  readonly protectedPorts: PortRange | undefined;
  /** Directory of endpoint files. */
  readonly state: string;
  /** Directory of pinned links. */
  readonly links: string;
};

function l2Reconcilers(l2: L2Tables, datapath: Datapath, signal: AbortSignal): Pick<Reconcilers, 'answers' | 'announcements'> {
  const answers = reconciler(l2.answers, mapTarget(mapKinds.l2Answers, datapath.map('l2_answers')));
  const target = announcementTarget(signal, () => leaseLasts(datapath.map('l2_lease')));
  return { answers, announcements: reconciler(l2.announcements, target, { waitsFor: answers.trouble }) };
}

export function reconcilersOf(everything: Everything): Reconcilers {
  const { datapath, netlink, services, skips, nodes, endpoints, l2, state, links, signal } = everything;
  const map: MapOf = (table, kind, options) => reconciler(table, mapTarget(kind, datapath.map(kind.name)), options);
  const swap = () => datapath.swap(HANDOVER_MS);
  const files = reconciler(endpoints.endpoints, endpointFileTarget(state), { staysFor: (key) => podLinks.leaving(key) !== undefined });
  const podLinks: Reconciler = reconciler(endpoints.podLinks, podLinkTarget(netlink), {
    same: samePodLink,
    waitsFor: (key) => files.trouble(key),
  });
  const podFilters = reconciler(endpoints.podFilters, podFilterTarget(netlink, datapath.programs, swap), {
    waitsFor: (key) => podLinks.trouble(key),
  });
  const podOf = (address: string) =>
    [...endpoints.endpoints.by('address', address)]
      .map((endpoint) => podFilters.trouble(endpoint.hostInterface))
      .find((trouble) => trouble !== undefined);
  const entries = map(endpoints.entries, mapKinds.endpoints, { waitsFor: podOf });
  const routes = reconciler(nodes.routes, routeTarget(netlink));
  const announced = l2Reconcilers(l2, datapath, signal);
  return {
    walks: [
      ...settings(everything),
      [files, podLinks, podFilters, entries],
      [routes],
      [map(endpoints.sockExempt, mapKinds.sockExempt)],
      [map(nodes.ipcache, mapKinds.ipcache), map(nodes.deviceEntries, mapKinds.devices)],
      serviceMaps({ ...services, ...skips }, map),
      [announced.answers, announced.announcements],
    ],
    ...announced,
    attachments: asyncReconciler(nodes.attachments, attachmentTarget(links, datapath.programs, swap), { same: sameAttachment }),
    lost: (loss) => doubtLost(loss, { endpoints, nodes, routes, podLinks, podFilters }),
    leaving: (key) => podLinks.leaving(key),
    needs: [
      ...[files, podLinks, podFilters].map((one) => ({
        reconciler: one,
        keysOf: ({ hostInterface }: { readonly hostInterface: string }) => [hostInterface],
      })),
      { reconciler: entries, keysOf: ({ addresses }) => addresses },
    ],
  };
}

type MapOf = <K, V>(table: Table<string, MapEntry<K, V>>, kind: MapKind<K, V>, options?: ReconcilerOptions<MapEntry<K, V>>) => Reconciler;

/** Where a map is full what points at an entry that it did not take waits: a Service that grew goes on with the backends that it had. */
function serviceMaps(
  { frontends, slots, lbSkips, ...services }: ServiceTables & Pick<SkipTables, 'lbSkips'>,
  map: MapOf,
): readonly Reconciler[] {
  const lbBackends = map(services.lbBackends, mapKinds.lbBackends);
  const backendOf = (key: string) => [String(services.lbSlots.get(key)?.value.backend)];
  const lbSlots = map(services.lbSlots, mapKinds.lbSlots, { waitsFor: (key) => refusedIn([lbBackends], () => backendOf(key)) });
  const slotKeys = (set: string | undefined) => {
    const { id = 0, backends = [] } = (set === undefined ? undefined : slots.get(set)) ?? {};
    return backends.map((_, slot) => mapKinds.lbSlots.text({ service: id, slot }));
  };
  const slotsOf = (key: string) => [frontends.get(key)?.set, frontends.get(key)?.outside].flatMap(slotKeys);
  return [
    lbBackends,
    map(services.lbMembers, mapKinds.lbMembers),
    map(services.lbSourceRanges, mapKinds.lbSourceRanges),
    lbSlots,
    map(services.lbMaglevParts, mapKinds.lbMaglevParts),
    map(services.lbMaglev, mapKinds.lbMaglev),
    map(lbSkips, mapKinds.lbSkips),
    map(services.lbServices, mapKinds.lbServices, { waitsFor: (key) => refusedIn([lbSlots, lbBackends], () => slotsOf(key)) }),
    map(services.lbAddresses, mapKinds.lbAddresses),
  ];
}

/** The trouble of the first of these keys of the first map. Nearly always all maps took all, and nobody has to name keys. */
function refusedIn(maps: readonly [Reconciler, ...Reconciler[]], keys: () => readonly string[]): string | undefined {
  const [one] = maps;
  if (maps.every(({ status }) => status.refused.size === 0)) return undefined;
  return keys()
    .map((key) => one.trouble(key))
    .find((trouble) => trouble !== undefined);
}

function settings({ state, protectedPorts }: Everything): readonly (readonly Reconciler[])[] {
  const reserved = reservedPorts(protectedPorts);
  return [[reconciler(sysctlTable(), sysctlTarget(dirname(state)))], [reconciler(reserved, reservedPortsTarget(reserved))]];
}

type Losers = Pick<Everything, 'endpoints' | 'nodes'> & {
  readonly routes: Reconciler;
  readonly podLinks: Reconciler;
  readonly podFilters: Reconciler;
};

/** What is wanted and yet gone is written again; what we removed ourselves is not wanted by then. */
function doubtLost(loss: Loss, { endpoints, nodes, routes, podLinks, podFilters }: Losers): void {
  if (loss.kind === 'anything') {
    for (const one of [routes, podLinks, podFilters]) one.refresh();
  } else if (loss.kind === 'routes') {
    routes.refresh();
  } else if (loss.kind === 'route') {
    const key = cidrText(loss.destination);
    if (nodes.routes.has(key)) routes.doubt(key);
  } else {
    for (const [key, endpoint] of endpoints.endpoints.entries()) {
      if (endpoint.interfaceIndex !== loss.link) continue;
      podFilters.doubt(key);
      if (loss.kind === 'pod filter') continue;
      podLinks.doubt(key);
      for (const address of endpoint.addresses) routes.doubt(cidrText(cidr(address)));
    }
  }
}
