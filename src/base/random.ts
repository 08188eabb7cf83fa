// SPDX-License-Identifier: Apache-2.0
// Random numbers that come again: tests and fuzzers print the seed and can be run with it once more.

export type Random = {
  /** 0 to n - 1. */
  below(n: number): number;
  /** True in `part` of all cases, 0 to 1. */
  chance(part: number): boolean;
  pick<T>(from: readonly [T, ...T[]]): T;
  bytes(n: number): Buffer;
};

/** Mulberry32: 2^32 seeds, good enough to choose cases, useless for secrets. */
export function randomFrom(seed: number): Random {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (n: number) => Math.floor(next() * n);
  return {
    below,
    chance: (part) => next() < part,
    pick: (from) => from[below(from.length)] ?? from[0],
    bytes: (n) => Buffer.from(Array.from({ length: n }, () => below(256))),
  };
}

/** The seed in the environment variable SEED, else a new one. */
export function seedOfRun(): number {
  const given = Number(process.env['SEED']);
  return Number.isInteger(given) && given > 0 ? given : 1 + Math.floor(Math.random() * 0x7ffffffe);
}
