// SPDX-License-Identifier: Apache-2.0
// Durations as Go writes them: '15m0s', '1h30m', '1.5s'. https://pkg.go.dev/time#ParseDuration, without signs.

const UNITS: Readonly<Record<string, number>> = { ns: 1e-6, us: 1e-3, µs: 1e-3, ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Milliseconds, or undefined for what is no duration. */
export function parseDuration(text: string): number | undefined {
  if (text === '0') return 0;
  if (!/^(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$/.test(text)) return undefined;
  return Array.from(text.matchAll(/([\d.]+)(\D+)/g)).reduce((sum, [, number, unit = '']) => sum + Number(number) * (UNITS[unit] ?? 0), 0);
}
