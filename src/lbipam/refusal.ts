// SPDX-License-Identifier: Apache-2.0
// Why a Service has no address, or not all that it asks for: a sentence for each cause, and what to do.

import type { Family, Ip } from '../base/ip.ts';
import { poolHas, poolSelects, poolText } from './pool.ts';
import type { PoolRow } from './pool.ts';
import { isReserved } from './range.ts';
import type { LbServiceRow } from './service.ts';
import { sharingObstacle } from './sharing.ts';

/** Causes, by the word that the Service's condition has for them. */
export const Cause = {
  NoPools: 'no_pool',
  NoPoolSelects: 'no_pool',
  PoolsDisabled: 'no_pool',
  PoolsConflict: 'no_pool',
  NoPoolOfFamily: 'no_pool',
  NotInPool: 'no_pool',
  InvalidAddress: 'invalid_request',
  PoolSelectorMismatch: 'pool_selector_mismatch',
  AddressTaken: 'already_allocated',
  AddressReserved: 'already_allocated',
  AddressOfNode: 'already_allocated',
  SharingRefused: 'already_allocated_incompatible_service',
  OutOfAddresses: 'out_of_ips',
} as const;
export type Cause = keyof typeof Cause;

export type Refusal = { readonly cause: Cause; readonly message: string; readonly advice: string };

/** What all Services share. `pools` in order. */
export type Ground = {
  readonly pools: readonly PoolRow[];
  /** By name of the pool. */
  readonly conflicts: ReadonlyMap<string, string>;
  /** Addresses of nodes, with the node's name. */
  readonly nodes: ReadonlyMap<Ip, string>;
};

function takesNew({ conflicts }: Ground, { name, disabled }: PoolRow): boolean {
  return !disabled && !conflicts.has(name);
}

/** Pools that may give this Service an address. */
export function openPools(ground: Ground, { labels }: LbServiceRow): readonly PoolRow[] {
  return ground.pools.filter((pool) => takesNew(ground, pool) && poolSelects(pool, labels));
}

function refusal(cause: Cause, message: string, advice: string): Refusal {
  return { cause, message, advice };
}

const namesOf = (pools: readonly PoolRow[]): string => pools.map(({ name }) => name).join(', ');

export function invalidAddress(text: string): Refusal {
  return refusal('InvalidAddress', `'${text}' is asked for, which is no IP address`, 'Correct the annotation lbipam.cilium.io/ips');
}

/** Why this address cannot be had, whoever has it; undefined: it can, unless somebody has it. */
export function addressRefusal(ground: Ground, service: LbServiceRow, address: Ip): Refusal | undefined {
  const { pools, nodes } = ground;
  if (pools.length === 0) return noPools(address);
  const having = pools.filter((pool) => poolHas(pool, address));
  if (having.length === 0)
    return refusal('NotInPool', `${address} is in no pool; there are ${rangesText(pools)}`, 'Ask for another address, or add it to a pool');
  const selecting = having.filter(({ services }) => typeof services !== 'string').filter((pool) => poolSelects(pool, service.labels));
  if (selecting.length === 0)
    return refusal(
      'PoolSelectorMismatch',
      `${address} is in pool ${namesOf(having)}, whose serviceSelector does not select this Service`,
      'Label the Service as the pool wants it, or ask for an address of another pool',
    );
  if (selecting.every((pool) => !takesNew(ground, pool))) return closed(ground, selecting, `${address} is in`);
  if (nodes.has(address))
    return refusal('AddressOfNode', `${address} is an address of node ${nodes.get(address)}`, 'Ask for another address');
  if (selecting.some(({ ranges }) => ranges.some((range) => isReserved(range, address))))
    return refusal(
      'AddressReserved',
      `${address} is the first or the last of a block, which allowFirstLastIPs: "No" keeps back`,
      'Ask for another address, or remove allowFirstLastIPs from the pool',
    );
  return undefined;
}

/** Why it cannot be had together with those who have it; undefined: it can. */
export function holderRefusal(service: LbServiceRow, address: Ip, holders: readonly LbServiceRow[]): Refusal | undefined {
  for (const holder of holders) {
    const obstacle = sharingObstacle(service, holder);
    if (obstacle === undefined) continue;
    if (service.sharing === undefined)
      return refusal(
        'AddressTaken',
        `${address} is taken by Service ${holder.name}`,
        'Ask for another address, or give both Services the same annotation lbipam.cilium.io/sharing-key',
      );
    return refusal(
      'SharingRefused',
      `${address} cannot be shared with Service ${holder.name}: ${obstacle}`,
      'Remove what differs, or ask for another address',
    );
  }
  return undefined;
}

/** Why there is none of this family: to be asked when no open pool had one left. */
export function familyRefusal(ground: Ground, service: LbServiceRow, family: Family): Refusal {
  const { pools } = ground;
  if (pools.length === 0) return noPools(undefined);
  const selecting = pools.filter((pool) => poolSelects(pool, service.labels));
  if (selecting.length === 0)
    return refusal(
      'NoPoolSelects',
      `No serviceSelector selects this Service; there are pools ${namesOf(pools)}`,
      'Label the Service as one of the pools wants it, or remove the selector of a pool',
    );
  const open = openPools(ground, service);
  if (open.length === 0) return closed(ground, selecting, 'All addresses for this Service are in');
  const own = open.filter(({ ranges }) => ranges.some((range) => range.family === family));
  if (own.length === 0)
    return refusal(
      'NoPoolOfFamily',
      `Pool ${namesOf(open)} has no IPv${family} addresses`,
      `Add a block of IPv${family} addresses to a pool, or take IPv${family} out of the Service's ipFamilies`,
    );
  return refusal(
    'OutOfAddresses',
    `All IPv${family} addresses of pool ${namesOf(own)} are taken`,
    'Add a block to the pool, delete a Service that is not needed, or let Services share (annotation lbipam.cilium.io/sharing-key)',
  );
}

function noPools(address: Ip | undefined): Refusal {
  return refusal(
    'NoPools',
    `There is no CiliumLoadBalancerIPPool${address === undefined ? '' : ` that could have ${address}`}`,
    'Create one with addresses of your network that nothing else uses',
  );
}

function closed({ conflicts }: Ground, pools: readonly PoolRow[], where: string): Refusal {
  const conflicting = pools.find(({ name }) => conflicts.has(name));
  if (conflicting === undefined)
    return refusal('PoolsDisabled', `${where} pool ${namesOf(pools)}, which is disabled`, 'Set spec.disabled: false of the pool');
  return refusal(
    'PoolsConflict',
    `${where} pool ${conflicting.name}, which gives none: ${conflicts.get(conflicting.name)}`,
    'Remove the overlap from one of the two pools',
  );
}

function rangesText(pools: readonly PoolRow[]): string {
  return pools.map((pool) => `${poolText(pool) || 'nothing'} in pool ${pool.name}`).join('; ');
}
