// SPDX-License-Identifier: Apache-2.0
// This node among those that announce addresses: says hello, beats, hears the others, and asks them to wait when it ends.
//
//   l2_owners ─▶ hello ─▶ segment ─▶ l2_peers ─▶ l2_owners …

import { setTimeout as pause } from 'node:timers/promises';
import { systemClock as clock } from '../base/clock.ts';
import { sameRow } from '../base/same.ts';
import type { Writer } from '../base/table.ts';
import type { InterfaceRow } from '../datapath/network.ts';
import { Beats } from '../kernel/beats.ts';
import type { MemberRow } from '../l2/members.ts';
import { asker } from './asker.ts';
import type { Ground } from './ground.ts';
import { beatName, helloFrames, helloPart } from './hello.ts';
import type { Hello } from './hello.ts';
import { HOLD_MS, leaveWords } from './l2-before.ts';
import type { L2Before } from './l2-before.ts';
import { watchesOf } from './l2-watches.ts';
import type { WatchesOptions } from './l2-watches.ts';
import { beatTimes, peersOf } from './peers.ts';
import type { Peers } from './peers.ts';
import { reachOf } from './reach.ts';
import type { Reach } from './reach.ts';
import { segmentsOf } from './segments.ts';
import type { Segment, Segments } from './segments.ts';

export type Announcing = {
  /** To be called after each commit: what is said of this node may be another than before. */
  readonly look: () => void;
  /** Resolves when the ground's signal ends. */
  readonly run: () => Promise<void>;
};

/** The data plane answers that long after a beat: less than any peer waits for one. */
const LEASE_MS = 200;
/** An event loop that does not turn for so long is none. */
const PATIENCE_MS = 1000;
const TOUCH_MS = 100;
const TOUCHES_PER_HELLO = 10;
/** Whoever is on a segment has answered our hello by then. */
const LISTEN_MS = 1000;
/** Who was away hears within this time what the others did meanwhile. */
const ANSWERED_MS = 150;
/** A change is said at once and, as frames get lost, again after these. */
const REPEAT_MS = [30, 100, 300] as const;

export type AnnouncingOptions = WatchesOptions & { readonly before: L2Before };

export function announcing(options: AnnouncingOptions): Announcing {
  const { ground, tables, changed } = options;
  const writer = tables.l2.peers.writer('heartbeats');
  const peers = peersIn(options, writer);
  let last: Hello | undefined;
  let beating: Beating | undefined;
  const { segments, words, say, sayAgain } = voiceOf(options, ({ index, mac }, frames) => {
    const known = peers.ways;
    const news = Array.from(frames, helloPart).filter((part) => part && peers.hear(part, index, mac)).length > 0; // one after the other: frames are views
    if (peers.ways !== known) beating?.set();
    if (news) say();
    changed();
  });
  const told = (news: News) => {
    if (news === 'back') sayAgain();
    if (news !== 'gone') say(true); // whoever was away, or was not heard, owes a hello
    changed();
  };
  const senses = sensesOf(options, peers, segments);
  const look = () => {
    if (ground.signal.aborted) return;
    segments.set(placesOf(options), clock.monotonic());
    senses.look();
    const hello = words();
    if (hello === undefined) return;
    beating ??= beatingOf(ground, peers, hello, { told, silent: senses.silent });
    if (last && sameRow(last, hello)) return;
    last = hello;
    sayAgain();
  };
  return {
    look,
    run() {
      ground.signal.addEventListener('abort', () => leave(options, beating, words()), { once: true });
      const often = () => {
        beating?.touch();
        senses.often();
      };
      const seldom = () => {
        say();
        if (peers.tidy()) beating?.set();
        senses.seldom();
        if (senses.hasListened()) writer.complete();
        changed();
      };
      return turns({ often, seldom }, ground.signal).finally(() => [segments, senses].forEach((one) => one[Symbol.dispose]()));
    },
  };
}

type Senses = Disposable & {
  readonly look: () => void;
  readonly often: () => void;
  readonly seldom: () => void;
  readonly silent: (interfaceIndexes: readonly number[]) => Promise<void>;
  readonly hasListened: () => boolean;
};

