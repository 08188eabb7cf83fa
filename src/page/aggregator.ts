// SPDX-License-Identifier: Apache-2.0
// Flows in, a service map and a histogram out. Either over a window that moves with the clock, or over a stretch of the past.
//
// Time is cut into slots. Each slot remembers what it added to each link, so that what leaves the window is subtracted. However many
// flows come, memory has a bound: there are so many nodes and links, and no more; what has no room is counted.

import type { Flow } from '../flows/flow.ts';
import { other, world } from './ends.ts';
import type { End } from './ends.ts';
import type { Bucket, Graph, LinkCounts, MapLink, MapNode } from './graph.ts';
import { latencyBucket, latencyQuantile } from './latency.ts';
import { PLACES, sightingOf } from './sighting.ts';
import type { Sighting, SightingKind } from './sighting.ts';

export type AggregatorOptions = {
  /** Milliseconds since the epoch: what lies before is not counted. Moves on with `advance`. */
  readonly start: number;
  readonly slotMs: number;
  readonly slots: number;
  /** How many there may be. Defaults 4,000 and 16,000. */
  readonly maxNodes?: number;
  readonly maxLinks?: number;
};

export type Aggregator = {
  /** Returns whether the flow counted. */
  add(flow: Flow): boolean;
  /** Moves the window so that it ends with the slot of `now`. */
  advance(now: number): void;
  graph(): Graph;
  /** One for each slot, oldest first. */
  buckets(): readonly Bucket[];
};

/** How often there was what. */
type Counter = Map<number, number>;
type Tally = {
  /** By kind and place. */
  readonly counts: Uint32Array;
  latencies: Counter | undefined;
  reasons: Counter | undefined;
};
type Node = MapNode & { uses: number };
type Link = Omit<MapLink, 'counts' | 'from' | 'to'> & {
  readonly key: string;
  readonly from: Node;
  readonly to: Node;
  readonly total: Tally;
};
type Slot = { readonly tallies: Map<Link, Tally>; unlisted: number };

const kinds: readonly SightingKind[] = ['connection', 'request', 'error', 'drop', 'audit'];
const tally = (): Tally => ({ counts: new Uint32Array(kinds.length * PLACES), latencies: undefined, reasons: undefined });
const newSlot = (): Slot => ({ tallies: new Map(), unlisted: 0 });

export function aggregator({ start, slotMs, slots: size, maxNodes = 4000, maxLinks = 16_000 }: AggregatorOptions): Aggregator {
  const slots: Slot[] = Array.from({ length: size }, newSlot);
  let first = Math.floor(start / slotMs);
  const register = registerOf(maxNodes, maxLinks);
  let unlisted = 0;

  return {
    add(flow) {
      const at = Math.floor(Number(flow.time / 1_000_000n) / slotMs) - first;
      const slot = slots[Math.min(at, size - 1)]; // a clock that is ahead of ours: now
      const sighting = slot && sightingOf(flow);
      if (!sighting) return false;
      const link = register.link(sighting);
      if (link) count(link, slot, sighting);
      else {
        slot.unlisted++;
        unlisted++;
      }
      return true;
    },
    advance(now) {
      const wanted = Math.floor(now / slotMs) - size + 1;
      for (let steps = Math.min(wanted - first, size); steps > 0; steps--) {
        const gone = slots.shift();
        slots.push(newSlot());
        unlisted -= gone?.unlisted ?? 0;
        for (const [link, part] of gone?.tallies ?? []) if (subtract(link.total, part)) register.remove(link);
      }
      first = Math.max(first, wanted);
    },
    graph: () => ({ nodes: register.nodes(), links: register.links(), unlisted }),
    buckets: () => slots.map((slot, i) => bucketOf(slot, (first + i) * slotMs)),
  };
}

