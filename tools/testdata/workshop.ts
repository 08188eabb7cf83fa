// SPDX-License-Identifier: Apache-2.0
// For the tests of the schema generator: a directory with compiled C and the schema generated from it.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '../..');

/** Why the tests cannot run here, or false. */
export const clangMissing = spawnSync('clang-19', ['--version']).status === 0 ? false : 'clang-19 is not installed';

/** C with every kind of field. */
export const everyField = readFileSync(join(import.meta.dirname, 'every-field.bpf.c'), 'utf8');

export type Workshop = Disposable & {
  readonly root: string;
  /** The generated file. */
  readonly out: string;
  /** Compiles C into the object of that name. */
  readonly compile: (source: string, object?: string) => void;
  readonly remove: (object: string) => void;
  /** Runs tools/gen-schema.ts over the objects. */
  readonly generate: (...flags: readonly string[]) => { readonly status: number | null; readonly stderr: string };
};

/** A directory of its own under build/; dispose removes it. */
export function workshop(name: string): Workshop {
  const directory = join(root, `build/test/${name}-${process.pid}`);
  const out = join(directory, 'generated.ts');
  mkdirSync(directory, { recursive: true });
  return {
    root,
    out,
    compile: (source, object = 'every_field.bpf.o') => {
      // Debian keeps asm/ where only the native target looks.
      const include = ['-I/usr/include/x86_64-linux-gnu', '-I/usr/include/aarch64-linux-gnu'];
      const words = ['-target', 'bpf', '-g', '-O2', '-Wall', '-Werror', ...include, '-x', 'c', '-c', '-', '-o', join(directory, object)];
      const run = spawnSync('clang-19', words, { input: source, encoding: 'utf8' });
      assert.equal(run.status, 0, run.stderr);
    },
    remove: (object) => rmSync(join(directory, object)),
    generate: (...flags) =>
      spawnSync(process.execPath, [join(root, 'tools/gen-schema.ts'), '--objects', directory, '--out', out, ...flags], {
        encoding: 'utf8',
      }),
    [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }),
  };
}
