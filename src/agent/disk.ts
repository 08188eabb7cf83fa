// SPDX-License-Identifier: Apache-2.0
// Whether the disk that keeps endpoints takes what is written. Asked by writing, off the main thread, so that a disk which hangs
// holds up whoever asked and nobody else: an ADD is refused, health and everything that is programmed go on.
//
//   every round, and before CNI calls ─▶ write 4 KiB, flush, remove ─┬─▶ nothing
//                                                                    └─▶ Problem DiskFull, DiskHangs, DiskFails

import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '../base/clock.ts';
import type { Clock } from '../base/clock.ts';
import { codeOf, messageOf } from '../base/errors.ts';
import { problem } from '../base/problem.ts';
import type { Problem } from '../base/problem.ts';

export type DiskTrouble = { readonly kind: 'full' | 'hangs' | 'fails'; readonly message: string };

export type Disk = {
  /** Why it takes nothing; that it takes everything may be an answer of less than a second ago. Settles within the patience. */
  ask(): Promise<DiskTrouble | undefined>;
  /** Asks and reports, in its own time. */
  look(): void;
};

export type DiskOptions = {
  readonly directory: string;
  readonly report: (problems: readonly Problem[]) => void;
  readonly clock?: Clock;
  /** Longest time that a write may take. Default 3 s. */
  readonly patienceMs?: number;
  /** Writes and removes; in tests another. */
  readonly probe?: (directory: string) => Promise<void>;
};

const PATIENCE_MS = 3000;
const FRESH_MS = 1000;
const SIZE = 4096; // a block: an endpoint's file takes one

export function diskWatch({ directory, report, clock = systemClock, patienceMs = PATIENCE_MS, probe = writeAndRemove }: DiskOptions): Disk {
  let known: { readonly at: number; readonly trouble: DiskTrouble | undefined } | undefined;
  let asking: Promise<DiskTrouble | undefined> | undefined; // one at a time: a write that hangs has a thread for itself
  const hangs: DiskTrouble = { kind: 'hangs', message: `a write to ${directory} has not come back within ${patienceMs} ms` };
  const settle = (trouble: DiskTrouble | undefined) => {
    const before = known?.trouble;
    known = { at: clock.monotonic(), trouble };
    if (before?.message !== trouble?.message) report(trouble === undefined ? [] : [problemOf(directory, trouble)]);
    return trouble;
  };
  const ask = async (): Promise<DiskTrouble | undefined> => {
    const refuses = known?.trouble !== undefined && known.trouble.kind !== 'hangs'; // which costs little to ask, and may be over
    if (known && !refuses && clock.monotonic() - known.at < FRESH_MS) return known.trouble;
    asking ??= probe(directory)
      .then(() => settle(undefined))
      .catch((error: unknown) => settle(troubleOf(directory, error)))
      .finally(() => (asking = undefined));
    const { promise: late, resolve } = Promise.withResolvers<'late'>();
    const timer = setTimeout(() => resolve('late'), patienceMs).unref();
    const answer = await Promise.race([asking, late]);
    clearTimeout(timer);
    return answer === 'late' ? settle(hangs) : answer;
  };
  return { ask, look: () => void ask() };
}

async function writeAndRemove(directory: string): Promise<void> {
  const path = join(directory, '.probe.new'); // what an agent that was killed leaves of this name goes with the next start
  try {
    await writeFile(path, Buffer.alloc(SIZE), { mode: 0o600, flush: true });
  } finally {
    await rm(path, { force: true });
  }
}

function troubleOf(directory: string, error: unknown): DiskTrouble {
  const code = codeOf(error);
  return code === 'ENOSPC' || code === 'EDQUOT'
    ? { kind: 'full', message: `there is no room left on the file system of ${directory} (${code})` }
    : { kind: 'fails', message: `${directory} cannot be written: ${messageOf(error)}` };
}

const REASON = { full: 'DiskFull', hangs: 'DiskHangs', fails: 'DiskFails' } as const;
const ADVICE = {
  full: 'Make room there (bytes, and inodes: df -h and df -i); the agent tries again by itself',
  hangs: 'Look for the disk or server behind it (dmesg); the agent goes on by itself once it answers',
  fails: 'Correct what the message names; the agent tries again by itself',
} as const;

function problemOf(directory: string, { kind, message }: DiskTrouble): Problem {
  return problem({
    object: `File ${directory}`,
    reason: REASON[kind],
    message: `${message}; pods cannot be added, those that are there go on`,
    advice: ADVICE[kind],
  });
}
