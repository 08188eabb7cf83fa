// SPDX-License-Identifier: Apache-2.0
// Addresses for Services while we lead: what feeds the tables of src/lbipam, and who writes what they say.

import type { Clock } from '../base/clock.ts';
import type { Derivation } from '../base/derive.ts';
import { metricKinds } from '../base/metrics.ts';
import type { Histogram } from '../base/metrics.ts';
import { problemBook } from '../base/problem.ts';
import type { Problem } from '../base/problem.ts';
import { asyncReconciler } from '../base/reconcile-async.ts';
import type { AsyncReconciler, AsyncTarget } from '../base/reconcile-async.ts';
import type { Table } from '../base/table.ts';
import type { KubeClient } from '../kube/client.ts';
import { eventsTarget } from '../kube/events.ts';
import type { Term } from '../kube/lease.ts';
import { writeReport } from '../kube/problem-report.ts';
import { pathOfObject, resources } from '../kube/resources.ts';
import { kubeSource, sink } from '../kube/source.ts';
import type { Source } from '../kube/source.ts';
import { stopwatch } from '../kube/stopwatch.ts';
import type { CiliumL2AnnouncementPolicy, CiliumLoadBalancerIPPool, CiliumNode, Node, Service } from '../kube/types.ts';
import { announcerRows, lbNodeRows, subnetRows } from '../lbipam/node.ts';
import { poolRows } from '../lbipam/pool.ts';
import type { PoolWrite } from '../lbipam/pool-status.ts';
import { lbServiceRows, SATISFIED } from '../lbipam/service.ts';
import type { LbClasses } from '../lbipam/service.ts';
import type { Said, ServiceWrite } from '../lbipam/service-status.ts';
import { lbipamTables } from '../lbipam/tables.ts';
import type { LbipamTables } from '../lbipam/tables.ts';
import { deedTarget } from './targets.ts';

export type LbipamOptions = {
  readonly client: KubeClient;
  readonly term: Term;
  readonly clock: Clock;
  readonly classes: LbClasses;
  readonly identity: string;
  /** Where the report of Problems is kept. */
  readonly namespace: string;
};

export type Lbipam = {
  readonly derivations: readonly Derivation[];
  readonly reconcilers: readonly AsyncReconciler[];
  readonly tables: LbipamTables;
  readonly problems: Table<string, Problem>;
  /** From the moment that a change is heard until all that follows from it is derived. */
  readonly times: Histogram;
  /** To be called when all that was heard is derived. */
  derived(): void;
  sources(changed: () => void): readonly Source[];
};

const L2_CLASS = 'io.cilium/l2-announcer';
/** As Cilium's, whose fields we go on with. */
const MANAGER = 'cilium-operator-lb-ipam';

export function lbipam(options: LbipamOptions): Lbipam {
  const { client, clock, classes, identity } = options;
  const book = problemBook();
  const l2 = classes.named.includes(L2_CLASS);
  const tables = lbipamTables(book, l2);
  const { times, timed, derived } = stopwatch(clock);
  const events = { client, clock, controller: 'stentor-operator', instance: identity, fallback: 'Namespace kube-system' };
  return {
    tables,
    problems: book.table,
    times,
    derived,
    derivations: tables.derivations,
    reconcilers: [
      asyncReconciler(tables.serviceWrites, serviceTarget(options)),
      asyncReconciler(tables.poolWrites, poolTarget(options)),
      asyncReconciler(tables.said, saidTarget(eventsTarget(events))),
      asyncReconciler(book.table, eventsTarget<Problem>(events)),
      asyncReconciler(tables.troubles, reportTarget(options)),
    ],
    sources: (changed) => {
      const watch = { client, changed };
      const { pools, services, nodes, subnets, announcers } = tables;
      const ofPools = timed({ resource: 'pool' }, sink(pools.writer('kubernetes'), poolRows, book));
      const ofServices = sink(services.writer('kubernetes'), (service: Service) => lbServiceRows(service, classes), book);
      return [
        kubeSource<CiliumLoadBalancerIPPool>({
          ...watch,
          resource: resources.lbPools,
          sinks: [ofPools],
        }),
        kubeSource<Service>({ ...watch, resource: resources.services, sinks: [timed({ resource: 'service' }, ofServices)] }),
        kubeSource<Node>({ ...watch, resource: resources.nodes, sinks: [sink(nodes.writer('kubernetes'), lbNodeRows, book)] }),
        kubeSource<CiliumNode>({
          ...watch,
          resource: resources.ciliumNodes,
          sinks: [sink(subnets.writer('kubernetes'), subnetRows, book)],
        }),
        kubeSource<CiliumL2AnnouncementPolicy>({
          ...watch,
          resource: resources.l2Policies,
          optional: true,
          sinks: [sink(announcers.writer('kubernetes'), announcerRows)],
        }),
      ];
    },
  };
}

