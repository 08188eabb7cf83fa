// SPDX-License-Identifier: Apache-2.0
// Walks the first packet of a flow through the tables of this node, in the order in which bpf/ decides. Nothing is sent.
//
//   pod ──▶ [sock_connect] ──▶ pod_from ─┬─▶ a pod of this node
//   host ─▶ [sock_connect] ──▶ stack ──┬─│─▶ pod_to ──▶ a pod of this node
//                                      │ └─▶ host_to ─▶ wire
//                                      └───▶ host_to ─▶ wire
//   wire ─▶ host_from ─┬─▶ a pod of this node
//                      └─▶ stack ──▶ this host, or the wire again
//
// Where several backends may be chosen the walk is done for each of them: the first is told in full, of the others what becomes of it.

import { familyOf, ip } from '../base/ip.ts';
import type { Ip } from '../base/ip.ts';
import { configDefaults, DropReason, LbAddressFlag } from '../datapath/schema.gen.ts';
import type { EndpointRow } from '../endpoints/endpoint.ts';
import * as look from './lookups.ts';
import type { RouteFound, TraceTables } from './lookups.ts';
import type { Moving, Packet, Trace, Way } from './packet.ts';
import { atService, atSocket, atUplink } from './service-steps.ts';
import { isDelivered, sentenceOf } from './verdict.ts';
import { dropped, end, say } from './walk.ts';
import type { End, Walk } from './walk.ts';

export type { TraceTables } from './lookups.ts';

/** Backends of one service that are walked one by one. */
const BACKENDS_MAX = 32;
/** Who a pod sees that reaches itself through a service: bpf/pod.bpf.c hairpin_address(). */
const HAIRPIN = { 4: ip('169.254.42.1'), 6: ip('100::a9fe:2a01') } as const;

export function traceOf(packet: Packet, tables: TraceTables): Trace {
  const [first, backends] = wayOf(packet, tables, 0);
  const others = Array.from({ length: Math.min(backends, BACKENDS_MAX) - 1 }, (_, i) => wayOf(packet, tables, i + 1)[0]);
  const sentence = ({ verdict, out }: End) => sentenceOf(packet, verdict, out, tables);
  return {
    packet,
    ...first,
    sentence: sentence(first),
    delivered: [first, ...others].every(({ verdict }) => isDelivered(verdict)),
    others: others.map((way) => ({ verdict: way.verdict, out: way.out, sentence: sentence(way) })),
  };
}

/** The way when the program's random number is `choice`, and how many backends there were to choose from. */
function wayOf(packet: Packet, tables: TraceTables, choice: number): readonly [Way, backends: number] {
  const walk: Walk = { tables, choice, steps: [], backends: 1 };
  const { verdict, out } = begin(walk, packet);
  return [{ steps: walk.steps, verdict, out }, walk.backends];
}

function begin(walk: Walk, packet: Packet): End {
  const { source, raw, ...ends } = packet;
  const { tables } = walk;
  if (source === 'host' || look.isOwnAddress(source, tables)) {
    const asked = { ...ends, source: source === 'host' ? hostSource(packet.destination, tables) : source };
    const resolved = raw ? asked : atSocket(walk, asked, undefined);
    return 'verdict' in resolved
      ? resolved
      : fromStack(walk, { ...resolved, source: source === 'host' ? hostSource(resolved.destination, tables) : source });
  }
  const moving = { ...ends, source };
  const sender = look.endpointAt(source, tables);
  if (sender) return fromPodSocket(walk, moving, { sender, raw });
  return look.isOwnPodAddress(source, tables) ? fromPod(walk, moving, undefined) : fromWire(walk, moving);
}

/** The address that the stack gives to a packet of the host's own. */
function hostSource(destination: Ip, tables: TraceTables): Ip {
  const route = look.routeTo(destination, tables);
  const own = tables.nodes.nodes.get(tables.self)?.addresses.find((address) => familyOf(address) === familyOf(destination));
  if (route?.kind === 'own') return destination;
  return route?.source ?? own ?? ip(familyOf(destination) === 4 ? '0.0.0.0' : '::');
}

function fromPodSocket(walk: Walk, packet: Moving, { sender, raw }: { readonly sender: EndpointRow; readonly raw: boolean }): End {
  if (raw) return fromPod(walk, packet, sender);
  const resolved = atSocket(walk, packet, sender);
  if ('verdict' in resolved) return resolved;
  if (!look.isLoopback(resolved.destination) && !sender.addresses.includes(resolved.destination)) return fromPod(walk, resolved, sender);
  say(walk, 'pod', `local ${resolved.destination}`, ["the pod's own address", 'never leaves the pod']);
  return end({ kind: 'delivered', pod: look.podName(sender) }, resolved);
}

