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
