// SPDX-License-Identifier: Apache-2.0
// The service maps in the rows that users know: for each frontend a first row with its id and flags, then one for each slot.

import { addressPort, familyOf } from '../base/ip.ts';
import { mapKinds } from '../datapath/maps.ts';
import { LbAddressFlag } from '../datapath/schema.gen.ts';
import type { LbBackend, LbFrontend, LbService, LbSlot } from '../datapath/schema.gen.ts';

export type ServiceMaps = {
  readonly services: readonly { readonly key: LbFrontend; readonly value: LbService }[];
  readonly slots: Iterable<{ readonly key: LbSlot; readonly value: { readonly backend: number } }>;
  readonly backends: Iterable<{ readonly key: { readonly id: number }; readonly value: LbBackend }>;
  readonly addresses: Iterable<{ readonly key: string; readonly value: { readonly flags: number } }>;
};

/** What a row shows in its first column, and in its others. */
export type BpfRow = readonly [key: string, value: string];

/** 'ip:port/PROTO (slot)' to what is there. `frontends`: without the slots. */
export function serviceMapRows({ services, slots, backends, addresses }: ServiceMaps, frontends: boolean): BpfRow[] {
  const byId = new Map(Array.from(backends, ({ key, value }) => [key.id, value]));
  const slotOf = new Map(Array.from(slots, ({ key, value }) => [mapKinds.lbSlots.text(key), value.backend]));
  const flagsOf = new Map(Array.from(addresses, ({ key, value }) => [key, value.flags]));
  const sorted = services.toSorted(
    (a, b) => a.value.id - b.value.id || (mapKinds.lbServices.text(a.key) < mapKinds.lbServices.text(b.key) ? -1 : 1),
  );
  return sorted.flatMap(({ key, value: { id, backends: count, affinity } }): BpfRow[] => {
    const frontend = mapKinds.lbServices.text(key);
    const nowhere = familyOf(key.address) === 4 ? '0.0.0.0:0' : '[::]:0';
    const first: BpfRow = [`${frontend} (0)`, `${nowhere} (${id}) (0) [${flagWords(flagsOf.get(key.address) ?? 0, affinity)}]`];
    if (frontends) return [first];
    const rest = Array.from({ length: count }, (_, slot): BpfRow => {
      const backend = slotOf.get(mapKinds.lbSlots.text({ service: id, slot }));
      const found = backend === undefined ? undefined : byId.get(backend);
      return [`${frontend} (${slot + 1})`, found ? `${backendText(found)} (${id}) (${slot + 1})` : `backend ${backend ?? '?'} not found`];
    });
    return [first, ...rest];
  });
}

/** Backend id to its address. */
export function backendMapRows(backends: ServiceMaps['backends']): BpfRow[] {
  return Array.from(backends, ({ key, value }) => [key.id, value] as const)
    .sort(([a], [b]) => a - b)
    .map(([id, backend]) => [String(id), backendText(backend)]);
}

/** Service id to each of its frontends. */
export function reverseRows(services: ServiceMaps['services']): BpfRow[] {
  return services
    .toSorted((a, b) => a.value.id - b.value.id)
    .map(({ key, value }) => [String(value.id), addressPort(key.address, key.port)]);
}

function backendText(backend: LbBackend): string {
  return mapKinds.lbServices.text(backend);
}

function flagWords(flags: number, affinity: number): string {
  const words = ['ClusterIP', affinity > 0 && 'sessionAffinity', (flags & LbAddressFlag.internal) !== 0 && 'non-routable'];
  return words.filter((word) => word !== false).join(', ');
}

/** Rows as an object of lists, the shape that scripts know. */
export function rowsObject(rows: readonly BpfRow[]): Readonly<Record<string, readonly string[]>> {
  const found: Record<string, string[]> = {};
  for (const [key, value] of rows) (found[key] ??= []).push(value);
  return found;
}
