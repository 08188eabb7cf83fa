// SPDX-License-Identifier: Apache-2.0
// Latencies in buckets of a quarter of an octave, from a microsecond to two minutes: counts that can be added and taken away again.

const FIRST_OCTAVE = 10; // 2^10 ns, about a microsecond
const PER_OCTAVE = 4;
const BUCKETS = 27 * PER_OCTAVE;

export function latencyBucket(ns: number): number {
  const bucket = Math.floor((Math.log2(Math.max(ns, 1)) - FIRST_OCTAVE) * PER_OCTAVE);
  return Math.min(Math.max(bucket, 0), BUCKETS - 1);
}

/** The latency in milliseconds that `part` of all are below, within a bucket by proportion; undefined when there are none. */
export function latencyQuantile(counts: ReadonlyMap<number, number>, part: number): number | undefined {
  let left = part * counts.values().reduce((all, count) => all + count, 0);
  for (const [bucket, count] of [...counts].toSorted(([a], [b]) => a - b)) {
    if (left <= count) return significant(2 ** (FIRST_OCTAVE + (bucket + left / count) / PER_OCTAVE) / 1e6);
    left -= count;
  }
  return undefined;
}

/** Two digits are what the buckets are good for. */
const significant = (value: number) => Number(value.toPrecision(2));