/** bpf/pod.bpf.c pod_from() and open_flow(). */
function fromPod(walk: Walk, packet: Moving, sender: EndpointRow | undefined): End {
  const { tables } = walk;
  if (look.isMulticast(packet.destination)) {
    say(walk, 'pod_from', `destination ${packet.destination}`, ['multicast or broadcast', 'drops it']);
    return dropped(DropReason.multicastHandled, packet);
  }
  const who = sender && `pod ${look.podName(sender)} at ${sender.hostInterface}`;
  say(walk, 'pod_from', `endpoints ${packet.source}`, [
    who,
    sender ? 'the sender is who it says' : 'drops it: a pod sends with its own address only',
  ]);
  if (!sender) return dropped(DropReason.invalidSourceIp, packet);
  const served = atService(walk, 'pod_from', packet, look.clientAt(sender, 'packet'));
  if (served.kind === 'refused') return refuse(walk, packet, served.because);
  const translated = served.kind === 'backend' ? served.packet : packet;
  const receiver = look.endpointAt(translated.destination, tables);
  if (!receiver) return routeFromPod(walk, translated, { service: served.kind === 'backend' });
  const itself = receiver.interfaceIndex === sender.interfaceIndex;
  const decision = itself ? 'back into the same pod, which sees another sender' : 'into the pod, past the host';
  say(walk, 'pod_from', `endpoints ${translated.destination}`, [`pod ${look.podName(receiver)} at ${receiver.hostInterface}`, decision]);
  return end(
    { kind: 'delivered', pod: look.podName(receiver) },
    itself ? translatedSource(translated, HAIRPIN[familyOf(translated.destination)], walk.tables) : translated,
  );
}

function refuse(walk: Walk, packet: Moving, because: 'no backend' | 'no such port'): End {
  if (packet.protocol === 'icmp') return end({ kind: 'answered' }, packet); // an echo request; it has no service, only an address
  if (walk.tables.noBackendReject) return end({ kind: 'refused', because }, packet);
  return dropped(DropReason.serviceBackendNotFound, packet);
}

/** bpf/pod.bpf.c open_route(). `service`: the destination was translated, which the program must not forget. */
function routeFromPod(walk: Walk, packet: Moving, { service }: { readonly service: boolean }): End {
  const { tables } = walk;
  const route = look.routeTo(packet.destination, tables);
  say(walk, 'pod_from', `endpoints ${packet.destination}`, [undefined, 'no pod of this node: asks for the route']);
  if (route?.kind !== 'link' || !look.isUplink(route.link, tables)) {
    say(walk, 'pod_from', `route to ${packet.destination}`, [
      route?.text,
      service ? 'not out of an uplink: translates it and leaves it to the stack' : 'not out of an uplink: leaves it to the stack',
    ]);
    return byStack(walk, packet, { route, forwarded: true });
  }
  say(walk, 'pod_from', `route to ${packet.destination}`, [route.text, `out of the uplink ${route.name}`]);
  const out = masqueraded(walk, packet, route);
  say(walk, 'host_to', 'mark', ['seen to by pod_from', 'passes']);
  return toWire(out, { route, masqueraded: out.source !== packet.source }, tables);
}

function masqueraded(walk: Walk, packet: Moving, route: Extract<RouteFound, { kind: 'link' }>): Moving {
  const { tables } = walk;
  const address = look.masqueradeAddress(route.link, familyOf(packet.destination), tables);
  if (address === undefined) {
    say(walk, 'pod_from', `devices ${route.link}`, ['no masquerade in this family', 'the packet keeps its address']);
    return packet;
  }
  const known = look.prefixOf(packet.destination, tables);
  const keeps = known?.keepsAddress ?? false;
  say(walk, 'pod_from', `ipcache ${packet.destination}`, [
    known && `${known.prefix}${keeps ? ', pods keep their address' : ''}`,
    keeps ? 'the packet keeps its address' : `masquerades it as ${address}`,
  ]);
  return keeps ? packet : translatedSource(packet, address, tables);
}

/** bpf/lib/masquerade.h nat_candidate(): the port stays where it is in the NAT range; the identifier of a ping is any number. */
function translatedSource(packet: Moving, source: Ip, tables: TraceTables): Moving {
  const { sourcePort, protocol } = packet;
  const stays = protocol === 'icmp' || (sourcePort !== undefined && inNatRange(sourcePort, tables));
  return { ...packet, source, sourcePort: stays ? sourcePort : undefined };
}

function inNatRange(port: number, { natPortFirst }: TraceTables): boolean {
  return port >= natPortFirst && port <= configDefaults.natPortLast;
}

/** bpf/host.bpf.c host_from(). */
function fromWire(walk: Walk, asked: Moving): End {
  const { tables } = walk;
  const served = atUplink(walk, asked);
  if (served.kind === 'inside') return dropped(DropReason.isAClusterip, asked);
  if (served.kind === 'kept out') return dropped(DropReason.deniedByLbSrcRangeCheck, asked);
  if (served.kind === 'refused') return refuse(walk, asked, served.because);
  const packet = served.kind === 'backend' ? served.packet : asked;
  const receiver = look.endpointAt(packet.destination, tables);
  if (receiver) {
    say(walk, 'host_from', `endpoints ${packet.destination}`, [
      `pod ${look.podName(receiver)} at ${receiver.hostInterface}`,
      'into the pod, past the host',
    ]);
    return end({ kind: 'delivered', pod: look.podName(receiver) }, packet);
  }
  if (served.kind === 'backend') {
    const route = look.routeTo(packet.destination, tables);
    if (!served.delegated || route?.kind !== 'own') return toBackend(walk, packet);
    say(walk, 'host_from', `route to ${packet.destination}`, [route.text, 'leaves the packet as it is to the proxy of this node']);
    say(walk, 'stack', `socket at ${asked.destination}`, [undefined, 'takes it, if the proxy has the address']);
    return end({ kind: 'taken' }, asked);
  }
  say(walk, 'host_from', `endpoints ${packet.destination}`, [undefined, 'no pod of this node: leaves it to the stack']);
  return byStack(walk, packet, { route: look.routeTo(packet.destination, tables), forwarded: true });
}

