// SPDX-License-Identifier: Apache-2.0
// Stores in directories that go with the test, and flows to put into them.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Flow } from '../../flows/flow.ts';
import { openStore } from '../open.ts';
import { read } from '../reader.ts';
import type { Query } from '../reader.ts';
import type { HistoryEntry } from '../rows.ts';
import type { Store, StoreOptions, Trouble } from '../store.ts';
import { uuidsOf } from '../uuid.ts';
import { anything } from '../wanted.ts';

export const NODE = 'default/node1';
export const START = 1_764_000_000_000; // milliseconds
const uuids = uuidsOf(NODE);

/** One a second: pods talk to each other, every tenth is dropped, and it is told by `source` which is which. */
export function flowAt(index: number): Flow {
  const dropped = index % 10 === 9;
  return {
    time: BigInt(START + index * 1000) * 1_000_000n,
    uuid: uuids.of(START * 1000 + index),
    verdict: dropped ? 2 : 1,
    type: 1,
    nodeName: NODE,
    summary: 'TCP Flags: SYN',
    ip: { source: `10.0.0.${index % 5}`, destination: '10.0.1.1', ipVersion: 1 },
    l4: { kind: 'TCP', sourcePort: 40_000 + (index % 1000), destinationPort: 80, flags: 2 },
    source: { namespace: 'shop', podName: `web-${index % 5}`, identity: 1000 },
    destination: { namespace: 'shop', podName: index % 100 === 42 ? 'rare-0' : 'cart-0', identity: 1001 },
  };
}

export const flowsFrom = (first: number, count: number): Flow[] => Array.from({ length: count }, (_, i) => flowAt(first + i));

/** Which of the flows above it is. */
const indexOf = ({ uuid }: Flow): number => (uuids.position(uuid) ?? Number.NaN) - START * 1000;

export async function directoryOf(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'stentor-history-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

export type Opened = { readonly store: Store; readonly troubles: Trouble[] };

/** The clock stands an hour after the first flow. */
export async function opened(directory: string, options: Partial<StoreOptions> = {}): Promise<Opened> {
  const troubles: Trouble[] = [];
  const clock = { now: () => START + 3_600_000, monotonic: () => performance.now() };
  const report = (trouble: Trouble) => void troubles.push(trouble);
  const store = await openStore({ directory, node: NODE, maxBytes: 1e9, clock, report, rowsPerBlock: 64, ...options });
  return { store, troubles };
}

export async function entriesOf(store: Store, query: Partial<Query> = {}): Promise<readonly HistoryEntry[]> {
  const found: HistoryEntry[] = [];
  for await (const { entries } of read(store, { wanted: anything, order: 'oldest first', ...query })) found.push(...entries);
  return found;
}

/** The numbers of flows, and why there is a gap. */
export const told = (entries: readonly HistoryEntry[]): readonly (number | string)[] =>
  entries.map((entry) => (entry.kind === 'flow' ? indexOf(entry.flow) : entry.kind === 'gap' ? entry.gap.why : 'lost'));

export const numbersFrom = (first: number, count: number): number[] => Array.from({ length: count }, (_, i) => first + i);
