// SPDX-License-Identifier: Apache-2.0
// node bench/verifier.ts [--update]   what the verifier makes of each program, against bench/verifier.json
//
// More than 5 % up in any figure fails, unless --update writes the new ones down: then the commit says why. The figures belong
// to a kernel version; on another they are shown and not compared.
import { namespaceMissing } from '../bpf/test/own-namespace.ts';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadObject } from '../src/kernel/load.ts';
import { temporaryBpffs } from '../src/kernel/testdata/harness.ts';

type Cost = {
  /** Instructions that the verifier walked through, over all paths; a million at most. */
  readonly verifiedInstructions: number;
  readonly translatedBytes: number;
  readonly jitedBytes: number;
  /** Bytes of stack of the program and of each of its functions; 512 at most in any chain of calls. */
  readonly stackFrames: readonly number[];
};

type Costs = { readonly kernel: string; readonly programs: Readonly<Record<string, Cost>> };

const OBJECTS = ['pod', 'host', 'sock'];
const TOLERANCE = 1.05;
const RECORD = fileURLToPath(new URL('verifier.json', import.meta.url));
const objectPath = (name: string): string => fileURLToPath(new URL(`../build/bpf/${name}.bpf.o`, import.meta.url));

async function costsNow(): Promise<Costs> {
  const programs: Record<string, Cost> = {};
  for (const name of OBJECTS) {
    using object = await loadObject({ path: objectPath(name) });
    const frames = stackFrames(objectPath(name));
    for (const [program, loaded] of object.programs) {
      const { verifiedInstructions, translatedBytes, jitedBytes } = loaded.info();
      programs[program] = { verifiedInstructions, translatedBytes, jitedBytes, stackFrames: frames.get(program) ?? [] };
    }
  }
  return { kernel: release().split('.').slice(0, 2).join('.'), programs };
}

/** Only the verifier's log tells: libbpf prints it for bpftool -d. By program. */
function stackFrames(object: string): ReadonlyMap<string, readonly number[]> {
  using directory = temporaryBpffs();
  const { stderr } = spawnSync('bpftool', ['-d', 'prog', 'loadall', object, join(directory.path, 'programs')], {
    encoding: 'latin1',
    maxBuffer: 1 << 26,
  });
  const found = stderr.matchAll(/prog '([^']+)': -- BEGIN PROG LOAD LOG --[^]*?\nstack depth ([0-9+]+)/g);
  return new Map([...found].map(([, program = '', depths = '']) => [program, depths.split('+').map(Number)]));
}

/** What grew too much, one sentence each. */
function growth(before: Cost | undefined, now: Cost): readonly string[] {
  if (before === undefined) return ['is new'];
  const figures = (cost: Cost) => ({ ...cost, stackFrames: Math.max(0, ...cost.stackFrames) });
  const [old, current] = [figures(before), figures(now)];
  return (Object.keys(old) as (keyof typeof old)[]) // as: the keys of this very object
    .filter((name) => current[name] > old[name] * TOLERANCE)
    .map((name) => `${name} went from ${old[name]} to ${current[name]}`);
}

async function main(update: boolean): Promise<number> {
  if (namespaceMissing !== false) throw new Error(namespaceMissing);
  const now = await costsNow();
  for (const [name, { verifiedInstructions, translatedBytes, jitedBytes, stackFrames: frames }] of Object.entries(now.programs))
    process.stdout.write(
      `${name.padEnd(20)} ${String(verifiedInstructions).padStart(7)} verified  ${String(translatedBytes).padStart(6)} B  ${String(jitedBytes).padStart(6)} B jited  stack ${frames.join('+')}\n`,
    );
  if (update) {
    writeFileSync(
      RECORD,
      `${JSON.stringify(now, undefined, 2).replaceAll(/\[\s+([^\]]*?)\s+\]/g, (_, list: string) => `[${list.replaceAll(/\s+/g, ' ')}]`)}\n`,
    );
    return 0;
  }
  const before = JSON.parse(readFileSync(RECORD, 'utf8')) as Costs; // as: written by this program
  if (before.kernel !== now.kernel) {
    process.stdout.write(`Not compared: the record is of Linux ${before.kernel}, this is ${now.kernel}\n`);
    return 0;
  }
  const complaints = Object.entries(now.programs).flatMap(([name, cost]) =>
    growth(before.programs[name], cost).map((text) => `${name} ${text}`),
  );
  for (const text of complaints) process.stderr.write(`${text}: run with --update and say why in the commit\n`);
  return complaints.length > 0 ? 1 : 0;
}

process.exitCode = await main(process.argv.includes('--update'));
