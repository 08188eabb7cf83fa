// SPDX-License-Identifier: Apache-2.0
// The tables of nodes and of this node's network, and how they follow from each other.
//
//   nodes (Kubernetes) ──┬── remote pods ────▶ ipcache       who is behind a remote address
//                        ├── endpoints ──────▶ routes        to other nodes' pods and to our own
//   interfaces (netlink) ┴─▶ uplinks ──┬─────▶ devices       masquerade addresses
//                                      ├─────▶ addresses     where node ports are: of the services' lb_addresses
//   hooks ─────────────────────────────┴─────▶ attachments   host_from, host_to, and the socket programs

import { derive, from } from '../base/derive.ts';
import type { Derivation } from '../base/derive.ts';
import { cidrText } from '../base/ip.ts';
import type { Cidr } from '../base/ip.ts';
import type { ProblemBook } from '../base/problem.ts';
import { sameRow } from '../base/same.ts';
import { table } from '../base/table.ts';
import type { Table, Writer } from '../base/table.ts';
import type { Attachment } from '../datapath/attachments.ts';
import type { MapEntry } from '../datapath/maps.ts';
import type { InterfaceRow } from '../datapath/network.ts';
import type { RouteRow } from '../datapath/routes.ts';
import type { Device } from '../datapath/schema.gen.ts';
import type { EndpointRow } from '../endpoints/endpoint.ts';
import type { RemotePod } from '../identities/facts.ts';
import { addressConflict, firstClaim } from './claims.ts';
import { ipcacheFor, nativeEntry, remotePodEntries } from './ipcache.ts';
import type { IpcacheRow } from './ipcache.ts';
import { podMtuEntry } from './mtu.ts';
import type { PodMtu } from './mtu.ts';
import type { NodeRow } from './node.ts';
import { nodeAddressesFor } from './node-ports.ts';
import type { NodeAddress } from './node-ports.ts';
import type { OptionLoss } from './option-paths.ts';
import { overlapProblem, overlapsOf } from './overlaps.ts';
import type { OverlapRow } from './overlaps.ts';
import { endpointRoutes, nodeRoutes } from './routes.ts';
import { deviceEntries, uplinkAttachments, uplinksFor } from './uplinks.ts';
import type { UplinkPrograms, UplinkRow } from './uplinks.ts';

export type NodeOptions = {
  /** Name of this node. */
  readonly self: string;
  /** Interface names from the values; empty: chosen. */
  readonly devices: readonly string[];
  readonly nativeRoutingCidrs: readonly Cidr[];
  /** Where node ports are; empty: chosen. */
  readonly nodePortPrefixes: readonly Cidr[];
  /** Of pods, from the values; undefined: the least of the uplinks. */
  readonly mtu: number | undefined;
  /** What pods get now, and why. Written here. */
  readonly podMtu: Table<'now', PodMtu>;
  readonly autoDirectNodeRoutes: boolean;
  /** directRoutingSkipUnreachable: a node on no segment of this one is none of its business. */
  readonly skipUnreachableNodes: boolean;
  readonly programs: UplinkPrograms;
  readonly endpoints: Table<string, EndpointRow>;
  readonly remotePods: Table<string, RemotePod>;
  readonly problems: ProblemBook;
};

export type NodeTables = {
  readonly nodes: Table<string, NodeRow>;
  readonly interfaces: Table<string, InterfaceRow>;
  readonly uplinks: Table<string, UplinkRow>;
  readonly addresses: Table<string, NodeAddress>;
  /** What is attached whatever the uplinks are: by name of the program. */
  readonly hooks: Writer<string, Attachment>;
  /** By node: where DSR by IP option would be lost. */
  readonly optionLosses: Table<string, OptionLoss>;
  readonly ipcache: Table<string, IpcacheRow>;
  readonly routes: Table<string, RouteRow>;
  readonly overlaps: Table<string, OverlapRow>;
  readonly deviceEntries: Table<string, MapEntry<number, Device>>;
  readonly attachments: Table<string, Attachment>;
  readonly derivations: readonly Derivation[];
};

type Key = `node ${string}` | `native ${string}` | `pod ${string}` | `endpoint ${string}` | `uplink ${string}` | `hook ${string}`;

