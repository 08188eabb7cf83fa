// SPDX-License-Identifier: Apache-2.0
// From pools and Services to what their status should have.
//
//   pools ─────┐                  ┌─▶ lbipam_service_writes ─▶ Service.status
//   services ──┼─▶ allocations ───┼─▶ lbipam_said ───────────▶ Events
//   nodes ─────┘                  └─▶ pool_reports ─▶ lbipam_pool_writes ─▶ CiliumLoadBalancerIPPool.status
//
// All Services are looked at together: each takes from what the others leave. Nothing is computed before everything has been heard
// once, so that an address which somebody has is not given to somebody else.

import { derive, from } from '../base/derive.ts';
import type { Derivation, Input } from '../base/derive.ts';
import type { Cidr, Ip } from '../base/ip.ts';
import type { Problem, ProblemBook } from '../base/problem.ts';
import { sameRow } from '../base/same.ts';
import { table } from '../base/table.ts';
import type { Table } from '../base/table.ts';
import { allocationsFor, groundOf } from './allocate.ts';
import type { Allocation } from './allocate.ts';
import type { LbNodeRow } from './node.ts';
import { poolReports, poolWrite } from './pool-status.ts';
import type { PoolReport, PoolWrite } from './pool-status.ts';
import type { PoolRow } from './pool.ts';
import { saidOf, serviceWrite, troublesOf } from './service-status.ts';
import type { Said, ServiceWrite } from './service-status.ts';
import type { LbServiceRow } from './service.ts';

export type LbipamTables = {
  readonly pools: Table<string, PoolRow>;
  readonly services: Table<string, LbServiceRow>;
  readonly nodes: Table<string, LbNodeRow>;
  /** By node, the subnets that it is in. */
  readonly subnets: Table<string, readonly Cidr[]>;
  /** CiliumL2AnnouncementPolicies that announce load balancer IPs. */
  readonly announcers: Table<string, true>;
  readonly allocations: Table<string, Allocation>;
  readonly reports: Table<string, PoolReport>;
  readonly serviceWrites: Table<string, ServiceWrite>;
  readonly poolWrites: Table<string, PoolWrite>;
  /** By Service, what was said of it last. */
  readonly said: Table<string, Said>;
  /** 'all': what somebody has to repair, of pools and of Services. */
  readonly troubles: Table<string, readonly Problem[]>;
  readonly derivations: readonly Derivation[];
};

const same = { same: sameRow };
const ALL = ['all'] as const;

/** `l2`: addresses are announced by CiliumL2AnnouncementPolicies. */
export function lbipamTables(problems: ProblemBook, l2: boolean): LbipamTables {
  const tables: Tables = {
    pools: table<string, PoolRow>('lbipam_pools'),
    services: table<string, LbServiceRow>('lbipam_services'),
    nodes: table<string, LbNodeRow>('lbipam_nodes', same),
    subnets: table<string, readonly Cidr[]>('lbipam_subnets', same),
    announcers: table<string, true>('lbipam_announcers', same),
    allocations: table<string, Allocation>('allocations', same),
    reports: table<string, PoolReport>('pool_reports', same),
    serviceWrites: table<string, ServiceWrite>('lbipam_service_writes', same),
    poolWrites: table<string, PoolWrite>('lbipam_pool_writes', same),
    said: table<string, Said>('lbipam_said', same),
    troubles: table<string, readonly Problem[]>('lbipam_troubles', same),
  };
  return { ...tables, derivations: [...decisions(tables, problems, l2), ...writes(tables), troublesFrom(tables, problems.table)] };
}

type Tables = Omit<LbipamTables, 'derivations'>;

/** Not for what we write into its status ourselves. */
function asWritten(pools: Table<string, PoolRow>): Input<string> {
  const plain = (row: PoolRow | undefined) => row && { ...row, resourceVersion: undefined, conditions: [] };
  return from(pools, (_key, now, before) => (sameRow(plain(now), plain(before)) ? [] : ALL));
}

/** Not for a status that says what was decided, unless it frees an address. */
function asAsked(services: Table<string, LbServiceRow>, allocations: Table<string, Allocation>): Input<string> {
  const plain = (row: LbServiceRow) => ({ ...row, resourceVersion: undefined, has: [], condition: undefined });
  return from(services, (name, now, before) => {
    if (now === undefined || before === undefined || now.condition === undefined) return ALL;
    const isDecided = sameRow(now.has, allocations.get(name)?.ips) && before.has.every((ip) => now.has.includes(ip));
    return isDecided && sameRow(plain(now), plain(before)) ? [] : ALL;
  });
}

