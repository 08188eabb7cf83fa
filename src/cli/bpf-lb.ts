// SPDX-License-Identifier: Apache-2.0
// The service maps in the rows that users know: for each frontend a first row with its id and flags, then one for each slot.

import { addressPort, familyOf } from '../base/ip.ts';
import { mapKinds } from '../datapath/maps.ts';
import { LbAddressFlag, LbServiceFlag } from '../datapath/schema.gen.ts';
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
  const backendAt = (service: number, slot: number) => {
    const backend = slotOf.get(mapKinds.lbSlots.text({ service, slot }));
    const found = backend === undefined ? undefined : byId.get(backend);
    return found ? `${backendText(found)} (${service}) (${slot + 1})` : `backend ${backend ?? '?'} not found`;
  };
  const sorted = services.toSorted(
    (a, b) => idOf(a.value) - idOf(b.value) || (mapKinds.lbServices.text(a.key) < mapKinds.lbServices.text(b.key) ? -1 : 1),
  );
  return sorted.flatMap(({ key, value }): BpfRow[] => {
    const nowhere = familyOf(key.address) === 4 ? '0.0.0.0:0' : '[::]:0';
    const words = flagWords(flagsOf.get(key.address) ?? 0, value);
    return scopesOf(value).flatMap(({ id, count, suffix }) => {
      const frontend = `${mapKinds.lbServices.text(key)}${suffix}`;
      const first: BpfRow = [`${frontend} (0)`, `${nowhere} (${id}) (0) [${words}]`];
      const rest = Array.from({ length: frontends ? 0 : count }, (_, slot): BpfRow => [`${frontend} (${slot + 1})`, backendAt(id, slot)]);
      return [first, ...rest];
    });
  });
}

type Scope = { readonly id: number; readonly count: number; readonly suffix: '' | '/i' };

/** Its backends for the wire, and those that a policy leads to, or those for clients inside the cluster under '/i' where they are others. */
function scopesOf({ backends, outside, outsideBackends, ...more }: LbService): readonly Scope[] {
  if (more.redirectBackends > 0) {
    const own = { id: more.redirect, count: more.redirectBackends, suffix: outside === 0 ? '' : '/i' } as const;
    return [...(outside === 0 ? [] : [{ id: outside, count: outsideBackends, suffix: '' } as const]), own];
  }
  const { id } = more;
  const inside = { id, count: backends, suffix: outside === 0 || outside === id ? '' : '/i' } as const;
  const wire = { id: outside, count: outsideBackends, suffix: '' } as const;
  return [...(outside === 0 || outside === id ? [] : [wire]), ...(id === 0 ? [] : [inside])];
}

function idOf({ id, outside, redirect, redirectBackends }: LbService): number {
  if (outside === 0 && redirectBackends > 0) return redirect;
  return outside === 0 ? id : outside;
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
    .toSorted((a, b) => idOf(a.value) - idOf(b.value))
    .map(({ key, value }) => [String(idOf(value)), addressPort(key.address, key.port)]);
}

function backendText(backend: LbBackend): string {
  return mapKinds.lbServices.text(backend);
}

function flagWords(address: number, { id, affinity, outside, flags, redirectBackends }: LbService): string {
  const has = (flag: number) => (flags & flag) !== 0;
  const type = redirectBackends > 0 ? 'LocalRedirect' : (TYPES.find(([flag]) => has(flag))?.[1] ?? 'ClusterIP');
  const words = [
    type,
    has(LbServiceFlag.local) && 'Local',
    has(LbServiceFlag.internalLocal) && 'InternalLocal',
    (redirectBackends > 0 || (id !== 0 && id !== outside)) && outside !== 0 && 'two-scopes',
    affinity > 0 && 'sessionAffinity',
    address === LbAddressFlag.inside && 'non-routable',
    has(LbServiceFlag.sourceRanges) && 'check source-range',
    has(LbServiceFlag.sourceRangesDeny) && 'deny',
    has(LbServiceFlag.delegate) && 'delegate-if-local',
    has(LbServiceFlag.dsr) && 'dsr',
    has(LbServiceFlag.maglev) && (has(LbServiceFlag.maglevFlow) ? 'maglev by flow' : 'maglev'),
  ];
  return words.filter((word) => word !== false).join(', ');
}

const TYPES = [
  [LbServiceFlag.nodePort, 'NodePort'],
  [LbServiceFlag.loadBalancer, 'LoadBalancer'],
  [LbServiceFlag.externalIps, 'ExternalIPs'],
  [LbServiceFlag.hostPort, 'HostPort'],
] as const;

/** Rows as an object of lists, the shape that scripts know. */
export function rowsObject(rows: readonly BpfRow[]): Readonly<Record<string, readonly string[]>> {
  const found: Record<string, string[]> = {};
  for (const [key, value] of rows) (found[key] ??= []).push(value);
  return found;
}
