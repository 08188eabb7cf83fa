// SPDX-License-Identifier: Apache-2.0
// Which interface is an uplink, and why it is one or is none, in words that follow "chosen because" and "ignored because".
//
//   what no value can change: loopback, down, no Ethernet, ours ─▶ `devices` of the values ─▶ what it is: a member, a VRF, a dummy
//   ─▶ an address of the Node ─▶ a default route

import type { InterfaceRow } from '../datapath/network.ts';
import type { NodeRow } from './node.ts';

export type UplinkReason = { readonly uplink: boolean; readonly reason: string };

/** `self`: undefined while this node's object is not known. `devices`: as matchesDevice() reads them; empty: chosen. */
export function uplinkReason(row: InterfaceRow, self: NodeRow | undefined, devices: readonly string[]): UplinkReason {
  const never = obstacle(row, self);
  if (never !== undefined) return { uplink: false, reason: never };
  const pattern = devices.find((one) => matchesDevice(one, row.name));
  if (pattern?.startsWith('!') === true) return { uplink: false, reason: `devices in the values has ${pattern}` };
  if (pattern !== undefined) return { uplink: true, reason: 'devices in the values names it' };
  if (devices.some((one) => !one.startsWith('!'))) return { uplink: false, reason: `devices in the values has ${devices.join(', ')}` };
  const kind = whatItIs(row);
  if (kind !== undefined) return { uplink: false, reason: kind };
  const own = nodeAddress(row, self);
  if (own !== undefined) return { uplink: true, reason: `it has ${own}` };
  if (row.defaultRoute) return { uplink: true, reason: 'it has a default route' };
  const missing = self ? `Node ${self.name}` : 'the Node, which is not known';
  return { uplink: false, reason: `it has no default route and no address of ${missing}` };
}

/** A name, or its beginning and '+'; with '!' before it what must not be an uplink. The first that matches decides. */
function matchesDevice(pattern: string, name: string): boolean {
  const wanted = pattern.replace(/^!/, '');
  return wanted.endsWith('+') ? name.startsWith(wanted.slice(0, -1)) : wanted === name;
}

/** By kind of the kernel; of the others the kernel says only that they are no Ethernet. */
const withoutMac: Readonly<Record<string, string>> = {
  wireguard: 'it is WireGuard',
  ppp: 'it is PPP',
  wwan: 'it is a modem',
  ipoib: 'it is InfiniBand',
  ...Object.fromEntries(['tun', 'ipip', 'sit', 'ip6tnl', 'gre', 'ip6gre', 'vti', 'vti6', 'xfrm'].map((kind) => [kind, 'it is a tunnel'])),
};

/** Why it cannot be an uplink, whatever the values say. The programs of uplinks read Ethernet. */
function obstacle(row: InterfaceRow, self: NodeRow | undefined): string | undefined {
  if (row.loopback) return 'it is the loopback';
  if (!row.up) return 'it is down';
  if (row.mac === undefined) {
    const because = `it has no MAC address: ${withoutMac[row.kind ?? ''] ?? 'it is no Ethernet'}`;
    const used = [nodeAddress(row, self), row.defaultRoute ? 'a default route' : undefined].filter((one) => one !== undefined);
    return used.length === 0
      ? because
      : `${because}; it has ${used.join(' and ')}, so the host's stack alone carries what pods send through it, without masquerade`;
  }
  return isOfPlugin(row) ? 'a CNI plugin made it' : undefined;
}

/** Of ours or of a Cilium that was here before: 'cilium_host', 'lxc' and a hash. LXC's own bridge is lxcbr0. */
function isOfPlugin({ name, kind }: InterfaceRow): boolean {
  return name.startsWith('cilium_') || (kind === 'veth' && /^lxc([0-9a-f]{12}|_health)$/.test(name));
}

/** Why it is none unless the values name it. A VRF's members keep their addresses, and packets come and go by their programs. */
function whatItIs({ master, kind }: InterfaceRow): string | undefined {
  if (master && master.kind !== 'vrf') return `it is a member of ${master.kind === undefined ? '' : `the ${master.kind} `}${master.name}`;
  if (kind === 'vrf') return 'it is a VRF: packets come and go by its members';
  return kind === 'dummy' ? 'it is a dummy: it leads nowhere' : undefined;
}

/** '192.168.0.11, an address of Node node1'. */
function nodeAddress({ addresses }: InterfaceRow, self: NodeRow | undefined): string | undefined {
  const own = addresses.find((address) => self?.addresses.includes(address.ip));
  return own && `${own.ip}, an address of Node ${self?.name}`;
}