export function nodeTables(options: NodeOptions): NodeTables {
  const { self, devices, endpoints, remotePods, programs, problems } = options;
  const same = { same: sameRow };
  const nodes = table<string, NodeRow>('nodes', same);
  const native = table<string, Cidr>('native_routing_cidrs', same);
  const interfaces = table<string, InterfaceRow>('interfaces', same);
  const uplinks = table<string, UplinkRow>('uplinks', same);
  const addresses = table<string, NodeAddress>('node_addresses', same);
  const hooks = table<string, Attachment>('hooks', same);
  const optionLosses = table<string, OptionLoss>('option_losses', same);
  const ipcache = table<string, IpcacheRow>('ipcache', same);
  const routes = table<string, RouteRow>('routes', same);
  const overlaps = table<string, OverlapRow>('pod_cidr_overlaps', same);
  const entries = table<string, MapEntry<number, Device>>('device_entries', same);
  const attachments = table<string, Attachment>('attachments', same);

  const nativeWriter = native.writer('config');
  for (const prefix of options.nativeRoutingCidrs) nativeWriter.put(cidrText(prefix), prefix);
  nativeWriter.complete();

  /** Everything that has to be computed again when this node's own addresses change. */
  const selfChanged = <I extends string>(keys: () => Iterable<I>) =>
    from<I, string, NodeRow>(nodes, (name) => (name === self ? keys() : []));
  const prefixed =
    (prefix: 'node' | 'native' | 'pod' | 'endpoint' | 'uplink' | 'hook') =>
    (key: string): Key[] => [`${prefix} ${key}`];
  const nameOf = (key: Key) => key.slice(key.indexOf(' ') + 1);

  const ipcacheOf = (key: Key) => {
    if (key.startsWith('pod ')) return remotePodEntries(remotePods.get(nameOf(key)));
    const prefix = native.get(nameOf(key));
    return key.startsWith('native ')
      ? prefix
        ? [nativeEntry(prefix)]
        : []
      : ipcacheFor(nodes.get(nameOf(key)), self, optionLosses.get(nameOf(key))?.families);
  };
  const routesOf = (key: Key) => {
    if (key.startsWith('endpoint ')) return endpointRoutes(endpoints.get(nameOf(key)), nodes.get(self)?.addresses ?? []);
    if (!options.autoDirectNodeRoutes || !interfaces.complete) return [];
    const segments = Array.from(interfaces.entries(), ([, row]) => row.segments).flat();
    return nodeRoutes(nodes.get(nameOf(key)), { self, segments, skip: options.skipUnreachableNodes });
  };
  const attachmentsOf = (key: Key): Iterable<readonly [string, Attachment]> => {
    const hook = hooks.get(nameOf(key));
    return key.startsWith('hook ') ? (hook ? [[nameOf(key), hook]] : []) : uplinkAttachments(uplinks.get(nameOf(key)), programs);
  };

  const prefer = firstClaim(({ kind, name }) => (kind === 'pod' ? remotePods.get(name) : nodes.get(name)));
  const allInterfaces = () => Array.from(interfaces.entries(), ([key]) => key);
  const localAddresses = () => Array.from(interfaces.entries(), ([, { addresses: own }]) => own.map((one) => one.ip)).flat();

  const derivations = [
    derive({
      name: 'uplinks',
      inputs: [
        from(interfaces, (key, row, before) => (sameRow(row?.addresses, before?.addresses) ? [key] : [key, ...allInterfaces()])),
        selfChanged(allInterfaces),
      ],
      out: uplinks.writer('uplinks'),
      whole: true,
      compute: (key: string) => uplinksFor(interfaces.get(key), nodes.get(self), { devices, local: localAddresses() }),
    }),
    derive({
      name: 'pod_mtu',
      inputs: [from(uplinks, () => ['now' as const])],
      out: options.podMtu.writer('pod_mtu'),
      whole: true,
      compute: () =>
        podMtuEntry(
          Array.from(uplinks.entries(), ([, uplink]) => uplink),
          options.mtu,
        ),
    }),
    derive({
      name: 'node_addresses',
      inputs: [from(uplinks), from(interfaces, () => Array.from(uplinks.entries(), ([name]) => name))],
      out: addresses.writer('node_addresses'),
      compute: (name: string) =>
        nodeAddressesFor(uplinks.get(name), interfaces.get(`${uplinks.get(name)?.index}`), options.nodePortPrefixes),
    }),
    derive({
      name: 'ipcache',
      inputs: [
        from(nodes, prefixed('node')),
        from(native, prefixed('native')),
        from(remotePods, prefixed('pod')),
        from(optionLosses, prefixed('node')),
      ],
      out: ipcache.writer('ipcache'),
      compute: ipcacheOf,
      problems,
      prefer,
      conflict: addressConflict,
    }),
    derive({
      name: 'routes',
      inputs: [
        from(nodes, prefixed('node')),
        from(endpoints, prefixed('endpoint')),
        selfChanged(() => Array.from(endpoints.entries(), ([key]): Key => `endpoint ${key}`)),
        from(interfaces, (_, row, before): Key[] =>
          sameRow(row?.segments, before?.segments) ? [] : Array.from(nodes.entries(), ([key]): Key => `node ${key}`),
        ),
      ],
      out: routes.writer('routes'),
      compute: routesOf,
      problems,
      prefer,
    }),
    derive({
      name: 'pod_cidr_overlaps',
      inputs: [from(nodes, (_, row, before): 'all'[] => (sameRow(row?.podCidrs, before?.podCidrs) ? [] : ['all']))],
      out: overlaps.writer('pod_cidr_overlaps'),
      *compute() {
        const rows = overlapsOf(Array.from(nodes.entries(), ([, node]) => node));
        for (const row of rows) yield* [[row.node, row] as const, overlapProblem(row)];
      },
      problems,
    }),
    derive({
      name: 'device_entries',
      inputs: [
        from(uplinks, (key, row, before) =>
          (row === undefined) === (before === undefined) ? [key] : [key, ...Array.from(uplinks.entries(), ([name]) => name)],
        ),
      ],
      out: entries.writer('device_entries'),
      compute: (key: string) => deviceEntries(uplinks.get(key), uplinks.size),
    }),
    derive({
      name: 'attachments',
      inputs: [from(uplinks, prefixed('uplink')), from(hooks, prefixed('hook'))],
      out: attachments.writer('attachments'),
      compute: attachmentsOf,
    }),
  ];
  return {
    nodes,
    interfaces,
    optionLosses,
    uplinks,
    addresses,
    hooks: hooks.writer('agent'),
    ipcache,
    routes,
    overlaps,
    deviceEntries: entries,
    attachments,
    derivations,
  };
}
