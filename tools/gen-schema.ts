// SPDX-License-Identifier: Apache-2.0
// Writes src/datapath/schema.gen.ts from the BTF of the compiled objects: C is the only place where keys, values, events, enums and knobs are written.
//
//   node tools/gen-schema.ts [--check] [--objects build/bpf] [--out src/datapath/schema.gen.ts]
//
// --check writes nothing; it exits 1 with the difference when the file is not what the objects say.

import { spawnSync } from 'node:child_process';
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { readObject } from '../src/kernel/object.ts';
import { messageOf } from '../src/base/errors.ts';
import { schemaFile } from './schema-file.ts';
import { schemaOf } from './schema-model.ts';

const root = resolve(import.meta.dirname, '..');
const differenceLines = 40;

/** The formatted text of the schema of all *.bpf.o in a directory. */
export function generate(objectsDirectory: string, out: string): string {
  const paths = globSync('*.bpf.o', { cwd: objectsDirectory }).toSorted();
  if (paths.length === 0)
    throw new Error(`Cannot find *.bpf.o in ${objectsDirectory}, wanted the compiled objects: run \`npm run setup\` first`);
  const objects = paths.map((path) => {
    try {
      return { name: basename(path, '.bpf.o'), spec: readObject(readFileSync(join(objectsDirectory, path))) };
    } catch (cause) {
      throw new Error(`Cannot read ${path}`, { cause });
    }
  });
  const from = (path: string): string => relative(dirname(resolve(out)), join(root, path)).replace(/^(?!\.)/, './');
  return formatted(schemaFile(schemaOf(objects), { codec: from('src/kernel/codec.ts'), ip: from('src/base/ip.ts') }));
}

/** As the repository's formatter would leave it, so that `npm run lint` has nothing to say. */
function formatted(text: string): string {
  const formatter = join(root, 'node_modules/.bin/oxfmt');
  const run = spawnSync(formatter, ['--stdin-filepath=src/datapath/schema.ts'], { cwd: root, input: text, encoding: 'utf8' });
  if (run.status !== 0) throw new Error(`Cannot format the schema: ${run.error ? messageOf(run.error) : run.stderr}`);
  return run.stdout;
}

function difference(path: string, wanted: string): string {
  const { stdout } = spawnSync('diff', ['-u', '--label', path, '--label', 'what the objects say', path, '-'], {
    input: wanted,
    encoding: 'utf8',
  });
  const lines = stdout.split('\n');
  return [
    ...lines.slice(0, differenceLines),
    ...(lines.length > differenceLines ? [`... ${lines.length - differenceLines} more lines`] : []),
  ].join('\n');
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // not there yet: everything differs
  }
}

function main(): number {
  const { values } = parseArgs({ options: { check: { type: 'boolean' }, objects: { type: 'string' }, out: { type: 'string' } } });
  const out = values.out ?? join(root, 'src/datapath/schema.gen.ts');
  const wanted = generate(values.objects ?? join(root, 'build/bpf'), out);
  const shown = relative(root, out);
  if (textOf(out) === wanted) {
    console.log(`${shown} is current`);
    return 0;
  }
  if (values.check) {
    console.error(
      `${shown} is not what the compiled objects say. Run \`npm run schema\` and commit the result.\n${difference(out, wanted)}`,
    );
    return 1;
  }
  writeFileSync(out, wanted);
  console.log(`${shown} written`);
  return 0;
}

if (import.meta.main) {
  try {
    process.exitCode = main();
  } catch (error) {
    console.error(messageOf(error));
    process.exitCode = 1;
  }
}
