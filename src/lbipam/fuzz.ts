// SPDX-License-Identifier: Apache-2.0
// A random life of pools and Services under operators that restart and whose writes come late. What is watched: a Service loses no
// address that it wants, and gets none that it may not have.

import { familyOf, ip } from '../base/ip.ts';
import type { Ip } from '../base/ip.ts';
import { problemBook } from '../base/problem.ts';
import { randomFrom } from '../base/random.ts';
import type { Random } from '../base/random.ts';
import type { PoolRow } from './pool.ts';
import { MOVE, poolHas, poolSelects } from './pool.ts';
import type { LbServiceRow } from './service.ts';
import { RELEASE, SATISFIED } from './service.ts';
import type { ServiceWrite } from './service-status.ts';
import { sharingObstacle } from './sharing.ts';
import { lbipamTables } from './tables.ts';
import { poolOf, serviceOf } from './testbed.ts';
import type { Asked } from './testbed.ts';

export type FuzzOptions = {
  readonly steps: number;
  /** What an operator does wrong, to see that it is noticed. */
  readonly fault?: 'forgets' | 'agrees to all';
};

export type FuzzResult = {
  readonly violations: readonly string[];
  readonly gained: number;
  readonly kept: number;
  readonly restarts: number;
};

type Life = { readonly asked: Asked; readonly born: number; readonly version: number; readonly has: readonly Ip[]; readonly ours: boolean };

const SPACE = 24;
const address = (i: number): Ip => ip(`192.0.2.${i}`);
const NAMES = ['x/a', 'x/b', 'x/c', 'x/d', 'y/e', 'y/f', 'y/g', 'z/h', 'z/i', 'z/j'] as const;
const POOLS = ['a', 'b', 'c'] as const;

export function fuzz(seed: number, { steps, fault }: FuzzOptions): FuzzResult {
  const random = randomFrom(seed);
  const pools = new Map<string, PoolRow>();
  const services = new Map<string, Life>();
  const violations: string[] = [];
  const count = { gained: 0, kept: 0, restarts: 0 };
  let operator = operatorOf();
  for (let step = 0; step < steps && violations.length === 0; step++) {
    if (random.chance(0.1)) {
      operator = operatorOf();
      count.restarts++;
      for (const [name, life] of services)
        operator.service(name, rowOf(name, fault === 'forgets' ? { ...life, has: [], ours: false } : life));
    }
    if (random.chance(0.4)) editPool(random, pools, fault === 'agrees to all');
    else editService(random, services, step);
    for (const name of POOLS) operator.pool(name, pools.get(name));
    for (const name of NAMES) if (!services.has(name)) operator.service(name, undefined);
    for (const [name, life] of services) if (fault !== 'forgets') operator.service(name, rowOf(name, life));
    const { writes, kept } = operator.decide();
    count.kept += kept;
    for (const [name, write] of writes) {
      const life = services.get(name);
      if (life === undefined || random.chance(0.2)) continue; // late: it is decided on again
      violations.push(...wrongWith(write, rowOf(name, life), { pools, services }).map((text) => `step ${step}: ${text}`));
      count.gained += write.ips.filter((one) => !life.has.includes(one)).length;
      services.set(name, { ...life, has: write.ips, version: life.version + 1, ours: true });
    }
  }
  return { violations, ...count };
}

function rowOf(name: string, { asked, born, version, has, ours }: Life): LbServiceRow {
  const row = serviceOf(name, { ...asked, has });
  const condition = ours ? { type: SATISFIED, status: 'True', reason: '?', message: '?' } : undefined;
  return { ...row, uid: `${name} ${born}`, created: `${1000 + (born % 7)}`, resourceVersion: `${version}`, condition };
}

