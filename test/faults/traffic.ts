// SPDX-License-Identifier: Apache-2.0
// A prober in a pod: see prober.ts.

import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Pod } from '../../sandbox/objects.ts';
import { checkout } from './cluster.ts';
import type { Faulty } from './cluster.ts';
import type { Tally } from './prober.ts';

export type Traffic = { /** Ends it. */ tally(): Promise<Tally> };

export type Load = {
  /** New connections a second. */
  readonly rate: number;
  readonly targets: readonly (readonly [host: string, port: number])[];
  /** Connections that stay; one to each target unless said otherwise. */
  readonly long?: number;
};

/** Starts the load from the pod; resolves when it runs. */
export async function startTraffic(faulty: Faulty, from: Pod, { rate, targets, long = targets.length }: Load): Promise<Traffic> {
  const words = targets.map(([host, port]) => `${host},${port}`);
  const child = faulty.within(from, [
    join(checkout, 'node_modules', '.bin', 'node'),
    join(import.meta.dirname, 'prober.ts'),
    `${rate}`,
    `${long}`,
    ...words,
  ]);
  if (!child.stdout) throw new Error('Cannot read what the prober says');
  const lines = createInterface({ input: child.stdout });
  await once(lines, 'line');
  return {
    async tally() {
      const line = once(lines, 'line');
      child.stdin?.end();
      const [text] = (await line) as [string]; // one line, as text
      return JSON.parse(text) as Tally; // written by prober.ts
    },
  };
}
