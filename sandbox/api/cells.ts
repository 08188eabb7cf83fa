// SPDX-License-Identifier: Apache-2.0
// What columns are made of: how times, lists and maps are written in a cell.
import type { Json, KubeObject } from './json.ts';

export type Column = {
  readonly name: string;
  readonly type?: string;
  readonly wide?: boolean;
  readonly cell: (object: KubeObject) => Json;
};

/** As kubectl writes durations: 45s, 5m10s, 3h20m, 4d3h. */
export const shortDuration = (seconds: number): string => {
  const s = Math.max(0, Math.floor(seconds));
  const [m, h, d] = [Math.floor(s / 60), Math.floor(s / 3600), Math.floor(s / 86400)];
  const two = (a: number, unit: string, b: number, small: string): string => (b === 0 ? `${a}${unit}` : `${a}${unit}${b}${small}`);
  if (s < 120) return `${s}s`;
  if (m < 10) return two(m, 'm', s % 60, 's');
  if (m < 180) return `${m}m`;
  if (h < 8) return two(h, 'h', m % 60, 'm');
  if (h < 48) return `${h}h`;
  if (d < 8) return two(d, 'd', h % 24, 'h');
  if (d < 730) return `${d}d`;
  const y = Math.floor(d / 365);
  return y < 8 ? two(y, 'y', d % 365, 'd') : `${y}y`;
};

/** How long ago a metav1.Time was. */
export const since = (time: string | undefined): string => {
  const at = Date.parse(time ?? '');
  return Number.isNaN(at) ? '<unknown>' : shortDuration((Date.now() - at) / 1000);
};

export const NONE = '<none>';
export const list = (items: readonly Json[] | undefined): string => (items && items.length > 0 ? items.join(',') : NONE);
export const pairs = (map: Json): string => list(Object.entries(map ?? {}).map(([key, value]) => `${key}=${String(value)}`));

export const name: Column = { name: 'Name', cell: (object) => object.metadata.name };
export const age: Column = { name: 'Age', cell: (object) => since(object.metadata.creationTimestamp) };
export const created: Column = { name: 'Created At', cell: (object) => object.metadata.creationTimestamp };
export const text = (title: string, cell: Column['cell'], wide = false): Column => ({ name: title, cell, wide });
export const count = (title: string, cell: Column['cell']): Column => ({ name: title, type: 'integer', cell });

/** For sorting texts by their code units. */
export const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