/** Tables of one life of an operator. */
function operatorOf() {
  const tables = lbipamTables(problemBook(), true);
  const { pools, services, nodes, subnets, serviceWrites, allocations, derivations } = tables;
  const [ofPools, ofServices] = [pools.writer('fuzz'), services.writer('fuzz')];
  const complete = [ofPools, ofServices, nodes.writer('fuzz'), subnets.writer('fuzz')];
  const set =
    <R>(writer: { put(key: string, row: R): void; delete(key: string): void }) =>
    (name: string, row: R | undefined) =>
      row === undefined ? writer.delete(name) : writer.put(name, row);
  return {
    pool: set(ofPools),
    service: set(ofServices),
    decide() {
      for (const one of complete) one.complete();
      for (const derivation of derivations) derivation.run();
      const kept = Array.from(allocations.entries()).reduce((sum, [, one]) => sum + one.kept.length, 0);
      return { writes: Array.from(serviceWrites.entries()), kept };
    },
  };
}

type World = { readonly pools: ReadonlyMap<string, PoolRow>; readonly services: ReadonlyMap<string, Life> };

/** Whether it may not be taken from it; of several of one family it wants the first. */
function wants({ requested, has, released }: LbServiceRow, one: Ip): boolean {
  if (requested.length > 0) return requested.includes(one);
  return has.find((other) => familyOf(other) === familyOf(one)) === one && !released.includes(one);
}

function* wrongFields(write: ServiceWrite, row: LbServiceRow, { pools, services }: World): Iterable<string> {
  for (const one of row.has) if (wants(row, one) && !write.ips.includes(one)) yield `${row.name} loses ${one}, which it wants`;
  for (const one of write.ips) {
    if (row.has.includes(one)) continue;
    const open = [...pools.values()].some((pool) => !pool.disabled && poolHas(pool, one) && poolSelects(pool, row.labels));
    if (!open) yield `${row.name} gets ${one}, which no pool gives`;
    for (const [name, life] of services) {
      const other = rowOf(name, life);
      if (name === row.name || !life.has.includes(one) || !wants(other, one)) continue;
      const why = sharingObstacle(row, other);
      if (why !== undefined) yield `${row.name} gets ${one}, which ${name} has: ${why}`;
    }
  }
}

function wrongWith(write: ServiceWrite, row: LbServiceRow, world: World): readonly string[] {
  return [...wrongFields(write, row, world)];
}

function editPool(random: Random, pools: Map<string, PoolRow>, agrees: boolean): void {
  const name = random.pick(POOLS);
  if (random.chance(0.2)) return void pools.delete(name);
  const blocks = Array.from({ length: 1 + random.below(2) }, () => {
    const start = 1 + random.below(SPACE);
    return random.chance(0.3) ? `192.0.2.${start}/29` : `${address(start)}-${address(start + random.below(10))}`;
  });
  const selector = random.pick([undefined, undefined, { app: 'web' }, { 'io.kubernetes.service.namespace': 'y' }]);
  const row = poolOf(name, blocks, {
    disabled: random.chance(0.1),
    allowFirstLastIPs: random.pick(['Yes', 'No']),
    ...(selector && { serviceSelector: { matchLabels: selector } }),
    annotations: agrees ? { [MOVE]: Array.from({ length: 40 }, (_, i) => address(i)).join() } : {},
  });
  pools.set(name, row);
}

function editService(random: Random, services: Map<string, Life>, step: number): void {
  const name = random.pick(NAMES);
  const life = services.get(name);
  if (life !== undefined && random.chance(0.15)) return void services.delete(name);
  const before: Asked = life?.asked ?? {};
  const part: Asked = random.pick<() => Asked>([
    () => ({ ips: random.chance(0.5) ? address(1 + random.below(SPACE)) : '' }),
    () => ({ key: random.pick(['', 'k', 'l']), across: random.pick(['', '*', 'x,y']) }),
    () => ({ port: 80 + random.below(3) }),
    () => ({ annotations: random.chance(0.5) ? { [RELEASE]: address(1 + random.below(SPACE)) } : {} }),
    () => ({ labels: random.chance(0.5) ? { app: 'web' } : {} }),
  ])();
  const asked = { ...before, ...part };
  services.set(name, life ? { ...life, asked, version: life.version + 1 } : { asked, born: step, version: 1, has: [], ours: false });
}
