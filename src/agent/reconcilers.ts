// SPDX-License-Identifier: Apache-2.0
// Every target of the agent with the table that it is made equal to, in dependency order: what points comes after what it points at.

import { asyncReconciler, type AsyncReconciler } from '../base/reconcile-async.ts';
import { reconciler, type Reconciler } from '../base/reconcile.ts';
import type { Table } from '../base/table.ts';
import { attachmentTarget, sameAttachment } from '../datapath/attachments.ts';
import { mapKinds, mapTarget, type MapEntry, type MapKind } from '../datapath/maps.ts';
import { podFilterTarget } from '../datapath/pod-filters.ts';
import { podLinkTarget, samePodLink } from '../datapath/pod-links.ts';
import type { Datapath } from '../datapath/programs.ts';
import { routeTarget } from '../datapath/routes.ts';
import { sysctlTable, sysctlTarget } from '../datapath/sysctls.ts';
import type { EndpointTables } from '../endpoints/tables.ts';
import type { NetlinkSocket } from '../kernel/socket.ts';
import type { NodeTables } from '../nodes/tables.ts';
import type { ServiceTables } from '../services/tables.ts';
import type { CniOptions } from './cni.ts';
import { endpointFileTarget } from './endpoint-files.ts';

export type Reconcilers = {
  readonly walks: readonly (readonly Reconciler[])[];
  readonly attachments: AsyncReconciler;
  /** Those that an endpoint depends on. */
  readonly needs: CniOptions['needs'];
};

export type Everything = {
  readonly datapath: Datapath;
  readonly netlink: NetlinkSocket;
  readonly services: ServiceTables;
  readonly nodes: NodeTables;
  readonly endpoints: EndpointTables;
  /** Directory of endpoint files. */
  readonly state: string;
  /** Directory of pinned links. */
  readonly links: string;
};

export function reconcilersOf({ datapath, netlink, services, nodes, endpoints, state, links }: Everything): Reconcilers {
  const map = <K, V>(table: Table<string, MapEntry<K, V>>, kind: MapKind<K, V>) => reconciler(table, mapTarget(kind, datapath.map(kind.name)));
  const files = reconciler(endpoints.endpoints, endpointFileTarget(state));
  const podLinks = reconciler(endpoints.podLinks, podLinkTarget(netlink), { same: samePodLink });
  const podFilters = reconciler(endpoints.podFilters, podFilterTarget(netlink, datapath.programs));
  const entries = map(endpoints.entries, mapKinds.endpoints);
  return {
    walks: [
      [reconciler(sysctlTable(), sysctlTarget())],
      [files, podLinks, podFilters, entries],
      [reconciler(nodes.routes, routeTarget(netlink))],
      [map(nodes.ipcache, mapKinds.ipcache), map(nodes.deviceEntries, mapKinds.devices)],
      [map(services.lbBackends, mapKinds.lbBackends), map(services.lbSlots, mapKinds.lbSlots), map(services.lbServices, mapKinds.lbServices), map(services.lbAddresses, mapKinds.lbAddresses)],
    ],
    attachments: asyncReconciler(nodes.attachments, attachmentTarget(links, datapath.programs), { same: sameAttachment }),
    needs: [
      ...[files, podLinks, podFilters].map((one) => ({ reconciler: one, keysOf: ({ hostInterface }: { readonly hostInterface: string }) => [hostInterface] })),
      { reconciler: entries, keysOf: ({ addresses }) => addresses },
    ],
  };
}
