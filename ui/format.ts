// SPDX-License-Identifier: Apache-2.0
// Numbers and times as people read them, in few letters.

/** '0.4', '12', '1.3k'. */
export function short(value: number): string {
  if (value >= 10_000_000) return `${Math.round(value / 1e6)}M`;
  if (value >= 1_000_000) return `${(value / 1e6).toFixed(1)}M`;
  if (value >= 10_000) return `${Math.round(value / 1000)}k`;
  if (value >= 1000) return `${(value / 1000).toFixed(1)}k`;
  if (value >= 10 || Number.isInteger(value)) return String(Math.round(value));
  return value >= 0.095 ? value.toFixed(1) : value >= 0.0095 ? value.toFixed(2) : '<0.01';
}

export const perSecond = (count: number, seconds: number): string => `${short(count / seconds)}/s`;

/** Of milliseconds: '340 µs', '12 ms', '1.4 s'. */
export function latency(ms: number): string {
  if (ms < 0.995) return `${Math.max(1, Math.round(ms * 1000))} µs`;
  if (ms < 9.95) return `${ms.toFixed(1)} ms`;
  return ms < 995 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

export const percent = (part: number): string => (part > 0 && part < 0.001 ? '<0.1%' : `${(part * 100).toFixed(part < 0.0995 ? 1 : 0)}%`);

const two = (value: number) => String(value).padStart(2, '0');

/** '14:03:07.123', of nanoseconds since the epoch. */
export function clock(nanos: string): string {
  const ms = Number(BigInt(nanos) / 1_000_000n);
  return `${clockOf(ms)}.${String(ms % 1000).padStart(3, '0')}`;
}

export function clockOf(ms: number, seconds = true): string {
  const time = new Date(ms);
  return `${two(time.getHours())}:${two(time.getMinutes())}${seconds ? `:${two(time.getSeconds())}` : ''}`;
}

export function day(ms: number): string {
  const time = new Date(ms);
  return `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
}

/** 'today 14:03', '2026-03-01 14:03'. */
export const moment = (ms: number): string => `${day(ms) === day(Date.now()) ? 'today' : day(ms)} ${clockOf(ms)}`;

/** '4d 3h', '12m', '8s'. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const [days, hours, minutes] = [Math.floor(seconds / 86_400), Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60];
  if (days > 0) return days < 10 && hours > 0 ? `${days}d ${hours}h` : `${days}d`;
  if (hours > 0) return `${hours}h ${minutes}m`;
  return minutes > 0 ? `${minutes}m` : `${seconds}s`;
}

export const bytes = (value: number): string => `${Math.round(value / 2 ** 20)} MiB`;
