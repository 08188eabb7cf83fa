// SPDX-License-Identifier: Apache-2.0
// What the kernel's service maps held when the agent started: where numbers and slots are durable.

import { mapKinds } from '../datapath/maps.ts';
import type { MapEntry } from '../datapath/maps.ts';
import type { LbBackend, LbBackendKey, LbFrontend, LbService, LbSlot, LbSlotValue } from '../datapath/schema.gen.ts';

/** Whoever is numbered by it takes it out: from then on the tables know it, and a large cluster is not remembered twice. */
export type ServicesBefore = {
  /** Frontend key to the id of its backend set, for clients inside the cluster and for those on the wire. */
  readonly setOf: Map<string, number>;
  readonly outsideOf: Map<string, number>;
  /** Frontend key to the id of the set that a policy redirects to. */
  readonly redirectOf: Map<string, number>;
  /** Backend key to id. */
  readonly backendOf: Map<string, number>;
  /** Id of a backend set to the ids of its backends by slot. */
  readonly slotsOf: Map<number, readonly number[]>;
};

export function takeFrom<K, V>(known: Map<K, V>, key: K): V | undefined {
  const value = known.get(key);
  known.delete(key);
  return value;
}

type Listed<K, V> = Iterable<readonly [string, MapEntry<K, V>]>;
export type ServiceMaps = {
  readonly services: Listed<LbFrontend, LbService>;
  readonly slots: Listed<LbSlot, LbSlotValue>;
  readonly backends: Listed<LbBackendKey, LbBackend>;
};

/** Listings are long and their entries short-lived: each is let go before the next. */
export function servicesBefore({ services, slots, backends }: ServiceMaps): ServicesBefore {
  const keyText = mapKinds.lbServices.text; // frontends and backends are written alike
  const setOf = new Map<string, number>();
  const outsideOf = new Map<string, number>();
  const redirectOf = new Map<string, number>();
  for (const [, { key, value }] of services) {
    if (value.id !== 0) setOf.set(keyText(key), value.id);
    if (value.outside !== 0 && value.outside !== value.id) outsideOf.set(keyText(key), value.outside);
    if (value.redirect !== 0) redirectOf.set(keyText(key), value.redirect);
  }
  const backendOf = new Map<string, number>();
  for (const [, { key, value }] of backends) backendOf.set(keyText(value), key.id);
  const bySlot = new Map<number, number[]>();
  for (const [, { key, value }] of slots) {
    const own = bySlot.get(key.service) ?? [];
    own[key.slot] = value.backend; // they come in no order, and some may be missing
    bySlot.set(key.service, own);
  }
  const slotsOf = new Map<number, readonly number[]>();
  for (const [service, own] of bySlot) slotsOf.set(service, Object.values(own));
  return { setOf, outsideOf, redirectOf, backendOf, slotsOf };
}
