// SPDX-License-Identifier: Apache-2.0
// Who gets which address: all Services at once, from what they had before.
//
//   1. what Services have and want they keep, whatever has become of pools, selectors and sharing; of what is not valid
//      any more it is said where it would move
//   2. then those that ask for an address by name get it, then those that take any
//   3. what a Service does not want any more it has until it has what it wants, or somebody asks for it by name
//
// So a Service loses an address by a change of its own, and by nothing else. Somebody may agree to a move, and then it is made once
// there is another address.

import { familyOf } from '../base/ip.ts';
import type { Family, Ip } from '../base/ip.ts';
import { bookOf } from './book.ts';
import type { Book } from './book.ts';
import { compare, conflictsAmong, inOrder, poolHas, poolSelects } from './pool.ts';
import type { PoolRow } from './pool.ts';
import { addressRefusal, familyRefusal, holderRefusal, invalidAddress, openPools } from './refusal.ts';
import type { Ground, Refusal } from './refusal.ts';
import type { LbServiceRow } from './service.ts';
import { sharingObstacle } from './sharing.ts';

export type Allocation = {
  readonly uid: string | undefined;
  readonly ips: readonly Ip[];
  /** Why it is not all that it asks for; empty: it is. */
  readonly refusals: readonly Refusal[];
  /** What it has although nothing gives it any more. */
  readonly kept: readonly Kept[];
  /** Why it does not share although it has a sharing key, and the like. */
  readonly note: string | undefined;
};

export type Kept = {
  readonly ip: Ip;
  /** As the rest of a sentence. */
  readonly because: string;
  /** Where it would move; undefined: nowhere. */
  readonly to: Ip | undefined;
  /** The pool that has `to`. */
  readonly pool: string | undefined;
};

export type AllocationInput = {
  readonly pools: Iterable<PoolRow>;
  readonly services: Iterable<LbServiceRow>;
  /** Addresses of nodes, with the node's name. */
  readonly nodes: ReadonlyMap<Ip, string>;
  /** What was decided last and perhaps is not in its status yet. */
  readonly decided: (service: LbServiceRow) => readonly Ip[];
};

/** A Service while it is worked on. */
type Work = {
  readonly service: LbServiceRow;
  /** What it has and wants. */
  has: Ip[];
  /** What it has and does not want. */
  old: Ip[];
  readonly refusals: Refusal[];
  /** By address that nothing gives it any more, why. */
  readonly invalid: Map<Ip, string>;
  note: string | undefined;
};

export function groundOf(pools: Iterable<PoolRow>, nodes: ReadonlyMap<Ip, string>): Ground {
  const ordered = inOrder(pools);
  return { pools: ordered, conflicts: conflictsAmong(ordered), nodes };
}

export function allocationsFor({ pools, services, nodes, decided }: AllocationInput): Map<string, Allocation> {
  const ground = groundOf(pools, nodes);
  const all = [...services].toSorted((a, b) => compare(a.created, b.created) || compare(a.name, b.name));
  const isOurs = (service: LbServiceRow) =>
    service.whose === 'ours' && (ground.pools.length > 0 || service.has.length === 0 || service.condition !== undefined);
  const book = bookOf(ground);
  for (const service of all) if (!isOurs(service)) for (const ip of service.has) book.take(ip, service);
  const works = all.filter(isOurs).map((service) => started(service, [...new Set([...service.has, ...decided(service)])]));
  for (const work of works) keep(work, ground, book);
  for (const work of works) keepPending(work, ground, book);
  for (const work of works) for (const ip of work.old) book.leave(ip, work);
  for (const work of works) if (asksByName(work.service)) named(work, ground, book);
  for (const work of works) if (!asksByName(work.service)) anyOf(work, ground, book);
  for (const work of works) explain(work, book);
  const planned = new Set<Ip>();
  return new Map(works.map((work) => [work.service.name, resultOf(work, { ground, book, planned })]));
}

function asksByName({ requested, unreadable }: LbServiceRow): boolean {
  return requested.length + unreadable.length > 0;
}

/** What it had, what its status has before all, by whether it wants it still. */
function started(service: LbServiceRow, previous: readonly Ip[]): Work {
  const { requested, families } = service;
  const wants = (ip: Ip, i: number) =>
    asksByName(service)
      ? requested.includes(ip)
      : families.includes(familyOf(ip)) && previous.findIndex((one) => familyOf(one) === familyOf(ip)) === i;
  const has = previous.filter(wants);
  return {
    service,
    has,
    old: previous.filter((ip) => !has.includes(ip)),
    refusals: [],
    invalid: new Map(),
    note: undefined,
  };
}

/** What it has and wants stays; whether it still could be had is only noted. */
function keep({ service, has, invalid }: Work, ground: Ground, book: Book): void {
  for (const ip of has) {
    if (!service.has.includes(ip)) continue;
    const why = whyInvalid(service, ip, { ground, book });
    if (why !== undefined) invalid.set(ip, why);
    book.take(ip, service);
  }
}

/** What was decided and is not written yet has to be to be had still. */
function keepPending(work: Work, ground: Ground, book: Book): void {
  const { service } = work;
  work.has = work.has.filter((ip) => {
    if (service.has.includes(ip)) return true;
    if (pendingObstacle(service, ip, { ground, book }) !== undefined) return false;
    book.take(ip, service);
    return true;
  });
}

type Surroundings = { readonly ground: Ground; readonly book: Book };

