// SPDX-License-Identifier: Apache-2.0
// What the status of a pool should have: figures, and what is wrong with it.

import { cidrContains, cidrText, ipFromNumber } from '../base/ip.ts';
import type { Cidr, Ip } from '../base/ip.ts';
import { problem } from '../base/problem.ts';
import type { Problem } from '../base/problem.ts';
import { sameRow } from '../base/same.ts';
import type { Allocation, Kept } from './allocate.ts';
import { MOVE, poolHas, poolText } from './pool.ts';
import type { PoolRow } from './pool.ts';
import { rangeHas, rangeSize, rangeText, usable } from './range.ts';
import type { Range } from './range.ts';
import type { Ground } from './refusal.ts';

export type PoolReport = {
  readonly total: bigint;
  readonly used: bigint;
  readonly conflict: string | undefined;
  readonly problems: readonly Problem[];
  readonly conditions: readonly PoolCondition[];
};

export type PoolCondition = {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  readonly message: string;
};

/** A deed, as ServiceWrite is. */
export type PoolWrite = {
  readonly uid: string | undefined;
  readonly resourceVersion: string | undefined;
  readonly generation: number;
  readonly conditions: readonly (PoolCondition & { readonly since: string | undefined })[];
};

export type PoolFacts = {
  readonly ground: Ground;
  /** All addresses that somebody has, once each. */
  readonly taken: ReadonlySet<Ip>;
  readonly allocations: Iterable<readonly [string, Allocation]>;
  /** Subnets that nodes are in; undefined: not all of them have said. */
  readonly subnets: readonly Cidr[] | undefined;
  /** Some CiliumL2AnnouncementPolicy announces load balancer IPs; undefined: L2 announcements are not ours. */
  readonly announced: boolean | undefined;
};

export function* poolReports({ ground, taken, allocations, subnets, announced }: PoolFacts): Iterable<readonly [string, PoolReport]> {
  const moves = [...allocations].flatMap(([service, { kept }]) => kept.map((one) => ({ ...one, service })));
  for (const pool of ground.pools) {
    const { total, used } = figuresOf(pool, taken, ground.nodes);
    const conflict = ground.conflicts.get(pool.name);
    const problems = [
      ...problemsOf(pool, { conflict, subnets, nodes: ground.nodes }),
      ...movesOf(
        pool,
        moves.filter((one) => one.pool === pool.name),
      ),
      ...(announced === false && !pool.disabled && pool.ranges.length > 0 ? [notAnnounced(pool)] : []),
    ];
    const conditions = conditionsOf(pool, { total, used, conflict, problems });
    yield [pool.name, { total, used, conflict, problems, conditions }];
  }
}

/** Addresses that are kept back and those of nodes count as used: nobody gets them. */
function figuresOf(pool: PoolRow, taken: ReadonlySet<Ip>, nodes: ReadonlyMap<Ip, string>): { total: bigint; used: bigint } {
  const total = pool.ranges.reduce((sum, range) => sum + rangeSize(range), 0n);
  const used = new Set([...taken, ...nodes.keys()].filter((ip) => poolHas(pool, ip)));
  for (const { fenced, family, first, last } of pool.ranges)
    if (fenced) used.add(ipFromNumber(first, family)).add(ipFromNumber(last, family));
  return { total, used: BigInt(used.size) };
}

type Surroundings = Pick<PoolFacts, 'subnets'> & Pick<Ground, 'nodes'> & { readonly conflict: string | undefined };

/** One for each reason. */
function problemsOf(pool: PoolRow, { conflict, subnets, nodes }: Surroundings): readonly Problem[] {
  const object = `CiliumLoadBalancerIPPool ${pool.name}`;
  const found: Problem[] = [];
  const say = (reason: string, messages: readonly string[], advice: string) => {
    if (messages.length > 0) found.push(problem({ object, reason, message: messages.join('; '), advice }));
  };
  for (const reason of ['InvalidBlock', 'BlockNotAtItsStart'] as const) {
    const wrong = pool.wrong.filter((one) => one.reason === reason);
    say(
      reason,
      wrong.map(({ message }) => message),
      wrong[0]?.advice ?? '',
    );
  }
  const { services, ranges } = pool;
  say(
    'InvalidSelector',
    typeof services === 'string' ? [`serviceSelector: ${services}`] : [],
    'Correct the selector; until then the pool gives no addresses, and those that are taken stay',
  );
  if (ranges.length === 0 && pool.wrong.length === 0) say('NoBlocks', ['spec.blocks is empty, so there is nothing to give'], 'Add a block');
  say(
    'PoolConflict',
    conflict === undefined ? [] : [conflict],
    'Remove the overlap from one of the two; until then this pool gives no new addresses',
  );
  const own = [...nodes].filter(([ip]) => poolHas(pool, ip)).map(([ip, node]) => `${ip} is an address of node ${node}`);
  say('OverlapsNodes', own, 'Take it out of the blocks; it is given to nobody');
  const lost = subnets === undefined ? [] : ranges.filter((range) => !subnets.some((subnet) => reaches(subnet, range)));
  say(
    'NoSubnet',
    lost.map((range) => `${rangeText(range)} is in no subnet that a node is connected to`),
    `Compare the block with the nodes' subnets (${(subnets ?? []).map(cidrText).join(', ')}); ARP and neighbour discovery cannot announce it, a router would need routes`,
  );
  return found;
}

