// SPDX-License-Identifier: Apache-2.0
// What is true of an address whatever the port: who finds it, and to whom it answers pings and refuses ports that nobody serves.

import type { Numbered } from '../base/assign.ts';
import type { Ip } from '../base/ip.ts';
import type { Table } from '../base/table.ts';
import { mapEntry, mapKinds } from '../datapath/maps.ts';
import type { MapEntry } from '../datapath/maps.ts';
import { LbAddressFlag } from '../datapath/schema.gen.ts';
import type { LbAddress } from '../datapath/schema.gen.ts';
import type { NodeAddress } from '../nodes/node-ports.ts';
import type { BackendSet, Frontend, FrontendKey, SetKey } from './frontends.ts';
import type { Redirect } from './redirect.ts';

export type AddressTables = {
  /** Indexed by address. */
  readonly frontends: Table<FrontendKey, Frontend>;
  readonly sets: Table<SetKey, BackendSet>;
  readonly setIds: Table<SetKey, Numbered>;
  /** Indexed by address. */
  readonly redirects: Table<FrontendKey, Redirect>;
  readonly nodeAddresses: Table<string, NodeAddress>;
};

/** The address that a frontend takes packets of, whatever their port. Node ports and host ports leave the rest to the node. */
export function addressesOf({ type, address }: Pick<Frontend, 'type' | 'address'>): readonly Ip[] {
  return type === 'NodePort' || type === 'HostPort' ? [] : [address];
}

/** This node's own, a Service's, or somebody else's of which a policy redirects ports. */
export function* addressEntries(address: string, tables: AddressTables): Iterable<readonly [string, MapEntry<Ip, LbAddress>]> {
  const { frontends, redirects, nodeAddresses } = tables;
  const own = nodeAddresses.get(address);
  const served = [...frontends.by('address', address)];
  const [redirect] = [...redirects.by('address', address)].filter(({ service }) => service === undefined);
  const entry = (key: Ip, flags: number, guards: LbAddress['guards']) => mapEntry(mapKinds.lbAddresses, key, { flags, guards });
  const [first] = served;
  if (own) yield entry(own.address, LbAddressFlag.node, NO_GUARDS);
  else if (first) {
    const guards = guardsOf(served, tables);
    let flags = 0;
    for (const { set, outside } of served)
      flags |= (set === undefined ? 0 : LbAddressFlag.inside) | (outside === undefined ? 0 : LbAddressFlag.outside);
    for (const [i, { policy }] of guards.entries()) if (policy === 'deny') flags |= LbAddressFlag.deny << i;
    yield entry(
      first.address,
      flags,
      NO_GUARDS.map((none, i) => guards[i]?.id ?? none),
    );
  } else if (redirect) yield entry(redirect.address, LbAddressFlag.redirect, NO_GUARDS);
}

const NO_GUARDS = [0, 0, 0] as const;

type Guard = { readonly id: number; readonly policy: 'allow' | 'deny' };

/**
 * The different source ranges of those who share an address, if all have some: who is let in by one of them may know that the address
 * lives. More of them than there is room for are as none; the ports that are served are guarded in any case.
 */
function guardsOf(served: readonly Frontend[], { sets, setIds }: AddressTables): readonly Guard[] {
  const found = new Map<string, Guard>();
  for (const { outside, sourceRanges: policy } of served) {
    if (outside === undefined) continue;
    const id = setIds.get(outside)?.id;
    if (policy === undefined || id === undefined) return [];
    const prefixes = (sets.get(outside)?.sourceRanges ?? []).map(({ ip, bits }) => `${ip}/${bits}`);
    const key = `${policy} ${prefixes.toSorted().join(' ')}`;
    const known = found.get(key);
    if (!known || id < known.id) found.set(key, { id, policy });
  }
  const guards = [...found.values()].toSorted((a, b) => a.id - b.id);
  return guards.length > NO_GUARDS.length ? [] : guards;
}