function whyInvalid(service: LbServiceRow, ip: Ip, { ground: { pools }, book }: Surroundings): string | undefined {
  const having = pools.filter((pool) => poolHas(pool, ip));
  if (having.length === 0) return 'no pool has it any more';
  if (!having.some((pool) => poolSelects(pool, service.labels)))
    return `pool ${having.map(({ name }) => name).join(', ')} does not select this Service any more`;
  for (const holder of book.holders(ip)) {
    const obstacle = sharingObstacle(service, holder);
    if (obstacle !== undefined) return `Service ${holder.name} has it, too, and ${obstacle}`;
  }
  return undefined;
}

function pendingObstacle(service: LbServiceRow, ip: Ip, { ground, book }: Surroundings): string | undefined {
  return (addressRefusal(ground, service, ip) ?? holderRefusal(service, ip, book.holders(ip)))?.message;
}

function named(work: Work, ground: Ground, book: Book): void {
  const { service, refusals } = work;
  for (const text of service.unreadable) refusals.push(invalidAddress(text));
  for (const ip of service.requested) {
    if (work.has.includes(ip)) continue;
    const refused = addressRefusal(ground, service, ip) ?? holderRefusal(service, ip, book.holders(ip));
    if (refused) refusals.push(refused);
    else {
      book.evict(ip);
      book.take(ip, service);
      work.has.push(ip);
    }
  }
  work.has = service.requested.filter((ip) => work.has.includes(ip));
}

function anyOf(work: Work, ground: Ground, book: Book): void {
  const { service } = work;
  const open = openPools(ground, service);
  const absent: Refusal[] = [];
  for (const family of service.families) {
    const present = work.has.find((ip) => familyOf(ip) === family);
    const pools = present === undefined ? open : movesInto(present, work, open);
    const without = new Set(service.released);
    const pending = work.old.find(
      (ip) => familyOf(ip) === family && pools.some((pool) => poolHas(pool, ip)) && isPending(work, ip, { ground, book }),
    );
    const found = pending ?? sharedFor(service, family, pools, book) ?? firstOf(pools, (pool) => book.lowest(pool, family, without));
    if (found !== undefined && found !== present) {
      book.take(found, service);
      work.has = [...work.has.filter((ip) => ip !== present), found];
      if (present !== undefined) work.invalid.delete(present);
      work.old = work.old.filter((ip) => ip !== found);
    } else if (present === undefined) absent.push(familyRefusal(ground, service, family));
  }
  work.has = service.families.flatMap((family) => work.has.filter((ip) => familyOf(ip) === family));
  const enough = service.prefersDual && work.has.length > 0 && absent.every(({ cause }) => cause === 'NoPoolOfFamily');
  if (enough) work.note = absent[0]?.message;
  else work.refusals.push(...absent);
}

/** Decided on for it, not written yet, and to be had still. */
function isPending({ service }: Work, ip: Ip, surroundings: Surroundings): boolean {
  return !service.has.includes(ip) && !service.released.includes(ip) && pendingObstacle(service, ip, surroundings) === undefined;
}

/** The pools to which somebody has agreed to move the address: none, as a rule. */
function movesInto(ip: Ip, { service, invalid }: Work, open: readonly PoolRow[]): readonly PoolRow[] {
  if (service.released.includes(ip)) return open;
  return invalid.has(ip) ? open.filter(({ replaces }) => replaces.includes(ip)) : [];
}

/** An address of somebody with whom it may be shared. */
function sharedFor(service: LbServiceRow, family: Family, pools: readonly PoolRow[], book: Book): Ip | undefined {
  if (service.sharing === undefined || pools.length === 0) return undefined;
  const candidates = book.shared(service.sharing.key).flatMap((other) => (other === service ? [] : book.has(other)));
  return candidates.find(
    (ip) =>
      familyOf(ip) === family &&
      !service.released.includes(ip) &&
      !book.isLeft(ip) &&
      pools.some((pool) => poolHas(pool, ip)) &&
      book.holders(ip).every((holder) => holder !== service && sharingObstacle(service, holder) === undefined),
  );
}

/** Says why it has an address of its own although others have its sharing key. */
function explain(work: Work, book: Book): void {
  const { service, has } = work;
  if (service.sharing === undefined || has.length === 0 || has.some((ip) => book.holders(ip).length > 1)) return;
  const other = book.shared(service.sharing.key).find((one) => one !== service);
  if (other === undefined) return;
  const why = sharingObstacle(service, other) ?? 'each had an address before, which it keeps';
  work.note = `It does not share ${book.has(other).join(', ')} with Service ${other.name}: ${why}`;
}

type Plan = { readonly ground: Ground; readonly book: Book; readonly planned: Set<Ip> };

function resultOf(work: Work, { ground, book, planned }: Plan): Allocation {
  const { service, has, old, refusals, note } = work;
  const pools = openPools(ground, service);
  const kept = has.flatMap((ip): readonly Kept[] => {
    const because = work.invalid.get(ip);
    if (because === undefined) return [];
    const family = familyOf(ip);
    const found = asksByName(service)
      ? undefined
      : firstOf(pools, (pool) => {
          const to = book.lowest(pool, family, planned);
          return to === undefined ? undefined : { to, pool: pool.name };
        });
    if (found) planned.add(found.to);
    return [{ ip, because, to: found?.to, pool: found?.pool }];
  });
  const ips = refusals.length === 0 ? has : [...has, ...old.filter((ip) => service.has.includes(ip))];
  return { uid: service.uid, ips, refusals, kept, note };
}

function firstOf<T, R>(from: Iterable<T>, find: (one: T) => R | undefined): R | undefined {
  for (const one of from) {
    const found = find(one);
    if (found !== undefined) return found;
  }
  return undefined;
}