/** The nodes and links that there are. */
function registerOf(maxNodes: number, maxLinks: number) {
  const nodes = new Map<string, Node>();
  const links = new Map<string, Link>();
  let [nextNode, nextLink] = [0, 0];

  function node(end: End): Node {
    const found = nodes.get(end.id);
    if (found) return found;
    const isFull = nodes.size >= maxNodes && end !== other && end !== world;
    if (isFull) return node(end.kind === 'name' ? world : other);
    const { id, kind, name, namespace } = end;
    const made: Node = { index: nextNode++, id, kind, name, ...(namespace !== undefined && { namespace }), uses: 0 };
    nodes.set(id, made);
    return made;
  }

  return {
    link({ from, to, protocol, port, layer7 }: Sighting): Link | undefined {
      const key = `${from.id}>${to.id} ${protocol}:${port} ${layer7 ?? ''}`;
      const found = links.get(key);
      if (found || links.size >= maxLinks) return found;
      const ends = { from: node(from), to: node(to) };
      const own = `${ends.from.id}>${ends.to.id} ${protocol}:${port} ${layer7 ?? ''}`; // another where an end is among the others
      const known = links.get(own);
      if (known) return known;
      const link: Link = { index: nextLink++, key: own, ...ends, protocol, port, ...(layer7 && { layer7 }), total: tally() };
      ends.from.uses++;
      ends.to.uses++;
      links.set(own, link);
      return link;
    },
    remove({ key, from, to }: Link): void {
      links.delete(key);
      for (const end of [from, to]) if (--end.uses === 0) nodes.delete(end.id);
    },
    nodes: (): readonly MapNode[] => Array.from(nodes.values(), ({ uses: _, ...shown }) => shown),
    links: (): readonly MapLink[] =>
      Array.from(links.values(), ({ key: _, from, to, total, ...rest }) => ({
        ...rest,
        from: from.index,
        to: to.index,
        counts: countsOf(total),
      })),
  };
}

function count(link: Link, slot: Slot, sighting: Sighting): void {
  const part = slot.tallies.getOrInsertComputed(link, tally);
  for (const into of [part, link.total]) note(into, sighting);
}

function note(into: Tally, { kind, place, latencyNs, reason }: Sighting): void {
  increase(into.counts, kinds.indexOf(kind) * PLACES + place);
  if (latencyNs !== undefined) add((into.latencies ??= new Map()), latencyBucket(latencyNs), 1);
  if (reason !== undefined) add((into.reasons ??= new Map()), reason, 1);
}

/** What there is none of is not in it. */
function add(to: Counter | undefined, what: number, by: number): void {
  const count = (to?.get(what) ?? 0) + by;
  if (count > 0) to?.set(what, count);
  else to?.delete(what);
}

const increase = (counts: Uint32Array, at: number, by = 1) => {
  counts[at] = (counts[at] ?? 0) + by;
};

/** Returns whether nothing is left. */
function subtract(from: Tally, part: Tally): boolean {
  for (const [i, value] of part.counts.entries()) increase(from.counts, i, -value);
  for (const [bucket, value] of part.latencies ?? []) add(from.latencies, bucket, -value);
  for (const [reason, value] of part.reasons ?? []) add(from.reasons, reason, -value);
  return from.counts.every((value) => value === 0);
}

const places = (counts: Uint32Array, kind: SightingKind) => {
  const at = kinds.indexOf(kind) * PLACES;
  return counts.subarray(at, at + PLACES);
};
const most = (counts: Uint32Array, kind: SightingKind) => Math.max(...places(counts, kind));
const sum = (counts: Uint32Array, kind: SightingKind) => places(counts, kind).reduce((all, one) => all + one, 0);

function countsOf({ counts, latencies, reasons }: Tally): LinkCounts {
  const errors = most(counts, 'error');
  const [reason] = [...(reasons ?? [])].toSorted(([a, m], [b, n]) => n - m || a - b)[0] ?? [];
  return {
    connections: most(counts, 'connection'),
    requests: most(counts, 'request') + errors,
    errors,
    drops: sum(counts, 'drop'), // a packet is dropped once
    audits: sum(counts, 'audit'),
    ...(latencies && { p50: latencyQuantile(latencies, 0.5), p99: latencyQuantile(latencies, 0.99) }),
    ...(reason !== undefined && { reason }),
  };
}

function bucketOf({ tallies }: Slot, start: number): Bucket {
  let [forwarded, dropped, errors] = [0, 0, 0];
  for (const { counts } of tallies.values()) {
    forwarded += Math.max(most(counts, 'connection'), most(counts, 'request'));
    dropped += sum(counts, 'drop');
    errors += most(counts, 'error');
  }
  return { start, forwarded, dropped, errors };
}