/** What this node finds out by itself: who is reached, and what becomes of addresses. */
function sensesOf(options: AnnouncingOptions, peers: Peers, segments: Segments): Senses {
  const { changed } = options;
  const asking = asker();
  const reach = reachOf({
    asker: asking,
    interfaces: () => interfacesOf(options),
    hears: (index) => peers.hears(index),
    quietFor: (index) => peers.quietFor(index),
    changed,
  });
  const listening = listeningOn(options, segments, reach);
  const watching = watchesOf(options, asking);
  return {
    look() {
      listening.look();
      watching.often();
    },
    often: () => reach.often(),
    seldom() {
      reach.seldom();
      watching.seldom();
    },
    silent: (indexes) => reach.silent(indexes).then(() => listening.look()),
    hasListened: () => listening.isOver(),
    [Symbol.dispose]: () => [asking, watching].forEach((one) => one[Symbol.dispose]()),
  };
}

function peersIn(options: AnnouncingOptions, writer: Writer<string, MemberRow>): Peers {
  const { self, datapath } = options.ground;
  return peersOf({ self, uidOf: (node) => uidOf(options, node), writer, beats: datapath.map('l2_beats'), clock });
}

type Voice = {
  readonly segments: Segments;
  readonly words: () => Hello | undefined;
  /** `asks`: wants to hear the others now. */
  readonly say: (asks?: boolean) => void;
  readonly sayAgain: () => void;
};

function voiceOf(options: AnnouncingOptions, hear: (segment: Segment, frames: Iterable<Buffer>) => void): Voice {
  const instance = Math.floor(Math.random() * 2 ** 48);
  const segments = segmentsOf(hear);
  const words = () => wordsOf(options, instance);
  let serial = Math.floor(Math.random() * 2 ** 31);
  const say = (asks = false) => {
    const said = words();
    if (said === undefined) return;
    serial++;
    for (const segment of segments.all())
      for (const frame of helloFrames({ ...said, asks }, segment.mac, { interfaceIndex: segment.index, serial }))
        segments.send(segment, frame);
  };
  const sayAgain = () => {
    say();
    for (const ms of REPEAT_MS) setTimeout(() => say(), ms).unref();
  };
  return { segments, words, say, sayAgain };
}

/** Who begins on a segment is none before those who were there could say so: an agent as a whole, then each interface that comes up. */
function listeningOn({ tables: { l2, nodes }, changed }: AnnouncingOptions, segments: Segments, reach: Reach) {
  const heard = l2.segments.writer('segments');
  heard.complete();
  let began: number | undefined;
  let ended = Infinity;
  const rowOf = ({ index, since }: Segment) => {
    const isNew = since > ended && clock.monotonic() - since < LISTEN_MS;
    return isNew ? { fault: 'it has come up, and listens who else is there', doubt: undefined } : reach.of(index);
  };
  return {
    look() {
      const rows = new Map(Array.from(segments.all(), (segment) => [segment.name, rowOf(segment)] as const));
      let news = false;
      for (const [name, row] of rows) {
        news ||= !sameRow(l2.segments.get(name), row);
        heard.put(name, row);
      }
      for (const [name] of l2.segments.entries()) if (!rows.has(name)) heard.delete(name);
      if (news) changed();
    },
    /** Of the agent as a whole. */
    isOver() {
      if (l2.announcers.complete && nodes.uplinks.complete) began ??= clock.monotonic();
      if (began === undefined || clock.monotonic() - began < LISTEN_MS) return false;
      ended = Math.min(ended, clock.monotonic());
      return true;
    },
  };
}

async function turns({ often, seldom }: { readonly often: () => void; readonly seldom: () => void }, signal: AbortSignal): Promise<void> {
  for (let turn = 1; !signal.aborted; turn++) {
    await pause(TOUCH_MS, undefined, { signal }).catch(() => {});
    if (signal.aborted) return;
    often();
    if (turn % TOUCHES_PER_HELLO === 0) seldom();
  }
}

