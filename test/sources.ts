// SPDX-License-Identifier: Apache-2.0
// The files of this repository, as the tests of its shape read them.

import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { parseSync } from 'oxc-parser';
import type { ParseResult } from 'oxc-parser';

export const root = resolve(import.meta.dirname, '..');

const madeHere = new Set(['node_modules', 'build', '.git', '.sandbox']);

/** Paths from the root of all files, sorted, without what is made by a build or a run. */
export function repositoryFiles(directory = ''): readonly string[] {
  return readdirSync(join(root, directory), { withFileTypes: true })
    .filter(({ name }) => !madeHere.has(name))
    .flatMap((entry) => {
      const path = join(directory, entry.name);
      return entry.isDirectory() ? repositoryFiles(path) : entry.isFile() ? [path] : [];
    })
    .toSorted();
}

export const typescriptFiles = (): readonly string[] => repositoryFiles().filter((path) => /\.tsx?$/.test(path));

export const textOf = (path: string): string => readFileSync(join(root, path), 'utf8');

export type Source = ParseResult & { readonly path: string; readonly text: string; readonly lineAt: (offset: number) => number };

/** The syntax tree of a file; throws where it does not parse. */
export function sourceOf(path: string, text = textOf(path)): Source {
  const result = parseSync(path, text);
  const [error] = result.errors;
  if (error) throw new Error(`Cannot parse ${path}: ${error.message}`);
  const { program, module, comments, errors } = result;
  return { program, module, comments, errors, path, text, lineAt: (offset) => text.slice(0, offset).split('\n').length };
}

export type Import = { readonly line: number; readonly to: string; readonly lazy: boolean };

/** What a file imports and re-exports: paths from the root for files of ours, else the name as written. Types count. */
export function importsOf({ path, module, text, lineAt }: Source): readonly Import[] {
  const target = (name: string): string => (name.startsWith('.') ? relative(root, resolve(root, dirname(path), name)) : name);
  const unquoted = (start: number, end: number): string => text.slice(start + 1, end - 1);
  const requests = [
    ...module.staticImports.map(({ moduleRequest }) => moduleRequest),
    ...module.staticExports.flatMap(({ entries }) => entries.flatMap(({ moduleRequest }) => moduleRequest ?? [])),
  ];
  return [
    ...requests.map(({ value, start }) => ({ line: lineAt(start), to: target(value), lazy: false })),
    ...module.dynamicImports.map(({ moduleRequest: { start, end } }) => ({
      line: lineAt(start),
      to: target(unquoted(start, end)),
      lazy: true,
    })),
  ];
}
