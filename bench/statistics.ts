// SPDX-License-Identifier: Apache-2.0
// Medians, and how far they can be trusted.

export type Interval = { readonly middle: number; readonly low: number; readonly high: number };

/** The value below which that part of all values is; NaN of nothing. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
}

/**
 * The median and its 95 % interval by order statistics: the ranks between which the median of the population is with that
 * probability, whatever its distribution (binomial, by its normal approximation). With fewer than six values: all of them.
 */
export function median(values: readonly number[]): Interval {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (index: number) => sorted[Math.max(0, Math.min(sorted.length - 1, index))] ?? Number.NaN;
  const cut = Math.floor(sorted.length / 2 - 0.98 * Math.sqrt(sorted.length));
  return { middle: at(Math.floor(sorted.length / 2)), low: at(cut), high: at(sorted.length - 1 - Math.max(0, cut)) };
}

/** Of the values of one thing over those of another, pair by pair as they were measured next to each other. */
export const ratio = (over: readonly number[], under: readonly number[]): Interval =>
  median(over.map((value, index) => value / (under[index] ?? Number.NaN)));

export const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

const RESAMPLES = 1_000;

/**
 * Of the quotient of sums over that of others, each round a pair [over, under]; for what is too coarse to divide round by round. The 95 %
 * interval is by resampling of rounds (bootstrap, percentiles), the same for the same values.
 */
export function ratioOfSums(over: readonly (readonly [number, number])[], under: readonly (readonly [number, number])[]): Interval {
  const rounds = Math.min(over.length, under.length);
  const quotient = (pairs: readonly (readonly [number, number])[], chosen: readonly number[]) =>
    sum(chosen.map((index) => pairs[index]?.[0] ?? 0)) / sum(chosen.map((index) => pairs[index]?.[1] ?? 0));
  const of = (chosen: readonly number[]) => quotient(over, chosen) / quotient(under, chosen);
  const all = Array.from({ length: rounds }, (_, index) => index);
  let state = 1;
  const next = () => (state = (state * 48_271) % 2_147_483_647) % rounds;
  const resampled = Array.from({ length: RESAMPLES }, () => of(all.map(next)));
  return { middle: of(all), low: quantile(resampled, 0.025), high: quantile(resampled, 0.975) };
}
