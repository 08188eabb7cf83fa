// SPDX-License-Identifier: Apache-2.0
// Which interfaces lead out of the node, and what follows for the data plane.

import { familyOf, ip, macFromBytes } from '../base/ip.ts';
import type { Family, Ip, Mac } from '../base/ip.ts';
import type { Attachment, XdpMode } from '../datapath/attachments.ts';
import { mapEntry, mapKinds } from '../datapath/maps.ts';
import type { MapEntry } from '../datapath/maps.ts';
import type { InterfaceRow } from '../datapath/network.ts';
import type { Device } from '../datapath/schema.gen.ts';
import type { NodeRow } from './node.ts';
import { uplinkReason } from './uplink-reason.ts';

export type UplinkRow = {
  readonly index: number;
  readonly name: string;
  readonly mtu: number;
  readonly mac: Mac | undefined;
  /** What pods are masqueraded to: an address of the Node object where the interface has one, or has none but the node has. */
  readonly ipv4: Ip | undefined;
  readonly ipv6: Ip | undefined;
  /** Carries an address of the Node object: other nodes are reached through it. */
  readonly directRouting: boolean;
};

/** All zeroes, as the data plane reads "not masqueraded". */
const NONE = ip('::');
/** Of an interface that has no link address; no frame is for it. */
const NO_MAC = macFromBytes(Buffer.alloc(6));

export type UplinkOptions = {
  /** As in the values; empty: those with a node address or a default route. uplinkReason() decides. */
  readonly devices: readonly string[];
  /** Addresses of all interfaces. */
  readonly local: readonly Ip[];
};

export function* uplinksFor(
  row: InterfaceRow | undefined,
  self: NodeRow | undefined,
  { devices, local }: UplinkOptions,
): Iterable<readonly [string, UplinkRow]> {
  if (!row || !uplinkReason(row, self, devices).uplink) return;
  const { index, name, mtu, mac } = row;
  const addresses = row.addresses.map((address) => address.ip);
  const ofNode = (self?.addresses ?? []).filter((address) => local.includes(address));
  const own = addresses.filter((address) => ofNode.includes(address));
  const first = (family: Family) => [...own, ...addresses, ...ofNode].find((address) => familyOf(address) === family);
  yield [name, { index, name, mtu, mac, ipv4: first(4), ipv6: first(6), directRouting: own.length > 0 }];
}

/** `uplinks`: how many there are. */
export function* deviceEntries(uplink: UplinkRow | undefined, uplinks: number): Iterable<readonly [string, MapEntry<number, Device>]> {
  if (!uplink) return;
  const { ipv4 = NONE, ipv6 = NONE, mac = NO_MAC } = uplink;
  yield mapEntry(mapKinds.devices, uplink.index, { ipv4, ipv6, mac, others: uplinks - 1 });
}

/** Ids of the loaded host_from and host_to, and of xdp_from where the values want it. */
export type UplinkPrograms = {
  readonly from: number;
  readonly to: number;
  readonly xdp: { readonly program: number; readonly mode: XdpMode; readonly optional: boolean } | undefined;
};

export function* uplinkAttachments(uplink: UplinkRow | undefined, programs: UplinkPrograms): Iterable<readonly [string, Attachment]> {
  if (!uplink) return;
  const { name, index } = uplink;
  yield [`${name}-ingress`, { kind: 'tcx', index, direction: 'ingress', program: programs.from }];
  yield [`${name}-egress`, { kind: 'tcx', index, direction: 'egress', program: programs.to }];
  if (programs.xdp) yield [`${name}-xdp`, { kind: 'xdp', index, ...programs.xdp }];
}
