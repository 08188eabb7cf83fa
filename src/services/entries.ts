// SPDX-License-Identifier: Apache-2.0
// From frontends and backend sets to the entries of the service maps. One entry in, one entry out: what a row becomes in the
// kernel can be read here, and the reconciler needs to know nothing of it.

import { assignSlots } from '../base/assign.ts';
import type { Numbered } from '../base/assign.ts';
import { familyOf } from '../base/ip.ts';
import type { Problem } from '../base/problem.ts';
import type { Table } from '../base/table.ts';
import { mapEntry, mapKinds } from '../datapath/maps.ts';
import type { MapEntry } from '../datapath/maps.ts';
import { Protocol } from '../datapath/protocols.ts';
import { LbMemberState, LbServiceFlag } from '../datapath/schema.gen.ts';
import type {
  LbBackend,
  LbBackendKey,
  LbFrontend,
  LbMember,
  LbMemberValue,
  LbService,
  LbSlot,
  LbSlotValue,
  LbSourceRange,
  LbSourceRangeValue,
} from '../datapath/schema.gen.ts';
import { frontendKey, LOCAL } from './frontends.ts';
import type { Backend, BackendSet, Frontend, FrontendKey, SetKey } from './frontends.ts';
import type { Redirect } from './redirect.ts';

/** A backend set with its number and its backends' numbers by slot. */
export type SlotRow = { readonly id: number; readonly backends: readonly number[] };

/** All backends of one set, by their own address. */
export function* backendsFor(set: BackendSet | undefined): Iterable<readonly [FrontendKey, Backend]> {
  for (const { address, port, protocol } of [...(set?.backends ?? []), ...(set?.draining ?? [])])
    yield [frontendKey({ address, port, protocol }), { address, port, protocol }];
}

export type SlotTables = {
  readonly sets: Table<SetKey, BackendSet>;
  readonly setIds: Table<SetKey, Numbered>;
  readonly backendIds: Table<FrontendKey, Numbered>;
};

/** The slots of one set; a backend that stays keeps its slot, so that `previous` and the result differ in as little as can be. */
export function* slotsFor(
  key: SetKey,
  tables: SlotTables,
  previous: (id: number) => readonly number[],
): Iterable<readonly [SetKey, SlotRow]> {
  const set = tables.sets.get(key);
  const id = tables.setIds.get(key)?.id;
  if (!set || id === undefined) return;
  const wanted = set.backends.map((backend) => tables.backendIds.get(frontendKey(backend))?.id).filter((backend) => backend !== undefined);
  yield [key, { id, backends: assignSlots(previous(id), wanted) }];
}

export function* backendEntries(
  key: FrontendKey,
  backends: Table<FrontendKey, Backend>,
  ids: Table<FrontendKey, Numbered>,
): Iterable<readonly [string, MapEntry<LbBackendKey, LbBackend>]> {
  const backend = backends.get(key);
  const id = ids.get(key)?.id;
  if (!backend || id === undefined) return;
  yield mapEntry(mapKinds.lbBackends, { id }, { address: backend.address, port: backend.port, protocol: Protocol[backend.protocol] });
}

/** Of a set whose clients or flows stay with a backend: see struct lb_member. */
export function* memberEntries(key: SetKey, tables: SlotTables): Iterable<readonly [string, MapEntry<LbMember, LbMemberValue>]> {
  const set = tables.sets.get(key);
  const service = tables.setIds.get(key)?.id;
  if (!set || service === undefined || (set.protocol === 'TCP' && set.affinity === 0)) return;
  const states = [
    [set.backends, LbMemberState.active],
    [set.draining, LbMemberState.draining],
  ] as const;
  for (const [backends, state] of states)
    for (const one of backends) {
      const backend = tables.backendIds.get(frontendKey(one))?.id;
      if (backend !== undefined) yield mapEntry(mapKinds.lbMembers, { service, backend }, { state });
    }
}

