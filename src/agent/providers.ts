// SPDX-License-Identifier: Apache-2.0
// What the agent tells of itself: reads tables and reconcilers at the moment somebody asks.

import type { AsyncReconciler } from '../base/reconcile-async.ts';
import { cidrContains, cidrText, familyOf } from '../base/ip.ts';
import type { ProblemBook } from '../base/problem.ts';
import type { ReconcilerStatus } from '../base/ledger.ts';
import type { Reconciler } from '../base/reconcile.ts';
import type { Table } from '../base/table.ts';
import { configDefaults } from '../datapath/schema.gen.ts';
import type { EndpointTables } from '../endpoints/tables.ts';
import { labelList } from '../identities/labels.ts';
import type { IdentityTables } from '../identities/tables.ts';
import { usableSize } from '../ipam/addresses.ts';
import type { BpfMap } from '../kernel/map.ts';
import type { Source } from '../kube/source.ts';
import type { L2Tables } from '../l2/tables.ts';
import type { NodeTables } from '../nodes/tables.ts';
import { uplinkReason } from '../nodes/uplink-reason.ts';
import { frontendKey } from '../services/frontends.ts';
import type { SetKey } from '../services/frontends.ts';
import type { RedirectTables, SkipTables } from '../redirects/tables.ts';
import type { ServiceTables } from '../services/tables.ts';
import type { ControllerRow, Health, ProblemRow, Providers, ServiceRow, StatusReport } from './api-types.ts';
import type { Config } from './config.ts';
import type { Sweep } from './conntrack-sweep.ts';
import type { Drops } from './drops.ts';
import type { Flows } from './flows.ts';
import { ipList, nodeList, traceAnswer } from './lists.ts';
import type { MapUsage } from './map-usage.ts';
import { budgetOf, mtuOf } from './pod-network.ts';
import { redirectRows } from './redirects.ts';
import { version } from './version.ts';
import type { Vips } from './vips.ts';

export type Insides = {
  readonly config: Config;
  readonly self: string;
  readonly services: ServiceTables;
  readonly redirects: RedirectTables;
  readonly skips: SkipTables;
  /** Network namespace of the node. */
  readonly hostCookie: bigint;
  readonly nodes: NodeTables;
  readonly endpoints: EndpointTables;
  readonly identities: IdentityTables;
  readonly l2: L2Tables;
  readonly problems: ProblemBook;
  readonly reconcilers: readonly Reconciler[];
  /** Programs on uplinks and on the cgroup. */
  readonly attachments: AsyncReconciler;
  /** Those whose targets answer later. */
  readonly slow: readonly AsyncReconciler[];
  readonly sources: readonly Source[];
  readonly maps: readonly BpfMap[];
  readonly usage: MapUsage;
  readonly sweep: Sweep;
  readonly drops: Drops;
  readonly flows: Flows | undefined;
  readonly vips: Vips;
  readonly health: () => { readonly healthy: boolean; readonly reason: string | undefined };
  readonly kubernetes: () => Promise<Health>;
  /** What the operator has reported. */
  readonly operatorProblems: () => Promise<readonly ProblemRow[]>;
  readonly cni: () => Health;
};

