// SPDX-License-Identifier: Apache-2.0
// npm run verifier [-- --update]   what the programs cost, compiled and verified, against bench/verifier.json
//
// More than 5 % up in any figure fails, unless --update writes the new ones down: then the commit says why.
import { namespaceMissing } from '../bpf/test/own-namespace.ts';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readElf } from '../src/kernel/elf.ts';
import { loadObject } from '../src/kernel/load.ts';
import { temporaryBpffs } from '../src/kernel/testdata/harness.ts';
import { VERIFIED_BUDGET, complaintsAbout, recordWith } from './verifier-costs.ts';
import type { Cost, CostRecord, Costs, Found } from './verifier-costs.ts';

const OBJECTS = ['pod', 'host', 'sock', 'xdp'];
const INSTRUCTION_BYTES = 8;
const RECORD = fileURLToPath(new URL('verifier.json', import.meta.url));
const objectPath = (name: string): string => fileURLToPath(new URL(`../build/bpf/${name}.bpf.o`, import.meta.url));

async function found(): Promise<Found> {
  const costs: Record<string, Cost> = {};
  for (const name of OBJECTS) {
    using object = await loadObject({ path: objectPath(name) });
    const frames = stackFrames(objectPath(name));
    for (const [program, loaded] of object.programs) {
      const { verifiedInstructions, translatedBytes, jitedBytes } = loaded.info();
      costs[program] = { verifiedInstructions, translatedBytes, jitedBytes, stackFrames: frames.get(program) ?? [] };
    }
  }
  const compiled = Object.fromEntries(OBJECTS.map((name) => [name, compiledInstructions(objectPath(name))]));
  return { compiled, kernel: release().split('.').slice(0, 2).join('.'), costs };
}

function compiledInstructions(object: string): number {
  const code = readElf(readFileSync(object)).sections.filter(({ executable }) => executable);
  return code.reduce((sum, { bytes }) => sum + bytes.length, 0) / INSTRUCTION_BYTES;
}

/** Only the verifier's log tells: libbpf prints it for bpftool -d. By program. */
function stackFrames(object: string): ReadonlyMap<string, readonly number[]> {
  using directory = temporaryBpffs();
  const { stderr } = spawnSync('bpftool', ['-d', 'prog', 'loadall', object, join(directory.path, 'programs')], {
    encoding: 'latin1',
    maxBuffer: 1 << 26,
  });
  const logs = stderr.matchAll(/prog '([^']+)': -- BEGIN PROG LOAD LOG --[^]*?\nstack depth ([0-9+]+)/g);
  return new Map([...logs].map(([, program = '', depths = '']) => [program, depths.split('+').map(Number)]));
}

function table(costs: Costs, known: Costs | undefined): string {
  const beside = (now: number, before: number | undefined) =>
    `${String(now).padStart(7)} ${before === undefined || before === now ? '' : `(was ${before})`}`.padEnd(22);
  return Object.entries(costs)
    .map(([name, { verifiedInstructions, translatedBytes, jitedBytes, stackFrames: frames }]) => {
      const before = known?.[name];
      return [
        name.padEnd(18),
        `verified ${beside(verifiedInstructions, before?.verifiedInstructions)}`,
        `translated ${beside(translatedBytes / INSTRUCTION_BYTES, before && before.translatedBytes / INSTRUCTION_BYTES)}`,
        `jited ${String(jitedBytes).padStart(6)} B`,
        `deepest frame ${String(Math.max(0, ...frames)).padStart(3)} B`,
      ].join(' ');
    })
    .join('\n');
}

/** Lists of numbers on one line each. */
const textOf = (record: CostRecord): string =>
  `${JSON.stringify(record, undefined, 2).replaceAll(/\[\s+([^\]]*?)\s+\]/g, (_, list: string) => `[${list.replaceAll(/\s+/g, ' ')}]`)}\n`;

async function main(update: boolean): Promise<number> {
  if (namespaceMissing !== false) throw new Error(namespaceMissing);
  const record = JSON.parse(readFileSync(RECORD, 'utf8')) as CostRecord; // as: written by this program
  const now = await found();
  const known = record.kernels[now.kernel];
  console.log(table(now.costs, known));
  if (update) {
    writeFileSync(RECORD, textOf(recordWith(record, now)));
    return 0;
  }
  if (known === undefined)
    console.log(
      `Linux ${now.kernel} has no figures in bench/verifier.json (it has ${Object.keys(record.kernels).join(', ')}): compiled instructions were compared, and ${VERIFIED_BUDGET} verified ones are the limit. npm run verifier -- --update writes this kernel's down`,
    );
  const complaints = complaintsAbout(now, record);
  for (const text of complaints) console.error(text);
  if (complaints.length > 0) console.error('To accept: npm run verifier -- --update, and say why in the commit');
  return complaints.length > 0 ? 1 : 0;
}

process.exitCode = await main(process.argv.includes('--update'));