function decisions(tables: Tables, problems: ProblemBook, l2: boolean): Derivation[] {
  const { pools, services, nodes, subnets, announcers, allocations, reports } = tables;
  const all = () => ALL;
  const others = (name: string) => (allocations.has(name) ? [] : ALL);
  const rows = <R>(of: Table<string, R>) => Array.from(of.entries(), ([, row]) => row);
  const decided = ({ name, uid }: LbServiceRow) => {
    const last = allocations.get(name);
    return last?.uid === uid ? (last?.ips ?? []) : [];
  };
  return [
    derive({
      name: 'allocations',
      whole: true,
      inputs: [asWritten(pools), asAsked(services, allocations), from(nodes, all)],
      out: allocations.writer('allocations'),
      compute: () => allocationsFor({ pools: rows(pools), services: rows(services), nodes: addressesOf(nodes), decided }),
    }),
    derive({
      name: 'pool_reports',
      whole: true,
      inputs: [
        asWritten(pools),
        from(allocations, all),
        from(services, others),
        from(nodes, all),
        from(subnets, all),
        from(announcers, all),
      ],
      out: reports.writer('pool_reports'),
      problems,
      compute: function* () {
        const ground = groundOf(rows(pools), addressesOf(nodes));
        const foreign = rows(services).flatMap((service) => (allocations.has(service.name) ? [] : service.has));
        const taken = new Set([...rows(allocations).flatMap(({ ips }) => ips), ...foreign]);
        const known = Array.from(nodes.entries(), ([name]) => subnets.get(name));
        const connected = known.length === 0 || known.includes(undefined) ? undefined : uniqueOf(known.flatMap((one) => one ?? []));
        const announced = l2 ? announcers.size > 0 : undefined;
        for (const row of poolReports({ ground, taken, allocations: allocations.entries(), subnets: connected, announced })) {
          yield row;
          yield* row[1].problems;
        }
      },
    }),
  ];
}

function addressesOf(nodes: Table<string, LbNodeRow>): Map<Ip, string> {
  return new Map(Array.from(nodes.entries(), ([name, { addresses }]) => addresses.map((ip) => [ip, name] as const)).flat());
}

function uniqueOf(prefixes: readonly Cidr[]): readonly Cidr[] {
  return [...new Map(prefixes.map((one) => [`${one.ip}/${one.bits}`, one])).values()];
}

function writes({ pools, services, allocations, reports, serviceWrites, poolWrites, said }: Tables): Derivation[] {
  return [
    derive({
      name: serviceWrites.name,
      whole: true,
      inputs: [from(services), from(allocations)],
      out: serviceWrites.writer('lbipam'),
      compute: function* (name: string) {
        const service = services.get(name);
        const write = service && serviceWrite(service, allocations.get(name));
        if (write) yield [name, write] as const;
      },
    }),
    derive({
      name: said.name,
      whole: true,
      inputs: [from(services), from(allocations), from(serviceWrites)],
      out: said.writer('lbipam'),
      compute: function* (name: string) {
        const service = services.get(name);
        if (service === undefined) return;
        const news = saidOf(service, serviceWrites.get(name), allocations.get(name));
        yield [name, news.length > 0 ? news : (said.get(name) ?? [])] as const;
      },
    }),
    derive({
      name: poolWrites.name,
      whole: true,
      inputs: [from(pools), from(reports)],
      out: poolWrites.writer('lbipam'),
      compute: function* (name: string) {
        const [pool, report] = [pools.get(name), reports.get(name)];
        const write = pool && report && poolWrite(pool, report);
        if (write) yield [name, write] as const;
      },
    }),
  ];
}

function troublesFrom({ services, allocations, troubles }: Tables, problems: Table<string, Problem>): Derivation {
  const all = () => ALL;
  return derive({
    name: troubles.name,
    whole: true,
    inputs: [from(problems, all), from(services, all), from(allocations, all)],
    out: troubles.writer('lbipam'),
    compute: function* () {
      const ofServices = Array.from(services.entries(), ([name, service]) => troublesOf(service, allocations.get(name)));
      const found = [...Array.from(problems.entries(), ([, one]) => one), ...ofServices.flat()];
      yield ['all', found.toSorted((a, b) => (textOf(a) < textOf(b) ? -1 : 1))] as const;
    },
  });
}

function textOf({ object, reason }: Problem): string {
  return `${object} ${reason}`;
}