/** 'back': a peer is; 'lapsed': we were away. */
type News = 'back' | 'gone' | 'lapsed';

type Beating = { readonly set: () => void; readonly touch: () => void; readonly hold: () => void };

type Ears = {
  readonly told: (news: News) => void;
  /** Nobody is heard any more through these interfaces: resolves when it is known what that means. */
  readonly silent: (interfaceIndexes: readonly number[]) => Promise<void>;
};

function beatingOf({ datapath }: Ground, peers: Peers, { uid }: Hello, { told, silent }: Ears): Beating {
  const maps = { lease: datapath.map('l2_lease'), beats: datapath.map('l2_beats') };
  const beats = new Beats(maps, beatName(uid), { leaseMs: LEASE_MS, patienceMs: PATIENCE_MS });
  let asked: NodeJS.Timeout | undefined;
  const resume = () => {
    asked = undefined;
    beats.resume();
  };
  const poll = beats.onChange(() => {
    const silenced = peers.silenced(beats.alive());
    if (silenced.length === 0) hear();
    else void silent(silenced).then(() => ended || hear());
  });
  let ended = false;
  const hear = () => {
    const back = peers.alive(beats.alive());
    if (beats.lapsed && asked === undefined) {
      asked = setTimeout(resume, ANSWERED_MS);
      told('lapsed');
    }
    told(back ? 'back' : 'gone');
  };
  const set = () => beats.set(beatTimes(peers.ways.length), peers.ways);
  set();
  return {
    set,
    touch: () => beats.touch(),
    hold() {
      ended = true;
      clearTimeout(asked);
      poll[Symbol.dispose]();
      beats.hold(HOLD_MS);
    },
  };
}

/** Those on which others are listened for. */
function interfacesOf({ tables: { nodes } }: AnnouncingOptions): readonly InterfaceRow[] {
  const rows = Array.from(nodes.uplinks.entries(), ([, { index }]) => nodes.interfaces.get(String(index)));
  return rows.filter((row) => row !== undefined).filter(({ carrier }) => carrier);
}

/** The agent ends, the node does not: what it answered for stays, for as long as it takes to start another. */
function leave({ ground, tables, before }: AnnouncingOptions, beating: Beating | undefined, hello: Hello | undefined): void {
  if (beating === undefined || hello === undefined) return;
  const { announcers } = tables.l2;
  const known = new Map(Array.from(announcers.entries(), ([name, { uid }]) => [name, uid]));
  leaveWords(ground.options.state, { hello, known: announcers.complete ? known : (before.words?.known ?? known) });
  beating.hold();
}

/** Until this agent knows better, what the one before it knew. */
function uidOf({ tables: { l2 }, before: { words } }: AnnouncingOptions, node: string): string | undefined {
  return l2.announcers.get(node)?.uid ?? (l2.announcers.complete ? undefined : words?.known.get(node));
}

/** The same: what is said of this node. */
function wordsOf({ ground: { self }, tables, before: { words } }: AnnouncingOptions, instance: number): Hello | undefined {
  const { l2, nodes } = tables;
  const uid = l2.announcers.get(self)?.uid ?? words?.hello.uid;
  if (uid === undefined) return undefined;
  const { interfaces, ...said } = l2.self();
  const indexed = interfaces.map((one) => ({ ...one, index: nodes.uplinks.get(one.name)?.index ?? 0 }));
  return { ...said, uid, instance, interfaces: nodes.uplinks.complete ? indexed : (words?.hello.interfaces ?? []), asks: false };
}

/** The same: where it is said. Who gets a carrier back has to listen again: others have taken over meanwhile. */
function placesOf({ tables: { nodes }, before: { words } }: AnnouncingOptions): readonly Omit<Segment, 'since'>[] {
  const known = nodes.uplinks.complete ? Array.from(nodes.uplinks.entries(), ([, uplink]) => uplink) : (words?.hello.interfaces ?? []);
  return known.flatMap(({ name, index }) => {
    const row = nodes.interfaces.get(String(index));
    return row?.mac === undefined || row.name !== name || !row.carrier ? [] : [{ name, index, mac: row.mac }];
  });
}