/** The prefixes that clients on the wire are looked up in. */
export function* sourceRangeEntries(
  key: SetKey,
  { sets, setIds }: Pick<SlotTables, 'sets' | 'setIds'>,
): Iterable<readonly [string, MapEntry<LbSourceRange, LbSourceRangeValue>]> {
  const service = setIds.get(key)?.id;
  if (service === undefined) return;
  for (const { ip, bits } of sets.get(key)?.sourceRanges ?? []) {
    const prefixLength = 32 + (familyOf(ip) === 4 ? 96 : 0) + bits;
    yield mapEntry(mapKinds.lbSourceRanges, { prefixLength, service, address: ip }, { present: 1 });
  }
}

export function* slotEntries(row: SlotRow | undefined): Iterable<readonly [string, MapEntry<LbSlot, LbSlotValue>]> {
  for (const [slot, backend] of (row?.backends ?? []).entries())
    yield mapEntry(mapKinds.lbSlots, { service: row?.id ?? 0, slot }, { backend });
}

export function* serviceEntries(
  frontend: Frontend | undefined,
  redirect: Redirect | Problem | undefined,
  slots: Table<SetKey, SlotRow>,
): Iterable<readonly [string, MapEntry<LbFrontend, LbService>] | Problem> {
  if (redirect !== undefined && 'kind' in redirect) yield redirect;
  const elsewhere = redirect === undefined || 'kind' in redirect ? undefined : slots.get(redirect.set);
  const aside = { redirect: elsewhere?.id ?? 0, redirectBackends: elsewhere?.backends.length ?? 0 };
  if (!frontend) {
    if (redirect === undefined || 'kind' in redirect || aside.redirectBackends === 0) return;
    const { address, port, protocol } = redirect;
    yield mapEntry(mapKinds.lbServices, { address, port, protocol: Protocol[protocol] }, { ...NO_SETS, ...aside });
    return;
  }
  const { address, port, protocol, type, affinity, choice, dsr, delegate, sourceRanges } = frontend;
  const inside = frontend.set === undefined ? NOBODY : slots.get(frontend.set);
  const outside = frontend.outside === undefined ? NOBODY : slots.get(frontend.outside);
  if (!inside || !outside) return;
  const sets = { id: inside.id, backends: inside.backends.length, outside: outside.id, outsideBackends: outside.backends.length };
  const ranges = sourceRanges === undefined ? 0 : RANGE_FLAGS[sourceRanges];
  const flags =
    TYPE_FLAG[type] |
    CHOICE_FLAGS[choice] |
    (dsr ? LbServiceFlag.dsr : 0) |
    (delegate ? LbServiceFlag.delegate : 0) |
    ranges |
    localFlags(frontend);
  yield mapEntry(mapKinds.lbServices, { address, port, protocol: Protocol[protocol] }, { ...sets, affinity, flags, ...aside });
}

function localFlags({ type, set, outside }: Frontend): number {
  const [external, internal] = [outside, set].map((key) => key?.endsWith(LOCAL) === true);
  return (external === true && type !== 'HostPort' ? LbServiceFlag.local : 0) | (internal === true ? LbServiceFlag.internalLocal : 0);
}

const NO_SETS = { id: 0, backends: 0, affinity: 0, outside: 0, outsideBackends: 0, flags: 0 } as const;
const NOBODY: SlotRow = { id: 0, backends: [] };

const TYPE_FLAG = {
  ClusterIP: 0,
  NodePort: LbServiceFlag.nodePort,
  LoadBalancer: LbServiceFlag.loadBalancer,
  ExternalIPs: LbServiceFlag.externalIps,
  HostPort: LbServiceFlag.hostPort,
} as const;

const CHOICE_FLAGS = { random: 0, client: LbServiceFlag.maglev, flow: LbServiceFlag.maglev | LbServiceFlag.maglevFlow } as const;

const RANGE_FLAGS = { allow: LbServiceFlag.sourceRanges, deny: LbServiceFlag.sourceRanges | LbServiceFlag.sourceRangesDeny } as const;
