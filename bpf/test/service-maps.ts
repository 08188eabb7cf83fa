// SPDX-License-Identifier: Apache-2.0
// The service maps of a loaded node, filled from the cluster's Services and redirects by the shipped derivations and Targets.

import { problemBook } from '../../src/base/problem.ts';
import { reconciler, walk } from '../../src/base/reconcile.ts';
import type { Reconciler } from '../../src/base/reconcile.ts';
import { table } from '../../src/base/table.ts';
import type { Table } from '../../src/base/table.ts';
import { mapKinds, mapTarget } from '../../src/datapath/maps.ts';
import type { MapEntry, MapKind } from '../../src/datapath/maps.ts';
import type { Datapath } from '../../src/datapath/programs.ts';
import type { EndpointSlice, Service } from '../../src/kube/types.ts';
import type { EndpointRow } from '../../src/endpoints/endpoint.ts';
import type { NodeRow } from '../../src/nodes/node.ts';
import { localPodRows } from '../../src/redirects/local-pod.ts';
import { policyRows } from '../../src/redirects/policy.ts';
import { redirectTables, skipTables } from '../../src/redirects/tables.ts';
import { servicesBefore } from '../../src/services/before.ts';
import type { FrontendOptions } from '../../src/services/frontends.ts';
import { serviceRows, sliceRows } from '../../src/services/service.ts';
import { serviceTables } from '../../src/services/tables.ts';
import { serviceSources } from '../../src/services/sources.ts';
import { usualOptions } from '../../src/services/testdata/options.ts';
import { backendsOf, families, localPodObject, redirectObjects, serviceObject, sliceObject } from './cluster.ts';
import type { ServiceName, Serving } from './cluster.ts';
import { nodeAddresses } from './eth0.ts';

export type ServiceMaps = {
  /** Replaces who serves a service, through the tables. */
  serve(name: ServiceName, backends: Serving['ready'], draining?: Serving['ready']): void;
  /** Changes the state of podB, which policies lead to. */
  podIs(state: Parameters<typeof localPodObject>[0]): void;
  /** Further Services and their EndpointSlices, through the tables. */
  add(services: readonly Service[], slices: readonly EndpointSlice[]): void;
};

type Options = Pick<FrontendOptions, 'mode' | 'balance'> & {
  readonly rows: readonly NodeRow[];
  readonly endpoints: readonly EndpointRow[];
};

export function serviceMaps(datapath: Datapath, options: Options): ServiceMaps {
  const groups = tablesOf(options);
  const { redirects, services } = groups;
  const reconcilers = reconcilersOf(datapath, groups);
  const [serviceRow, sliceRow] = [services.services.writer('test'), services.slices.writer('test')];
  const [policy, pod] = [redirects.policies.writer('test'), redirects.pods.writer('test')];
  const putAll: ServiceMaps['add'] = (objects, slices) => {
    for (const row of objects.flatMap((object) => [...serviceRows(object, '')])) if (!('kind' in row)) serviceRow.put(...row);
    for (const row of slices.flatMap((slice) => [...sliceRows(slice)])) if (!('kind' in row)) sliceRow.put(...row);
  };
  const put = (name: ServiceName, serving: Serving) =>
    putAll(
      [serviceObject(name)],
      families.map((family) => sliceObject(name, family, serving)),
    );
  const commit = () => {
    for (const { derivations } of [redirects, services, groups.skips]) for (const derivation of derivations) derivation.run();
    if (!walk(reconcilers)) throw new Error(reconcilers.map((one) => one.status.error).join('; '));
  };
  const podIs: ServiceMaps['podIs'] = (state) => {
    for (const row of localPodRows(localPodObject(state))) pod.put(...row);
    commit();
  };
  for (const name of Object.keys(backendsOf) as ServiceName[]) put(name, { ready: backendsOf[name] }); // as: keys of this very object
  for (const row of redirectObjects().flatMap((one) => [...policyRows(one)])) if (!('kind' in row)) policy.put(...row);
  for (const writer of [serviceRow, sliceRow, policy, pod, services.hostPorts.writer('test'), services.ownNode.writer('test')])
    writer.complete();
  podIs('ready');
  return {
    serve(name, ready, draining = []) {
      put(name, { ready, draining });
      commit();
    },
    podIs,
    add(objects, slices) {
      putAll(objects, slices);
      commit();
    },
  };
}

function tablesOf({ rows, mode, balance, endpoints }: Options) {
  const sources = serviceSources();
  const problems = problemBook();
  const redirects = redirectTables(sources, problems);
  const services = serviceTables({
    sources,
    redirected: redirects,
    self: 'node1',
    before: servicesBefore({ services: [], slots: [], backends: [] }),
    problems,
    nodeAddresses: nodeAddresses(rows),
    ...usualOptions,
    mode,
    balance,
  });
  const pods = table<string, EndpointRow>('endpoints', { indexes: { pod: ({ namespace, pod }) => [`${namespace}/${pod}`] } });
  const writer = pods.writer('test');
  for (const row of endpoints) writer.put(row.hostInterface, row);
  writer.complete();
  return { redirects, services, skips: skipTables(redirects, services, { endpoints: pods, hostCookie: 1n }) };
}

/** In dependency order. */
function reconcilersOf(datapath: Datapath, { services, skips }: ReturnType<typeof tablesOf>): readonly Reconciler[] {
  const made = <K, V>(desired: Table<string, MapEntry<K, V>>, kind: MapKind<K, V>): Reconciler =>
    reconciler(desired, mapTarget(kind, datapath.map(kind.name)));
  return [
    made(services.lbBackends, mapKinds.lbBackends),
    made(services.lbMembers, mapKinds.lbMembers),
    made(services.lbSourceRanges, mapKinds.lbSourceRanges),
    made(services.lbSlots, mapKinds.lbSlots),
    made(services.lbMaglevParts, mapKinds.lbMaglevParts),
    made(services.lbMaglev, mapKinds.lbMaglev),
    made(skips.lbSkips, mapKinds.lbSkips),
    made(services.lbServices, mapKinds.lbServices),
    made(services.lbAddresses, mapKinds.lbAddresses),
  ];
}
