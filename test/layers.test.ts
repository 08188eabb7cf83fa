// SPDX-License-Identifier: Apache-2.0
// Imports go down only. Folders are the architecture; this table is where they may look.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { importsOf, repositoryFiles, root, sourceOf, textOf, typescriptFiles } from './sources.ts';
import type { Import } from './sources.ts';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const features = [
  'services',
  'redirects',
  'policies',
  'identities',
  'endpoints',
  'nodes',
  'ipam',
  'lbipam',
  'l2',
  'flows',
  'hubble',
  'page',
  'trace',
].map((name) => `src/${name}`);
const wiring = ['src/agent', 'src/operator', 'src/relay', 'src/hubble-ui'];
const everything = ['src/base', 'src/kernel', 'src/kube', 'src/grpc', 'src/datapath', 'src/history', ...features, ...wiring, 'src/cli'];

//                      folder          layer   may import (itself goes without saying)
const layers: Readonly<Record<string, { readonly layer: number; readonly may: readonly string[] }>> = {
  'src/base': { layer: 0, may: [] }, // no Kubernetes, no BPF
  'src/kernel': { layer: 1, may: ['src/base'] },
  'src/kube': { layer: 1, may: ['src/base'] },
  'src/grpc': { layer: 1, may: ['src/base'] }, // knows no message but health's and reflection's
  'src/datapath': { layer: 2, may: ['src/base', 'src/kernel'] },
  ...Object.fromEntries(features.map((name) => [name, { layer: 2, may: ['src/base', 'src/datapath', ...features] }])), // rows and codecs
  'src/history': { layer: 2, may: ['src/base', 'src/flows', 'src/hubble'] }, // flows as bytes, and the files that have them
  ...Object.fromEntries(
    wiring.map((name) => [
      name,
      { layer: 3, may: ['src/base', 'src/kernel', 'src/kube', 'src/grpc', 'src/datapath', 'src/history', ...features] },
    ]),
  ),
  'src/dashboards': { layer: 4, may: everything }, // what all processes count
  'src/cli': { layer: 4, may: everything },
  'src/cli.ts': { layer: 4, may: everything },
  ui: { layer: 4, may: ['src/base', 'src/flows', 'src/page'] }, // in a browser
  sandbox: { layer: 4, may: ['src/base', 'src/kernel'] },
  tools: { layer: 4, may: ['src/base', 'src/kernel', 'src/datapath', 'src/dashboards', 'src/agent'] }, // of the agent its table of values
  bench: { layer: 4, may: [...everything, 'sandbox', 'bpf', 'test'] }, // the faults that it times are those of the tests
  bpf: { layer: 4, may: [...everything, 'test'] }, // its tests: the shipped object, filled by the shipped derivations
  test: { layer: 4, may: [...everything, 'sandbox'] },
};

// What a feature needs of Kubernetes objects is their shape, and of gRPC how messages are declared. The rest of both does I/O.
const exceptions: readonly { readonly from: string; readonly to: string; readonly why: string }[] = [
  { from: 'src/', to: 'src/kube/types.ts', why: 'the shapes of the objects that features read, and nothing else' },
  ...['fields', 'message', 'method', 'status', 'well-known'].map((file) => ({
    from: 'src/hubble/',
    to: `src/grpc/${file}.ts`,
    why: 'what messages and statuses are, without I/O',
  })),
  { from: 'src/cli', to: 'sandbox/main.ts', why: '`stentor sandbox`, started lazily' },
];

type Arrow = Import & { readonly from: string };

const folderOf = (path: string): string => Object.keys(layers).find((folder) => path === folder || path.startsWith(`${folder}/`)) ?? '';
const isOurs = (path: string): boolean => /^(src|sandbox|tools|bench|bpf|test|ui)\//.test(path);
const shown = ({ from, line, to }: Arrow): string => `${from}:${line} imports ${to}`;

/** All arrows between files of ours, but for those that start in a test: a test may look anywhere. */
const arrows: readonly Arrow[] = typescriptFiles()
  .filter((path) => !path.endsWith('.test.ts') && !path.includes('/testdata/'))
  .flatMap((from) => importsOf(sourceOf(from)).map((arrow) => ({ ...arrow, from })))
  .filter(({ to }) => isOurs(to));

function isAllowed({ from, to, lazy }: Arrow): boolean {
  const [here, there] = [folderOf(from), folderOf(to)];
  if (here === there || layers[here]?.may.includes(there)) return true;
  return exceptions.some((exception) => from.startsWith(exception.from) && to === exception.to && (lazy || !to.startsWith('sandbox/')));
}

/** The first way round from a folder to itself. */
function cycleAmong(folders: readonly string[], of: readonly Arrow[]): readonly string[] | undefined {
  const next = (folder: string) =>
    folders.filter((other) => other !== folder && of.some(({ from, to }) => folderOf(from) === folder && folderOf(to) === other));
  const walk = (path: readonly string[]): readonly string[] | undefined => {
    for (const folder of next(path.at(-1) ?? '')) {
      if (path.includes(folder)) return [...path.slice(path.indexOf(folder)), folder];
      const found = walk([...path, folder]);
      if (found) return found;
    }
    return undefined;
  };
  return folders.map((folder) => walk([folder])).find((found) => found !== undefined);
}

test('every TypeScript file lies in a folder that has a layer', () => {
  assert.deepEqual(
    typescriptFiles().filter((path) => folderOf(path) === ''),
    [],
  );
});

test('imports go down only', () => {
  assert.deepEqual(arrows.filter((arrow) => !isAllowed(arrow)).map(shown), []);
});

test('src does not import the sandbox, but for a lazy start by the command', () => {
  const up = arrows.filter(({ from, to }) => from.startsWith('src/') && to.startsWith('sandbox/'));
  assert.deepEqual(up.filter(({ from, lazy }) => !(from.startsWith('src/cli') && lazy)).map(shown), []);
});

test('a file imports nothing that is not there', () => {
  assert.deepEqual(arrows.filter(({ to }) => !existsSync(join(root, to))).map(shown), []);
});

test('feature folders have no cycle', () => {
  assert.equal(cycleAmong(features, arrows)?.join(' → '), undefined);
});

test('a cycle is found where there is one', () => {
  const arrow = (from: string, to: string): Arrow => ({ from: `src/${from}/a.ts`, to: `src/${to}/b.ts`, line: 1, lazy: false });
  const round = [arrow('services', 'nodes'), arrow('nodes', 'l2'), arrow('l2', 'nodes')];
  assert.deepEqual(cycleAmong(features, round), ['src/nodes', 'src/l2', 'src/nodes']);
  assert.equal(isAllowed(arrow('base', 'kernel')), false);
});

test('there is one package', () => {
  const manifests = repositoryFiles().filter((path) => path.endsWith('package.json') && !path.includes('/testdata/'));
  assert.deepEqual(manifests, ['package.json']);
  assert.doesNotMatch(textOf('package.json'), /"workspaces"/);
});