export function providersOf(insides: Insides): Providers {
  const { services, nodes, endpoints, identities, problems, reconcilers, attachments, drops } = insides;
  const tables = tablesOf(insides);
  return {
    status: () => statusOf(insides),
    services: () => serviceRows(services),
    redirects: () => redirectRows(insides),
    vips: () => insides.vips.rows(),
    endpoints: () =>
      Array.from(endpoints.endpoints.entries(), ([key, { id, namespace, pod, addresses }]) => {
        const who = identities.endpointIdentities.get(key);
        return {
          id,
          pod: `${namespace}/${pod}`,
          policyIngress: 'Disabled' as const,
          policyEgress: 'Disabled' as const,
          identity: who?.identity,
          labels: who?.labels === undefined ? ['reserved:init'] : labelList(who.labels),
          ipv4: addresses.find((address) => familyOf(address) === 4),
          ipv6: addresses.find((address) => familyOf(address) === 6),
          state: 'ready',
        };
      }),
    nodes: () => nodeList(insides),
    ips: () => ipList(insides),
    trace: (question) => traceAnswer(question, insides),
    tables: () => tables.map(({ name, size, complete }) => ({ name, rows: size, complete })),
    table: (name) =>
      tables.find((one) => one.name === name) &&
      Array.from(tables.find((one) => one.name === name)?.entries() ?? [], ([key, row]) => ({ key, row })),
    differences: async () =>
      [...reconcilers.flatMap((one) => one.differences()), ...(await attachments.differences())].map((difference) => ({
        ...difference,
        wanted: undefined,
        found: undefined,
      })),
    problems: async () => [
      ...Array.from(problems.table.entries(), ([, { object, reason, message, advice }]) => ({ object, reason, message, advice })),
      ...(await insides.operatorProblems()),
    ],
    drops: () => drops.recent().map((drop) => ({ ...drop, interface: interfaceName(drop.interfaceIndex, nodes, endpoints) })),
    followDrops: (listener, signal) =>
      drops.follow((drop) => listener({ ...drop, interface: interfaceName(drop.interfaceIndex, nodes, endpoints) }), signal),
  };
}