/** Of the status only what is ours: other conditions stay, whoever has them. */
function serviceTarget({ client, term, clock }: LbipamOptions): AsyncTarget<string, ServiceWrite> {
  return deedTarget('services/status', term, async (key, { uid, resourceVersion, ips, condition }) => {
    const [namespace = '', name = ''] = key.split('/');
    const { since, ...rest } = condition ?? {};
    const lastTransitionTime = since ?? now(clock);
    const status = {
      loadBalancer: { ingress: ips.map((ip) => ({ ip })) },
      ...(condition && { conditions: [{ type: SATISFIED, ...rest, lastTransitionTime }] }),
    };
    const { apiVersion, kind } = resources.services;
    const body = { apiVersion, kind, metadata: { name, namespace, uid, resourceVersion }, status };
    await client.patch(`${pathOfObject(resources.services, name, namespace)}/status`, body, { ...how, signal: term.signal });
  });
}

function poolTarget({ client, term, clock }: LbipamOptions): AsyncTarget<string, PoolWrite> {
  return deedTarget('ciliumloadbalancerippools/status', term, async (name, { uid, resourceVersion, generation, conditions }) => {
    const listed = conditions.map(({ since, ...rest }) => ({
      ...rest,
      lastTransitionTime: since ?? now(clock),
      observedGeneration: generation,
    }));
    const { apiVersion, kind } = resources.lbPools;
    const body = { apiVersion, kind, metadata: { name, uid, resourceVersion }, status: { conditions: listed } };
    await client.patch(`${pathOfObject(resources.lbPools, name)}/status`, body, { ...how, signal: term.signal });
  });
}

function reportTarget({ client, term, namespace }: LbipamOptions): AsyncTarget<string, readonly Problem[]> {
  return deedTarget('problem report', term, (_key, problems) => writeReport(client, { namespace, problems }, term.signal));
}

const how = { type: 'apply', fieldManager: MANAGER, force: true } as const;

/** RFC 3339 in whole seconds, as conditions have it. */
function now(clock: Clock): string {
  return new Date(clock.now()).toISOString().replace(/\.\d+Z$/, 'Z');
}

function saidTarget(events: AsyncTarget<string, Said[number]>): AsyncTarget<string, Said> {
  return {
    name: 'service events',
    list: () => Promise.resolve([]),
    put: (entries) => events.put(entries.flatMap(([key, said]) => said.map((one) => [key, one] as const))),
    remove: () => Promise.resolve(),
  };
}

/** What there is while we lead. */
type Led = { readonly counts: { readonly lbipam?: Lbipam | undefined } };
const { gauge, histogram } = metricKinds<Led>();
const pools = ({ tables }: Lbipam) => Array.from(tables.reports.entries());
const services = ({ tables }: Lbipam) => Array.from(tables.allocations.entries(), ([, one]) => one);
const whileLed =
  <T>(samples: (one: Lbipam) => readonly T[]) =>
  ({ counts: { lbipam: one } }: Led): readonly T[] =>
    one === undefined ? [] : samples(one);

export const lbipamMetrics = [
  gauge(
    'cilium_operator_lbipam_conflicting_pools',
    'Pools that overlap an older one, or themselves',
    [],
    whileLed((one) => [{ value: pools(one).filter(([, { conflict }]) => conflict !== undefined).length }]),
  ),
  gauge(
    'cilium_operator_lbipam_ips_available',
    'Addresses of a pool that nobody has',
    ['pool'],
    whileLed((one) => pools(one).map(([pool, { total, used }]) => ({ labels: { pool }, value: Math.max(0, Number(total - used)) }))),
  ),
  gauge(
    'cilium_operator_lbipam_ips_used',
    'Addresses of a pool that somebody has, or nobody can have',
    ['pool'],
    whileLed((one) => pools(one).map(([pool, { used }]) => ({ labels: { pool }, value: Number(used) }))),
  ),
  gauge(
    'cilium_operator_lbipam_services_matching',
    'Services that get their addresses here',
    [],
    whileLed((one) => [{ value: services(one).length }]),
  ),
  gauge(
    'cilium_operator_lbipam_services_unsatisfied',
    'Services that do not have all that they ask for',
    [],
    whileLed((one) => [{ value: services(one).filter(({ refusals }) => refusals.length > 0).length }]),
  ),
  histogram(
    'cilium_operator_lbipam_event_processing_time_seconds',
    'From the moment that a change of a pool or Service is heard until all that follows is decided, by event and resource',
    ['event', 'resource'],
    ({ counts }) => counts.lbipam?.times,
  ),
  gauge(
    'stentor_operator_lbipam_addresses_kept',
    'Addresses of Services that no pool gives any more, or that are shared no more',
    [],
    whileLed((one) => [{ value: services(one).reduce((sum, { kept }) => sum + kept.length, 0) }]),
  ),
  gauge(
    'stentor_operator_problems',
    'What somebody has to repair, by reason',
    ['reason'],
    whileLed(({ problems }) => {
      const counts = new Map<string, number>();
      for (const [, { reason }] of problems.entries()) counts.set(reason, (counts.get(reason) ?? 0) + 1);
      return Array.from(counts, ([reason, value]) => ({ labels: { reason }, value }));
    }),
  ),
];
