// SPDX-License-Identifier: Apache-2.0
// What keeping flows costs, beside node:sqlite with the same flows; and how soon they are found again among ten million.
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { number } from './table.ts';
import type { Findings } from './table.ts';

const FLOWS = Number(process.env['BENCH_FLOWS'] ?? 10_000_000);
const COMPARED = Math.min(FLOWS, 400_000);
const CHILD = join(import.meta.dirname, 'history-child.ts');

type Kept = {
  readonly count: number;
  readonly bytes: number;
  readonly cpuUs: number;
  readonly rssMiB: number;
  readonly p99Ms: number;
  readonly longest: number;
};
type Found = {
  readonly opened: number;
  readonly results: readonly (readonly [question: string, ms: number, cpuMs: number, found: number])[];
  readonly rssMiB: number;
  readonly blocks: number;
};

async function child<T>(...args: readonly string[]): Promise<T> {
  const { stdout } = await promisify(execFile)(process.execPath, [CHILD, ...args], { maxBuffer: 1e7 });
  return JSON.parse(stdout) as T; // as: what the child writes
}

async function scratch<T>(act: (directory: string) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'stentor-history-'));
  try {
    return await act(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

export async function history(say: (line: string) => void): Promise<readonly Findings[]> {
  const compared: (readonly [name: string, kept: Kept])[] = [];
  for (const name of ['none', 'stentor', 'sqlite-rows', 'sqlite-zstd']) {
    say(`${number(COMPARED)} flows: ${name}`);
    compared.push([name, await scratch((directory) => child<Kept>('keep', name, directory, String(COMPARED)))]);
  }
  return scratch(async (directory) => {
    say(`${number(FLOWS)} flows`);
    const kept = await child<Kept>('keep', 'stentor', directory, String(FLOWS));
    say('Finding them');
    return [keeping(compared), finding(kept, await child<Found>('find', directory))];
  });
}

function keeping(compared: readonly (readonly [string, Kept])[]): Findings {
  const none = compared.find(([name]) => name === 'none')?.[1];
  const rows = compared
    .filter(([name]) => name !== 'none')
    .map(([name, { count, bytes, cpuUs, rssMiB, p99Ms, longest }]) => [
      name,
      (bytes / count).toFixed(1),
      ((cpuUs - (none?.cpuUs ?? 0)) / count).toFixed(2),
      (rssMiB - (none?.rssMiB ?? 0)).toFixed(0),
      p99Ms.toFixed(1),
      longest.toFixed(1),
    ]);
  return {
    title: `Keeping ${number(COMPARED)} flows`,
    columns: ['', 'bytes per flow', 'µs of CPU per flow, all threads', 'MiB', 'loop delay p99, ms', 'longest append of 256, ms'],
    rows,
    notes: [
      'As fast as they are taken; CPU and memory beyond a process that only makes the flows. Aim: ≤ 20 bytes.',
      'sqlite-rows: a row of integers for each flow, what flows have in common in tables of JSON; sqlite-zstd: 4,096 flows of JSON in a blob. Both WAL, synchronous=NORMAL, a transaction for 256 flows.',
    ],
    charts: [],
  };
}

function finding({ bytes, count }: Kept, { opened, results, rssMiB, blocks }: Found): Findings {
  const worst = Math.max(...results.slice(0, -1).map(([, ms]) => ms));
  return {
    title: `Finding a page of 100 among ${number(count)} flows`,
    columns: ['', 'ms', 'ms of CPU', 'found'],
    rows: [
      ['open the store', opened.toFixed(0), '', `${blocks} blocks`],
      ...results.map(([question, ms, cpuMs, found]) => [question, ms.toFixed(0), cpuMs.toFixed(0), `${found}`]),
    ],
    notes: [
      `${(bytes / 1e6).toFixed(0)} MB, ${(bytes / count).toFixed(1)} bytes per flow; the page cache is warm. The process that looks for them has ${rssMiB.toFixed(0)} MiB. Aim: < 1 s: ${worst < 1000 ? 'met' : '**missed**'}.`,
    ],
    charts: [],
  };
}
