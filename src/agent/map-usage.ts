// SPDX-License-Identifier: Apache-2.0
// How full each map is, when it will be full at this rate, and what follows: a map that is too full grows with the next load of the data
// plane, which is a restart that nobody notices; one that may not grow any more is a Problem.

import type { Clock } from '../base/clock.ts';
import { problem } from '../base/problem.ts';
import type { Problem } from '../base/problem.ts';
import { maps as schemas } from '../datapath/schema.gen.ts';
import { isTooFull, nextSize } from '../datapath/sizes.ts';

export type MapUse = {
  readonly name: string;
  readonly capacity: number;
  /** Undefined where nobody counts: what is least recently used makes room there, and nothing is lost that matters. */
  readonly entries: number | undefined;
  /** Seconds until it is full if it goes on as since the last look; undefined: it does not fill. */
  readonly fullIn: number | undefined;
};

export type MapUsageOptions = {
  readonly maps: readonly { readonly name: string; readonly maxEntries: number }[];
  /** As far as it is known. */
  readonly entriesOf: (name: string) => number | undefined;
  readonly memoryBytes: number;
  readonly clock: Clock;
};

export type MapUsage = {
  uses(): readonly MapUse[];
  /** Takes a sample; what should grow, and what cannot. */
  look(): { readonly grow: readonly string[]; readonly problems: readonly Problem[] };
};

type Sample = { readonly at: number; readonly entries: number };

/** Between two samples: less would be noise. */
const SAMPLE_MS = 60_000;

export function mapUsage({ maps, entriesOf, memoryBytes, clock }: MapUsageOptions): MapUsage {
  const samples = new Map<string, { readonly before: Sample; readonly now: Sample }>();
  const use = ({ name, maxEntries }: { readonly name: string; readonly maxEntries: number }): MapUse => {
    const entries = entriesOf(name);
    return { name, capacity: maxEntries, entries, fullIn: fullIn(samples.get(name), maxEntries) };
  };
  const sample = (name: string, entries: number) => {
    const now = { at: clock.monotonic(), entries };
    const last = samples.get(name)?.now;
    if (last === undefined || now.at - last.at >= SAMPLE_MS) samples.set(name, { before: last ?? now, now });
  };
  return {
    uses: () => maps.map(use),
    look() {
      const grow: string[] = [];
      const problems: Problem[] = [];
      for (const { name, capacity, entries } of maps.map(use)) {
        if (entries === undefined) continue;
        sample(name, entries);
        if (!isTooFull(entries, capacity)) continue;
        if (sizeAfter(name, { size: capacity, entries, predecessors: [] }, memoryBytes) > capacity) grow.push(name);
        else problems.push(tooFull(name, entries, capacity));
      }
      return { grow, problems };
    },
  };
}

function sizeAfter(name: string, found: Parameters<typeof nextSize>[1], memoryBytes: number): number {
  const schema = Object.values(schemas).find((one) => one.name === name);
  return schema ? nextSize(schema, found, memoryBytes) : 0;
}

function fullIn(samples: { readonly before: Sample; readonly now: Sample } | undefined, capacity: number): number | undefined {
  if (!samples) return undefined;
  const perMs = (samples.now.entries - samples.before.entries) / (samples.now.at - samples.before.at);
  return perMs > 0 && Number.isFinite(perMs) ? Math.max(0, (capacity - samples.now.entries) / perMs / 1000) : undefined;
}

function tooFull(name: string, entries: number, capacity: number): Problem {
  const advice: Readonly<Record<string, string>> = {
    conntrack: "Look for who opens so many flows ('stentor status --verbose' names them), or give the node more memory",
    endpoints: 'Run fewer pods on this node',
  };
  return problem({
    object: `Map ${name}`,
    reason: 'MapFull',
    message: `${entries} of ${capacity} entries are in use, and the map is as large as this node may have it`,
    advice: advice[name] ?? 'Remove Services or nodes that are no longer needed; what does not fit is not served',
  });
}