/** bpf/host.bpf.c open_remote(): to the backend of another node under an address of this one, or to this node itself. */
function toBackend(walk: Walk, packet: Moving): End {
  const { tables } = walk;
  const route = look.routeTo(packet.destination, tables);
  const lookedUp = `route to ${packet.destination}`;
  if (route?.kind === 'own') {
    say(walk, 'host_from', lookedUp, [route.text, 'leaves it to the stack']);
    return byStack(walk, packet, { route, forwarded: true });
  }
  const own = route && look.uplinkAddress(route.link, familyOf(packet.destination), tables);
  if (!route || own === undefined) {
    say(walk, 'host_from', lookedUp, [route?.text, 'drops it: no uplink leads there']);
    return dropped(DropReason.fibLookupFailed, packet);
  }
  say(walk, 'host_from', lookedUp, [route.text, `sends it out of ${route.name} as ${own}`]);
  return toWire(translatedSource(packet, own, tables), { route, masqueraded: true }, tables);
}

function fromStack(walk: Walk, packet: Moving): End {
  return byStack(walk, packet, { route: look.routeTo(packet.destination, walk.tables), forwarded: false });
}

/** The host's own routing. `forwarded`: the packet came from elsewhere. */
function byStack(
  walk: Walk,
  packet: Moving,
  { route, forwarded }: { readonly route: RouteFound | undefined; readonly forwarded: boolean },
): End {
  const { tables } = walk;
  const lookedUp = `route to ${packet.destination}`;
  if (!route) {
    say(walk, 'stack', lookedUp, [undefined, 'refuses: network unreachable']);
    return end({ kind: 'refused', because: 'no route' }, packet);
  }
  if (route.kind === 'own') {
    say(walk, 'stack', lookedUp, [route.text, 'takes it']);
    return end({ kind: 'taken' }, packet);
  }
  say(walk, 'stack', lookedUp, [route.text, `${forwarded ? 'forwards' : 'sends'} it out of ${route.name}`]);
  const receiver = look.endpointAt(packet.destination, tables);
  if (receiver) {
    say(walk, 'pod_to', 'conntrack', [undefined, 'remembers the flow, so that the answer is known']);
    return end({ kind: 'delivered', pod: look.podName(receiver) }, packet);
  }
  if (look.isUplink(route.link, tables)) {
    if ((look.addressFlags(packet.destination, tables) & LbAddressFlag.inside) !== 0) return answeredAtUplink(walk, packet);
    passUplink(walk, packet, route.link);
  }
  return toWire(packet, { route, masqueraded: false }, tables);
}

/** bpf/host.bpf.c answer_node(): what no socket program has given a backend. */
function answeredAtUplink(walk: Walk, packet: Moving): End {
  const served = look.serviceAt(packet, LbAddressFlag.inside, walk.tables, 'host');
  if (!served) {
    say(walk, 'host_to', `lb_addresses ${packet.destination}`, ['a service address', 'nobody serves this port']);
    return refuse(walk, packet, 'no such port');
  }
  say(walk, 'host_to', `lb_services ${served.key}`, [`service ${served.name}`, 'drops it: no socket program gave it a backend']);
  return dropped(DropReason.serviceBackendNotFound, packet);
}

/** bpf/host.bpf.c host_to() for what pod_from has not seen. */
function passUplink(walk: Walk, packet: Moving, link: number): void {
  const { nodes } = walk.tables;
  const device = nodes.deviceEntries.get(String(link))?.value;
  const own = familyOf(packet.source) === 4 ? device?.ipv4 : device?.ipv6;
  const shares = packet.source === own && (packet.protocol === 'icmp' || inNatRange(packet.sourcePort ?? 0, walk.tables));
  say(walk, 'host_to', `devices ${link}`, [
    own === undefined ? undefined : `masquerades as ${own}`,
    shares ? 'claims its port, so that no pod is given it' : 'passes',
  ]);
}

function toWire(
  out: Moving,
  { route, masqueraded: changed }: { readonly route: Extract<RouteFound, { kind: 'link' }>; readonly masqueraded: boolean },
  tables: TraceTables,
): End {
  const through = route.name;
  const node = look.nodeOf(out.destination, tables);
  return end(
    node === undefined || node === tables.self ? { kind: 'leaves', through, masqueraded: changed } : { kind: 'sent', node, through },
    out,
  );
}
