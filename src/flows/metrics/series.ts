// SPDX-License-Identifier: Apache-2.0
// One metric of flows: its series by their label values, found without making a string, and never more of them than a bound.
//
//   add(['TCP', '443'], 1) ─▶ Map('TCP') ─▶ Map('443') ─▶ series
//
// Labels are closed (a verdict, a protocol: few values, known) or open (a pod, a name, a port: whoever sends packets chooses). While
// there is no room, what is new counts under 'other' in place of its open labels, and is remembered: at each turn the busiest of those
// take the place of series that were counted less often. A series with open labels that nothing was added to for TTL_MS goes.

import type { Sample } from '../../base/metrics.ts';

export type Label = { readonly name: string; readonly open: boolean };

export type FamilyOptions = {
  readonly name: string;
  readonly help: string;
  readonly labels: readonly Label[];
  /** Upper ends of the buckets of a distribution; absent for a counter. */
  readonly buckets?: readonly number[] | undefined;
  readonly limit?: number | undefined;
};

type Series = {
  readonly values: readonly string[];
  count: number;
  sum: number;
  /** Of each bucket on its own; the last has what is above all. */
  readonly buckets: number[];
  countAtTurn: number;
  changedAt: number;
};
type Node = Map<string, Node | Series>;

const SERIES_LIMIT = 2000;
const TTL_MS = 3_600_000;
const OTHER = 'other';

export class Family {
  readonly name: string;
  readonly help: string;
  readonly labels: readonly Label[];
  readonly ends: readonly number[] | undefined;
  readonly #limit: number;
  readonly #root: Node = new Map();
  readonly #series = new Set<Series>();
  readonly #waiting: Node = new Map();
  readonly #candidates = new Set<Series>();
  #now = 0;
  #open = 0;
  #other = 0;
  #otherAtTurn = 0;
  #bounded = false;

  constructor({ name, help, labels, buckets, limit = SERIES_LIMIT }: FamilyOptions) {
    this.name = name;
    this.help = help;
    this.labels = labels;
    this.ends = buckets;
    this.#limit = limit;
  }

  /** Counts one event; `values` are of the labels in their order, and may be used again afterwards. */
  add(values: readonly string[]): void {
    this.#seriesOf(values).count++;
  }

  /** Counts one event that measured `amount`. */
  observe(values: readonly string[], amount: number): void {
    const series = this.#seriesOf(values);
    const bounds = this.ends ?? [];
    let bucket = 0;
    while (bucket < bounds.length && amount > (bounds[bucket] ?? 0)) bucket++;
    series.buckets[bucket] = (series.buckets[bucket] ?? 0) + 1;
    series.sum += amount;
    series.count++;
  }

  #seriesOf(values: readonly string[]): Series {
    return find(this.#root, values) ?? this.#newSeries(values);
  }

