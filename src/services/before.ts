// SPDX-License-Identifier: Apache-2.0
// What the kernel's service maps held when the agent started: where numbers and slots are durable.

import { mapKinds } from '../datapath/maps.ts';
import type { MapEntry } from '../datapath/maps.ts';
import type { LbBackend, LbBackendKey, LbFrontend, LbService, LbSlot, LbSlotValue } from '../datapath/schema.gen.ts';

export type ServicesBefore = {
  /** Frontend key to the id of its backend set. */
  readonly setOf: ReadonlyMap<string, number>;
  /** Backend key to id. */
  readonly backendOf: ReadonlyMap<string, number>;
  /** Id of a backend set to the ids of its backends by slot. */
  readonly slotsOf: ReadonlyMap<number, readonly number[]>;
};

type Listed<K, V> = Iterable<readonly [string, MapEntry<K, V>]>;
export type ServiceMaps = {
  readonly services: Listed<LbFrontend, LbService>;
  readonly slots: Listed<LbSlot, LbSlotValue>;
  readonly backends: Listed<LbBackendKey, LbBackend>;
};

export function servicesBefore({ services, slots, backends }: ServiceMaps): ServicesBefore {
  const keyText = mapKinds.lbServices.text; // frontends and backends are written alike
  const setOf = new Map(Array.from(services, ([, { key, value }]) => [keyText(key), value.id]));
  const backendOf = new Map(Array.from(backends, ([, { key, value }]) => [keyText(value), key.id]));
  const slotsOf = new Map<number, number[]>();
  const sorted = Array.from(slots, ([, entry]) => entry).sort((a, b) => a.key.slot - b.key.slot);
  for (const { key, value } of sorted) {
    const backends = slotsOf.get(key.service);
    if (backends) backends.push(value.backend);
    else slotsOf.set(key.service, [value.backend]);
  }
  return { setOf, backendOf, slotsOf };
}
