// SPDX-License-Identifier: Apache-2.0
// Other nodes on the segments of this one: who says hello, whose heartbeats are heard.
//
//   hello (group, every second and with every change) ──▶ whom to beat to ──▶ the thread ──▶ who lives ──▶ l2_peers
//
// A node that nobody knows by its Node object is of another cluster, or none.

import type { Clock } from '../base/clock.ts';
import type { Mac } from '../base/ip.ts';
import type { Writer } from '../base/table.ts';
import { l2BeatCodec, l2BeatKeyCodec } from '../datapath/schema.gen.ts';
import { native } from '../kernel/addon.ts';
import type { BeatPeer, BeatTimes } from '../kernel/beats.ts';
import type { BpfMap } from '../kernel/map.ts';
import type { MemberRow } from '../l2/members.ts';
import { beatName, helloOf } from './hello.ts';
import type { Hello, HelloPart } from './hello.ts';

/** Where a peer's frames come in: its interface, and ours. */
type Way = { readonly interfaceIndex: number; readonly via: number; readonly to: Mac; readonly from: Mac };

type Peer = {
  hello: Hello;
  readonly ways: Map<number, Way>;
  readonly dead: Set<number>;
  /** It was away, and has not said since what it has: until it does nobody counts on it, or on its having nothing. */
  owesHello: boolean;
  lastHello: number;
};

export type PeersOptions = {
  readonly self: string;
  /** The uid of a node's object. */
  readonly uidOf: (node: string) => string | undefined;
  readonly writer: Writer<string, MemberRow>;
  readonly beats: BpfMap;
  readonly clock: Clock;
};

export type Peers = {
  /** Takes a frame that came in by our interface `via`, whose address is `mac`. True: somebody is new, who wants an answer. */
  hear(part: HelloPart, via: number, mac: Mac): boolean;
  /** Whom to beat to, in the order in which alive() will tell. */
  readonly ways: readonly BeatPeer[];
  /** `alive`: of each of `ways`. True: somebody is back, who wants to know what happened. */
  alive(alive: readonly boolean[]): boolean;
  /** Whether anybody is heard through our interface `via`. */
  hears(via: number): boolean;
  /** Milliseconds since the latest heartbeat through our interface `via`; Infinity: there is nobody to send one. */
  quietFor(via: number): number;
  /** Our interfaces through which nobody would be heard any more, were `alive` so. */
  silenced(alive: readonly boolean[]): readonly number[];
  /** Forgets those that have been silent for long, or are no nodes any more. True: `ways` are others. */
  tidy(): boolean;
};

/**
 * So many beats are waited for that the loss of 30 % of them makes at most one false alarm an hour in the whole cluster, whose nodes
 * all listen to each other (decision 0133). Up to 16 peers every 20 ms; more cost a node as many frames, and take longer to be missed.
 */
export function beatTimes(peers: number): BeatTimes {
  if (peers <= 16) return { intervalMs: 20, windowMs: 16 * 20 };
  return peers <= 48 ? { intervalMs: 30, windowMs: 17 * 30 } : { intervalMs: 100, windowMs: 19 * 100 };
}

const FORGET_MS = 60_000;
const PENDING_MOST = 64;

export function peersOf(options: PeersOptions): Peers {
  const { self, uidOf, writer, beats, clock } = options;
  const peers = new Map<string, Peer>();
  const assembled = assembly();
  let order: readonly Named[] = [];
  const arrange = () => (order = waysTo(peers));
  const through = (via: number) => order.filter((way) => way.via === via);
  return {
    get ways() {
      return order;
    },
    hear(part, via, mac) {
      const hello = assembled(part);
      if (hello === undefined || hello.node === self || uidOf(hello.node) !== hello.uid || beatName(hello.uid) !== part.node) return false;
      const known = peers.get(hello.node);
      const peer = known ?? { hello, ways: new Map<number, Way>(), dead: new Set<number>(), owesHello: false, lastHello: 0 };
      const last = peer.ways.get(part.interfaceIndex);
      const isNew = hello.asks || known?.hello.instance !== hello.instance || last === undefined;
      Object.assign(peer, { hello, owesHello: false, lastHello: clock.monotonic() });
      if (last?.via !== via || last.to !== part.from || last.from !== mac) {
        peer.ways.set(part.interfaceIndex, { interfaceIndex: part.interfaceIndex, via, to: part.from, from: mac });
        greet(beats, beatName(hello.uid), part.interfaceIndex);
        peers.set(hello.node, peer);
        arrange();
      }
      show(writer, peer);
      return isNew;
    },
    alive: (alive) =>
      order.filter(({ name, interfaceIndex }, i) => turned(peers.get(name), interfaceIndex, alive[i] === true, writer)).length > 0,
    hears: (via) => through(via).some((way) => isHeard(peers, way)),
    quietFor: (via) => quietFor(beats, through(via)),
    silenced(alive) {
      const before = new Set(order.filter((way) => isHeard(peers, way)).map(({ via }) => via));
      for (const [i, { via }] of order.entries()) if (alive[i] === true) before.delete(via);
      return [...before];
    },
    tidy() {
      const silent = [...peers.values()].filter((peer) => isOver(peer, options));
      for (const { hello, ways } of silent) {
        for (const index of ways.keys()) beats.delete(l2BeatKeyCodec.encode({ node: beatName(hello.uid), interfaceIndex: index }));
        peers.delete(hello.node);
        writer.delete(hello.node);
      }
      if (silent.length > 0) arrange();
      return silent.length > 0;
    },
  };
}