  #newSeries(values: readonly string[]): Series {
    const open = this.labels.some((label, i) => label.open && values[i] !== '' && values[i] !== OTHER);
    if (!open || this.#open < this.#limit) return this.#insert(values, open);
    this.#remember(values);
    this.#other++;
    const others = values.map((value, i) => (this.labels[i]?.open ? OTHER : value));
    return find(this.#root, others) ?? this.#insert(others, false);
  }

  #insert(values: readonly string[], open: boolean): Series {
    const series = seriesFor(values, this.ends?.length, this.#now);
    put(this.#root, series);
    this.#series.add(series);
    if (open) this.#open++;
    return series;
  }

  /** As many as there are places: when that is not enough for all, the first of this turn compete. */
  #remember(values: readonly string[]): void {
    const known = find(this.#waiting, values);
    if (known) known.count++;
    else if (this.#candidates.size < this.#limit) {
      const candidate = seriesFor(values, undefined, this.#now);
      candidate.count = 1;
      put(this.#waiting, candidate);
      this.#candidates.add(candidate);
    }
  }

  /** To be called about once a minute. */
  turn(now: number): void {
    this.#bounded = this.#other > this.#otherAtTurn;
    this.#otherAtTurn = this.#other;
    this.#now = now;
    const leaving: Series[] = [];
    for (const series of this.#series) {
      if (series.count > series.countAtTurn) series.changedAt = now;
      if (!this.#isOpen(series)) continue;
      if (now - series.changedAt >= TTL_MS) this.#remove(series);
      else leaving.push(series);
    }
    if (this.#candidates.size > 0) this.#exchange(leaving);
    for (const series of this.#series) series.countAtTurn = series.count;
  }

  #exchange(present: readonly Series[]): void {
    const added = ({ count, countAtTurn }: Series) => count - countAtTurn;
    const quiet = present.toSorted((a, b) => added(a) - added(b));
    const busy = [...this.#candidates].toSorted((a, b) => b.count - a.count);
    for (const candidate of busy) {
      if (this.#open >= this.#limit) {
        const [least] = quiet.splice(0, 1);
        if (least === undefined || 2 * added(least) >= candidate.count) break; // twice: those of one rate stay who they are
        this.#remove(least);
      }
      this.#insert(candidate.values, true);
    }
    this.#candidates.clear();
    this.#waiting.clear();
  }

  #isOpen({ values }: Series): boolean {
    return this.labels.some((label, i) => label.open && values[i] !== '' && values[i] !== OTHER);
  }

  #remove(series: Series): void {
    if (!this.#series.delete(series)) return;
    this.#open--;
    remove(this.#root, series.values, 0);
  }

  /** Series whose labels are the sender's choice, how many there may be, and events that had no room. */
  get use(): { readonly open: number; readonly limit: number; readonly other: number; readonly bounded: boolean } {
    return { open: this.#open, limit: this.#limit, other: this.#other, bounded: this.#bounded };
  }

  *samples(): Iterable<Sample> {
    for (const series of this.#series) {
      const labels = this.#labelsOf(series.values);
      if (this.ends) yield* distribution(labels, series, this.ends);
      else yield { labels, value: series.count };
    }
  }

  #labelsOf(values: readonly string[]): Readonly<Record<string, string>> {
    const labels: Record<string, string> = {};
    for (const [i, { name }] of this.labels.entries()) labels[name] = values[i] ?? '';
    return labels;
  }
}

function seriesFor(values: readonly string[], bounds: number | undefined, now: number): Series {
  const buckets = bounds === undefined ? [] : Array.from({ length: bounds + 1 }, () => 0);
  return { values: [...values], count: 0, sum: 0, buckets, countAtTurn: 0, changedAt: now };
}

function* distribution(
  labels: Readonly<Record<string, string>>,
  { buckets, sum, count }: Series,
  ends: readonly number[],
): Iterable<Sample> {
  let below = 0;
  for (const [i, end] of ends.entries()) {
    below += buckets[i] ?? 0;
    yield { labels: { ...labels, le: String(end) }, value: below, suffix: '_bucket' };
  }
  yield { labels: { ...labels, le: '+Inf' }, value: count, suffix: '_bucket' };
  yield { labels, value: sum, suffix: '_sum' };
  yield { labels, value: count, suffix: '_count' };
}

function find(root: Node, values: readonly string[]): Series | undefined {
  let node: Node | Series | undefined = root;
  for (let i = 0; i < values.length; i++) {
    if (!(node instanceof Map)) return undefined;
    node = node.get(values[i] ?? '');
  }
  return node instanceof Map ? undefined : node;
}

function put(root: Node, series: Series): void {
  const { values } = series;
  let node = root;
  for (const value of values.slice(0, -1)) {
    const next = node.getOrInsertComputed(value, () => new Map());
    if (!(next instanceof Map)) return;
    node = next;
  }
  node.set(values.at(-1) ?? '', series);
}

function remove(node: Node, values: readonly string[], depth: number): void {
  const value = values[depth] ?? '';
  const next = node.get(value);
  if (next instanceof Map) {
    remove(next, values, depth + 1);
    if (next.size > 0) return;
  }
  node.delete(value);
}