function reaches(subnet: Cidr, range: Range): boolean {
  const [first, last] = usable(range);
  return (
    cidrContains(subnet, ipFromNumber(first, range.family)) ||
    cidrContains(subnet, ipFromNumber(last, range.family)) ||
    rangeHas(range, subnet.ip)
  );
}

function notAnnounced({ name }: PoolRow): Problem {
  return problem({
    object: `CiliumLoadBalancerIPPool ${name}`,
    reason: 'NotAnnounced',
    message:
      'Nobody will answer for its addresses on the LAN: no CiliumL2AnnouncementPolicy has loadBalancerIPs, and a pool alone announces nothing',
    advice:
      'Apply a CiliumL2AnnouncementPolicy with spec.loadBalancerIPs: true, or set l2announcements.enabled: false if routers lead there',
  });
}

/** What an edit of this or of another pool would move into this one. */
function movesOf(pool: PoolRow, moves: readonly (Kept & { readonly service: string })[]): readonly Problem[] {
  if (moves.length === 0) return [];
  const each = moves.map(({ service, ip, to, because }) => `Service ${service} from ${ip} to ${to} (${because})`);
  return [
    problem({
      object: `CiliumLoadBalancerIPPool ${pool.name}`,
      reason: 'MovesWait',
      message: `${moves.length === 1 ? '1 address' : `${moves.length} addresses`} would move: ${each.join('; ')}`,
      advice: `Undo the change, or let them move: kubectl annotate --overwrite ciliumloadbalancerippool ${pool.name} ${MOVE}=${moves.map(({ ip }) => ip).join()}`,
    }),
  ];
}

function conditionsOf(pool: PoolRow, { total, used, conflict, problems }: Omit<PoolReport, 'conditions'>): readonly PoolCondition[] {
  const figure = (type: string, message: string): PoolCondition => ({ type, status: 'Unknown', reason: 'noreason', message });
  const [worst] = problems;
  const free = total - used;
  const reason = worst?.reason ?? (pool.disabled ? 'Disabled' : free <= 0n ? 'Full' : 'Ready');
  const messages = problems.map(({ message, advice }) => `${message}. ${advice}.`);
  return [
    {
      type: 'cilium.io/PoolConflict',
      status: conflict === undefined ? 'False' : 'True',
      reason: conflict === undefined ? 'resolved' : 'cidr_overlap',
      message: conflict ?? '',
    },
    figure('cilium.io/IPsTotal', `${total}`),
    figure('cilium.io/IPsAvailable', `${free < 0n ? 0n : free}`),
    figure('cilium.io/IPsUsed', `${used}`),
    { type: 'stentor.dev/Ready', status: reason === 'Ready' ? 'True' : 'False', reason, message: messages.join(' ') },
    { type: 'stentor.dev/Ranges', status: 'True', reason: 'Blocks', message: poolText(pool) },
  ];
}

/** Undefined: the status is as it should be. */
export function poolWrite(pool: PoolRow, { conditions }: PoolReport): PoolWrite | undefined {
  const before = new Map(pool.conditions.map((one) => [one.type, one]));
  const same = conditions.every(({ type, status, reason, message }) => {
    const { status: s, reason: r, message: m, observedGeneration } = before.get(type) ?? {};
    return sameRow([status, reason, message, pool.generation], [s, r, m ?? '', observedGeneration]);
  });
  if (same) return undefined;
  const { uid, resourceVersion, generation } = pool;
  const since = ({ type, status }: PoolCondition) =>
    before.get(type)?.status === status ? before.get(type)?.lastTransitionTime : undefined;
  return { uid, resourceVersion, generation, conditions: conditions.map((one) => ({ ...one, since: since(one) })) };
}