/** True: it is back. */
function turned(peer: Peer | undefined, interfaceIndex: number, alive: boolean, writer: PeersOptions['writer']): boolean {
  if (peer === undefined || alive !== peer.dead.has(interfaceIndex)) return false;
  if (alive) peer.dead.delete(interfaceIndex);
  else peer.dead.add(interfaceIndex);
  if (peer.dead.size === peer.ways.size) peer.owesHello = true;
  show(writer, peer);
  return alive;
}

type Named = BeatPeer & { readonly name: string };

function isHeard(peers: ReadonlyMap<string, Peer>, { name, interfaceIndex }: Named): boolean {
  const peer = peers.get(name);
  return peer !== undefined && !peer.owesHello && !peer.dead.has(interfaceIndex);
}

function waysTo(peers: ReadonlyMap<string, Peer>): readonly Named[] {
  return [...peers].flatMap(([name, { hello, ways }]) => Array.from(ways.values(), (way) => ({ name, node: beatName(hello.uid), ...way })));
}

/** Silent for long, or no node any more. */
function isOver({ hello, ways, dead, lastHello }: Peer, { uidOf, clock }: PeersOptions): boolean {
  return (ways.size === dead.size && clock.monotonic() - lastHello > FORGET_MS) || uidOf(hello.node) !== hello.uid;
}

function show(writer: PeersOptions['writer'], { hello, ways, dead, owesHello }: Peer): void {
  if (ways.size === dead.size || owesHello) return writer.delete(hello.node);
  const interfaces = hello.interfaces.map(({ index, fault, ...one }) => ({
    ...one,
    fault: fault ?? (dead.has(index) ? 'its heartbeats are not heard' : undefined),
  }));
  const { node, claims, sights, cedes } = hello;
  writer.put(node, { node, interfaces, claims, sights, cedes });
}

/** The whole message, when a part was what was missing of it. */
function assembly(): (part: HelloPart) => Hello | undefined {
  const pending = new Map<string, { readonly serial: number; readonly parts: (Buffer | undefined)[] }>();
  return (part) => {
    const key = `${part.node}%${part.interfaceIndex}`;
    const known = pending.get(key);
    const isNext = known?.serial === part.serial && known.parts.length === part.parts;
    const parts = isNext ? known.parts : Array.from({ length: part.parts }, (): Buffer | undefined => undefined);
    parts[part.part] = part.bytes;
    pending.delete(key);
    if (parts.every((one) => one !== undefined)) return helloOf(Buffer.concat(parts));
    pending.set(key, { serial: part.serial, parts });
    for (const oldest of pending.keys()) if (pending.size > PENDING_MOST) pending.delete(oldest);
    return undefined;
  };
}

/** Milliseconds. */
function quietFor(beats: BpfMap, ways: readonly Named[]): number {
  const seen = ways.map(({ node, interfaceIndex }) => {
    const found = beats.lookup(l2BeatKeyCodec.encode({ node, interfaceIndex }));
    return found === undefined ? -Infinity : l2BeatCodec.decode(found).seen;
  });
  return (Number(native().monotonicNs()) - Math.max(-Infinity, ...seen)) / 1e6;
}

/** Whose hello was heard counts as heard now. */
function greet(beats: BpfMap, node: number, interfaceIndex: number): void {
  const key = l2BeatKeyCodec.encode({ node, interfaceIndex });
  const found = beats.lookup(key);
  const now = Number(native().monotonicNs());
  if (found === undefined || l2BeatCodec.decode(found).seen < now) beats.update(key, l2BeatCodec.encode({ seen: now }));
}
