// SPDX-License-Identifier: Apache-2.0
// Makes the web page: ui/ becomes a few files with a hash in their names, and an index.html that names them, in build/ui.

import { copyFile, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { build } from 'esbuild';

const root = resolve(import.meta.dirname, '..');
const out = join(root, 'build/ui');
const fresh = join(root, `build/ui-${process.pid}`); // whoever reads build/ui meanwhile finds all of it

await mkdir(fresh, { recursive: true });
const { metafile } = await build({
  absWorkingDir: root,
  entryPoints: ['ui/main.tsx', 'ui/map/layout-worker.ts', 'ui/map/paint-worker.ts'],
  outdir: fresh,
  entryNames: '[name]-[hash]',
  bundle: true,
  minify: true,
  format: 'esm',
  target: ['chrome120', 'firefox121', 'safari17'],
  jsx: 'automatic',
  jsxImportSource: 'preact',
  metafile: true,
  legalComments: 'linked',
  logLevel: 'warning',
});
const made = Object.keys(metafile.outputs).map((path) => basename(path));
const named = (pattern: RegExp): string => {
  const name = made.find((one) => pattern.test(one));
  if (name === undefined) throw new Error(`Cannot find ${pattern} among ${made.join(', ')}`);
  return name;
};
const html = (await readFile(join(root, 'ui/index.html'), 'utf8'))
  .replace('main.css', named(/^main-.*\.css$/))
  .replace('main.js', named(/^main-.*\.js$/))
  .replace('"layout-worker.js', `"${named(/^layout-worker-.*\.js$/)}`)
  .replace('"paint-worker.js', `"${named(/^paint-worker-.*\.js$/)}`);
await writeFile(join(fresh, 'index.html'), html);
await copyFile(join(root, 'ui/icon.svg'), join(fresh, 'icon.svg'));
await rm(out, { recursive: true, force: true });
await rename(fresh, out);