function tablesOf({ services, redirects, skips, nodes, endpoints, identities, l2, problems }: Insides): readonly Table<string, unknown>[] {
  const groups = [services, { policies: redirects.policies, pods: redirects.pods }, skips, nodes, endpoints, identities, l2].flatMap(
    (group): unknown[] => Object.values(group),
  );
  const found = groups.filter(
    (value): value is Table<string, unknown> =>
      typeof value === 'object' && value !== null && 'entries' in value && 'complete' in value && 'size' in value,
  );
  return [...found, nodes.hooks.table, problems.table].toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

function interfaceName(index: number, nodes: NodeTables, endpoints: EndpointTables): string {
  const uplink = nodes.interfaces.get(String(index))?.name;
  if (uplink !== undefined) return uplink;
  for (const [, endpoint] of endpoints.endpoints.entries()) if (endpoint.interfaceIndex === index) return endpoint.hostInterface;
  return String(index);
}

/** A frontend that serves clients inside the cluster by other backends than those on the wire has two rows, '/i' the former. */
function serviceRows(tables: ServiceTables): ServiceRow[] {
  const byId = new Map(Array.from(tables.backendIds.entries(), ([key, { id }]) => [id, key]));
  const redirected = Array.from(tables.redirects.entries()).flatMap(([key, { set, service, policy }]) =>
    serves(set, tables) && tables.frontends.get(key)?.service === service
      ? [{ ...scopeOf(tables, set, byId), service: service ?? policy, frontend: key, type: 'LocalRedirect' as const }]
      : [],
  );
  const keys = new Set(redirected.map(({ frontend }) => frontend));
  const usual = Array.from(tables.frontends.entries(), ([key, { service, type, set: inside, outside }]) => {
    const set = keys.has(key) ? undefined : inside;
    const only = outside ?? set;
    const first = only === undefined ? [] : [{ ...scopeOf(tables, only, byId), service, frontend: key, type }];
    if (set === undefined || set === only) return first;
    return [...first, { ...scopeOf(tables, set, byId), service, frontend: `${key}/i`, type }];
  });
  return [...usual.flat(), ...redirected].toSorted((a, b) => a.id - b.id);
}

function serves(set: SetKey, { slots }: ServiceTables): boolean {
  return (slots.get(set)?.backends ?? []).length > 0;
}

function scopeOf(
  { slots, sets, backends }: ServiceTables,
  set: SetKey,
  byId: ReadonlyMap<number, string>,
): Pick<ServiceRow, 'id' | 'backends'> {
  const row = slots.get(set);
  const states = new Map(sets.get(set)?.backends.map((backend) => [frontendKey(backend), backend.state]));
  const rows = (row?.backends ?? []).flatMap((id, slot) => {
    const address = byId.get(id);
    return address !== undefined && backends.has(address)
      ? [{ slot: slot + 1, address, state: states.get(address) ?? ('active' as const) }]
      : [];
  });
  for (const backend of sets.get(set)?.draining ?? [])
    rows.push({ slot: rows.length + 1, address: frontendKey(backend), state: 'terminating' });
  return { id: row?.id ?? 0, backends: rows };
}

async function statusOf(insides: Insides): Promise<StatusReport> {
  const { config, self, nodes, endpoints, problems, health } = insides;
  const { healthy, reason } = health();
  const rows = Array.from(endpoints.endpoints.entries(), ([, row]) => row);
  const addresses = rows.flatMap((row) => row.addresses.map((address) => ({ address, owner: `${row.namespace}/${row.pod}` })));
  const said = [...config.nativeRoutingCidrs, ...config.masquerade.except];
  const native = said.length > 0 ? said : Array.from(nodes.nodes.entries(), ([, node]) => node.podCidrs).flat();
  return {
    time: Date.now(),
    version: version(),
    node: self,
    agent: healthy ? { ok: true, message: version() } : { ok: false, message: reason ?? 'not ready' },
    kubernetes: await insides.kubernetes(),
    cni: insides.cni(),
    kubeProxyReplacement: config.kubeProxyReplacement,
    socketLbHostOnly: config.socketLbHostOnly,
    devices: Array.from(nodes.uplinks.entries(), ([, { name, ipv4, ipv6, directRouting }]) => ({
      name,
      addresses: [ipv4, ipv6].filter((address) => address !== undefined),
      directRouting,
    })),
    interfaces: Array.from(nodes.interfaces.entries(), ([, row]) => ({
      name: row.name,
      ...uplinkReason(row, nodes.nodes.get(self), config.devices),
    })),
    mtu: mtuOf(nodes, config),
    mtuBudget: budgetOf(nodes, self, config),
    ipam: (nodes.nodes.get(self)?.podCidrs ?? []).map((range) => ({
      prefix: cidrText(range),
      allocated: addresses.filter(({ address }) => cidrContains(range, address)).length,
      capacity: usableSize(range),
    })),
    allocations: addresses,
    masquerade: {
      ipv4: config.masquerade.ipv4,
      ipv6: config.masquerade.ipv6,
      except: [...new Set(native.map(cidrText))],
    },
    controllers: controllersOf(insides),
    maps: [...insides.usage.uses()],
    flows: flowsOf(insides),
    problems: problems.table.size,
  };
}

function flowsOf({ sweep: { last }, config }: Insides): StatusReport['flows'] {
  return last && { time: last.at, entries: last.entries, talkers: last.talkers, portsEach: natPorts(config), ports: last.ports };
}

/** How many ports masquerade has for each destination. */
export function natPorts({ nodePort }: Config): number {
  return configDefaults.natPortLast - nodePort.last;
}

export function controllersOf({ sources, reconcilers, slow }: Pick<Insides, 'sources' | 'reconcilers' | 'slow'>): ControllerRow[] {
  const reconciled = ({ name, failures, error, refused }: ReconcilerStatus): ControllerRow => {
    const message = error ?? refused.values().next().value;
    return {
      name: `reconcile-${name}`,
      lastSuccess: undefined,
      lastError: undefined,
      failures: message === undefined ? 0 : failures,
      message,
    };
  };
  const watched = sources.map(({ status: { name, failures, error, lastSuccess, lastError } }) => ({
    name: `watch-${name}`,
    lastSuccess,
    lastError,
    failures: error === undefined ? 0 : failures,
    message: error,
  }));
  return [...watched, ...[...reconcilers, ...slow].map((one) => reconciled(one.status))];
}
