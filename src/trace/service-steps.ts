// SPDX-License-Identifier: Apache-2.0
// From a service address to a backend, at the socket and packet by packet.

import { familyOf } from '../base/ip.ts';
import type { EndpointRow } from '../endpoints/endpoint.ts';
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
  const exempt = pod && look.exemption(pod, walk.tables);
  if (exempt !== undefined) {
    say(walk, hook, `sock_exempt ${pod?.netnsCookie}`, [`exempt: ${exempt}`, 'leaves the socket as it is, and the service to the packet']);
    return packet;
  }
  const served = atService(walk, hook, packet);
  if (served.kind === 'backend') return served.packet;
  if (served.kind === 'none') return packet;
  if (served.because === 'no backend' || packet.protocol === 'tcp') return end({ kind: 'refused', because: served.because }, packet);
  say(walk, hook, 'protocol', ['udp', 'lets the socket connect: what it sends is looked at as a packet']);
  return packet;
}

export type Served =
  | { readonly kind: 'none' }
  | { readonly kind: 'backend'; readonly packet: Moving }
  | { readonly kind: 'refused'; readonly because: 'no backend' | 'no such port' };

/** Service, slot and backend, as bpf/lib/service.h looks them up. */
export function atService(walk: Walk, hook: Place, packet: Moving): Served {
  const { tables } = walk;
  const key = look.serviceKey(packet);
  const service = look.serviceAt(packet, tables);
  if (!service) {
    say(walk, hook, `lb_services ${key}`, [undefined, 'not the port of a service']);
    return atAddress(walk, hook, packet);
  }
  const { id, backends, affinity } = service.entry;
  const count = `${backends} backend${backends === 1 ? '' : 's'}`;
  say(walk, hook, `lb_services ${key}`, [
    `service ${service.name}, id ${id}, ${count}`,
    choiceText(backends, affinity, hook === 'pod_from' ? 'by its addresses and ports' : 'at random'),
  ]);
  walk.backends = Math.max(1, backends);
  const chosen = look.backendOf(service.entry, walk.choice, tables);
  if (!chosen) {
    if (backends > 0) say(walk, hook, `lb_slots ${id}/${walk.choice % backends}`, [undefined, 'refuses: the slot leads to no backend']);
    return { kind: 'refused', because: 'no backend' };
  }
  const { address, port } = chosen.backend;
  const where = look.endText(packet.protocol, address, port);
  const decision = hook === 'pod_from' ? `the packet goes to ${where}` : `the socket is connected to ${where}, and still sees the service`;
  say(walk, hook, `lb_slots ${id}/${chosen.slot}, lb_backends ${chosen.id}`, [where, decision]);
  return { kind: 'backend', packet: { ...packet, destination: address, destinationPort: port } };
}

/** `how`: a program of packets gives one flow the same backend whenever it asks. */
function choiceText(backends: number, affinity: number, how: string): string {
  if (backends === 0) return 'refuses: no backend';
  if (backends === 1) return 'takes its only backend';
  if (affinity === 0) return `takes one of ${backends} ${how}`;
  return `takes the one that the client has had for less than ${affinity} s, else one of ${backends} ${how}`;
}

function atAddress(walk: Walk, hook: Place, { destination }: Moving): Served {
  const owned = look.isServiceAddress(destination, walk.tables);
  const decision = owned ? 'nobody serves this port' : 'not the address of a service: goes on as it is';
  say(walk, hook, `lb_addresses ${destination}`, [owned ? 'a service address' : undefined, decision]);
  return owned ? { kind: 'refused', because: 'no such port' } : { kind: 'none' };
}
