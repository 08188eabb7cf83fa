// SPDX-License-Identifier: Apache-2.0
// From a service address to a backend, at the socket and packet by packet.

import { familyOf } from '../base/ip.ts';
import type { EndpointRow } from '../endpoints/endpoint.ts';
import { LbAddressFlag, LbServiceFlag } from '../datapath/schema.gen.ts';
import * as look from './lookups.ts';
import type { Moving, Place } from './packet.ts';
import { end, say } from './walk.ts';
import type { End, Walk } from './walk.ts';

/**
 * bpf/sock.bpf.c translate(), of connect(): the packet with the backend as its destination, or the end. `pod`: whose socket it is; undefined:
 * the node's own.
 */
export function atSocket(walk: Walk, packet: Moving, pod: EndpointRow | undefined): Moving | End {
  const hook = familyOf(packet.destination) === 4 ? 'sock_connect4' : 'sock_connect6';
  if (packet.protocol === 'icmp' || !walk.tables.nodes.attachments.has(hook)) return packet;
  if (pod && look.isLoopback(packet.destination)) return packet;
  const exempt = pod && look.exemption(pod, walk.tables);
  if (exempt !== undefined) {
    say(walk, hook, `sock_exempt ${pod?.netnsCookie}`, [`exempt: ${exempt}`, 'leaves the socket as it is, and the service to the packet']);
    return packet;
  }
  const served = atService(walk, hook, packet, look.clientAt(pod, 'socket'));
  if (served.kind === 'backend') return served.packet;
  if (served.kind === 'none') return packet;
  if (served.because === 'no backend' || packet.protocol === 'tcp') return end({ kind: 'refused', because: served.because }, packet);
  say(walk, hook, 'protocol', ['udp', 'lets the socket connect: what it sends is looked at as a packet']);
  return packet;
}

export type Served =
  | { readonly kind: 'none' }
  | { readonly kind: 'backend'; readonly packet: Moving; readonly delegated: boolean }
  | { readonly kind: 'refused'; readonly because: 'no backend' | 'no such port' };

/** Service, slot and backend, as bpf/lib/service.h looks them up. */
export function atService(walk: Walk, hook: Place, packet: Moving, client: look.Client): Served {
  const { tables } = walk;
  const flags = look.addressFlags(packet.destination, tables);
  const isService = (flags & LbAddressFlag.inside) !== 0;
  if (!isService && (flags & (LbAddressFlag.node | LbAddressFlag.redirect)) === 0) {
    say(walk, hook, `lb_addresses ${packet.destination}`, [undefined, 'not the address of a service: goes on as it is']);
    return { kind: 'none' };
  }
  const own = (flags & LbAddressFlag.node) === 0 ? 'an address that a policy redirects some ports of' : 'an address of this node';
  const found = isService ? 'a service address' : own;
  say(walk, hook, `lb_addresses ${packet.destination}`, [found, 'looks for the service at this port']);
  const service = look.serviceAt(packet, flags, tables, client);
  const key = service?.key ?? look.serviceKey(packet);
  if (!service) {
    say(walk, hook, `lb_services ${key}`, [
      undefined,
      isService ? 'nobody serves this port' : 'not the port of a service: goes on as it is',
    ]);
    return isService ? { kind: 'refused', because: 'no such port' } : { kind: 'none' };
  }
  return atBackend(walk, hook, packet, service);
}

function atBackend(walk: Walk, hook: Place, packet: Moving, service: look.ServiceFound): Served {
  const { tables } = walk;
  const { id, backends, affinity, flags } = service.entry;
  const count = `${backends} backend${backends === 1 ? '' : 's'}`;
  say(walk, hook, `lb_services ${service.key}`, [
    `service ${service.name}${redirectText(service.redirect)}, id ${id}, ${count}`,
    choiceText(backends, affinity, choiceWord(flags, isSocket(hook))),
  ]);
  walk.backends = Math.max(1, backends);
  const chosen = look.backendOf(service.entry, walk.choice, tables);
  if (!chosen) {
    if (backends > 0) say(walk, hook, `lb_slots ${id}/${walk.choice % backends}`, [undefined, 'refuses: the slot leads to no backend']);
    return { kind: 'refused', because: 'no backend' };
  }
  const { address, port } = chosen.backend;
  const where = look.endText(packet.protocol, address, port);
  const decision = isSocket(hook) ? `the socket is connected to ${where}, and still sees the service` : `the packet goes to ${where}`;
  say(walk, hook, `lb_slots ${id}/${chosen.slot}, lb_backends ${chosen.id}`, [where, decision]);
  const delegated = (flags & LbServiceFlag.delegate) !== 0;
  return { kind: 'backend', delegated, packet: { ...packet, destination: address, destinationPort: port } };
}

/** The same for a packet from the wire; bpf/host.bpf.c open_flow(). */
export function atUplink(walk: Walk, packet: Moving): Served | { readonly kind: 'inside' | 'kept out' } {
  const flags = look.addressFlags(packet.destination, walk.tables);
  const key = `lb_addresses ${packet.destination}`;
  const reached = (flags & (LbAddressFlag.outside | LbAddressFlag.node)) !== 0;
  const service = reached ? look.serviceAt(packet, flags, walk.tables, 'outside') : undefined;
  if (service) {
    say(walk, 'host_from', key, ['an address that the wire reaches', 'looks for the service at this port']);
    if (!look.admits(service.entry, packet.source, walk.tables)) {
      say(walk, 'host_from', `lb_source_ranges ${service.entry.id} ${packet.source}`, [
        'loadBalancerSourceRanges',
        'drops it: this client is kept out',
      ]);
      return { kind: 'kept out' };
    }
    return atBackend(walk, 'host_from', packet, service);
  }
  if ((flags & LbAddressFlag.outside) !== 0) {
    if (!look.addressAdmits(packet.destination, packet.source, walk.tables)) {
      say(walk, 'host_from', key, ['loadBalancerSourceRanges', 'drops it: no service of this address lets this client in']);
      return { kind: 'kept out' };
    }
    say(walk, 'host_from', key, ['a service address', 'nobody serves this port']);
    return { kind: 'refused', because: 'no such port' };
  }
  if ((flags & LbAddressFlag.inside) !== 0) {
    say(walk, 'host_from', key, ['a service address', 'drops it: from the wire nobody reaches it']);
    return { kind: 'inside' };
  }
  say(walk, 'host_from', key, [flags === 0 ? undefined : 'an address of this node', 'not the port of a service']);
  return { kind: 'none' };
}

function redirectText(redirect: look.ServiceFound['redirect']): string {
  if (!redirect) return '';
  return redirect.skipped ? `, whose redirect by ${redirect.policy} this client skips` : `, led to pods of this node by ${redirect.policy}`;
}

function isSocket(hook: Place): boolean {
  return hook.startsWith('sock_');
}

function choiceWord(flags: number, isSocket: boolean): string {
  if ((flags & LbServiceFlag.maglev) !== 0 && (flags & LbServiceFlag.maglevFlow) === 0) return "by the client's address (Maglev)";
  if (isSocket) return 'at random';
  return `by its addresses and ports${(flags & LbServiceFlag.maglev) === 0 ? '' : ' (Maglev)'}`;
}

/** `how`: a program of packets gives one flow the same backend whenever it asks. */
function choiceText(backends: number, affinity: number, how: string): string {
  if (backends === 0) return 'refuses: no backend';
  if (backends === 1) return 'takes its only backend';
  if (affinity === 0) return `takes one of ${backends} ${how}`;
  return `takes the one that the client has had for less than ${affinity} s, else one of ${backends} ${how}`;
}
