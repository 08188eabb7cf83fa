// SPDX-License-Identifier: Apache-2.0
// npm test [-- --quick] [PATH...]   runs the tests, or those whose path begins with one of PATH
//
//   level 1  TypeScript   rows in, rows out; needs no privilege
//   level 2  kernel       the addon and the compiled programs against the kernel of this machine
//   level 3  sandbox      the sandbox's own tests, faults in a cluster, then its checks with real traffic (no cluster with --quick)
//   level 4  conformance  programs of others (helm) with ours; only when asked for: npm run test:conformance
//
// What the machine does not allow is skipped by name. With CI=true nothing of levels 1 to 3 may be skipped. The last line is `N passed, N failed, N skipped`.

import { spawn } from 'node:child_process';
import { globSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { fileProgress, levelSummary, skipReport, totals } from './test-report.ts';
import { runFiles } from './test-run.ts';
import type { FileResult, Outcome } from './test-run.ts';

const sandboxCommand = 'sandbox/main.ts --once';
const root = resolve(import.meta.dirname, '..');

/** `atOnce`: how many files run at the same time; clusters would disturb each other's timing. */
type Level = { readonly name: string; readonly folders: readonly string[]; readonly atOnce: number };

const clusterTests = 'test/faults/'; // each file brings a cluster up
const conformance = 'test/conformance/';

const levels: readonly Level[] = [
  { name: 'level 1, TypeScript', folders: ['src/', 'test/', 'tools/', 'bench/', 'cni/'], atOnce: 2 },
  { name: 'level 2, kernel', folders: ['src/kernel/', 'src/datapath/', 'native/', 'bpf/'], atOnce: 2 },
  { name: 'level 3, sandbox', folders: ['sandbox/', clusterTests], atOnce: 1 },
  { name: 'level 4, conformance', folders: [conformance], atOnce: 1 },
];

/** The level that names the longest part of the path. */
function levelOf(path: string): Level {
  const prefix = (level: Level) => Math.max(0, ...level.folders.filter((folder) => path.startsWith(folder)).map((folder) => folder.length));
  const [first, ...others] = levels;
  if (!first) throw new Error('There are no levels');
  return others.reduce((best, level) => (prefix(level) > prefix(best) ? level : best), first);
}

/** A cluster on this machine, its checks, and away again. Beside the one that somebody may have up. */
async function sandboxOnce(): Promise<FileResult> {
  const started = performance.now();
  const child = spawn(process.execPath, ['sandbox/main.ts', '--once'], {
    cwd: root,
    env: { ...process.env, STENTOR_SANDBOX: process.env['STENTOR_SANDBOX'] ?? 'test' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const text = { out: '', err: '' };
  child.stdout.setEncoding('utf8').on('data', (part: string) => void (process.stdout.write(part), (text.out += part)));
  child.stderr.setEncoding('utf8').on('data', (part: string) => void (process.stderr.write(part), (text.err += part)));
  const interrupt = () => void child.kill('SIGINT');
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
  const code = await new Promise<number>((done) => child.once('close', (status) => done(status ?? 1)));
  process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
  return { path: sandboxCommand, ms: performance.now() - started, outcomes: outcomesOfSandbox(code, text) };
}

/** The checks that the sandbox counted; as one skip if this machine cannot run it (exit code 2), with its own words as the reason. */
function outcomesOfSandbox(code: number, { out, err }: { readonly out: string; readonly err: string }): readonly Outcome[] {
  if (code === 2)
    return [{ kind: 'skipped', name: 'the cluster with real traffic', reason: err.trim().split('\n').at(-1) ?? 'no reason given' }];
  const [, passed = '0', failed = '0'] = /(\d+) passed, (\d+) failed\s*$/.exec(out) ?? [];
  const outcomes = [
    ...Array.from({ length: Number(passed) }, (): Outcome => ({ kind: 'passed', name: 'a check' })),
    ...Array.from({ length: Number(failed) }, (): Outcome => ({ kind: 'failed', name: 'a check', why: 'see above' })),
  ];
  const isHonest = code === 0 ? Number(passed) > 0 && failed === '0' : failed !== '0';
  return isHonest
    ? outcomes
    : [...outcomes, { kind: 'failed', name: 'the sandbox', why: `exit code ${code} after ${passed} passed checks` }];
}

function whyNoSandbox(quick: boolean): string | undefined {
  if (quick) return '--quick was asked for';
  return process.getuid?.() === 0 ? undefined : 'missing capability: root, to make network namespaces and mounts';
}

const skippedFile = (path: string, reason: string): FileResult => ({
  path,
  ms: 0,
  outcomes: [{ kind: 'skipped', name: 'all of it', reason }],
});

async function resultsOf(
  level: Level,
  paths: readonly string[],
  options: { readonly quick: boolean; readonly all: boolean },
): Promise<readonly FileResult[]> {
  const isLeftOut = (path: string) => options.quick && path.startsWith(clusterTests);
  const leftOut = paths.filter(isLeftOut).map((path) => skippedFile(path, '--quick was asked for'));
  const onFile = (file: FileResult) => console.log(fileProgress(file));
  const ran = await runFiles(
    paths.filter((path) => !isLeftOut(path)),
    { root, atOnce: level.atOnce, onFile },
  );
  if (!level.folders.includes(clusterTests) || !options.all) return [...ran, ...leftOut];
  const reason = whyNoSandbox(options.quick);
  return [...ran, ...leftOut, reason === undefined ? await sandboxOnce() : skippedFile(sandboxCommand, reason)];
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({ options: { quick: { type: 'boolean', default: false } }, allowPositionals: true });
  process.env['PATH'] = [join(root, 'build/bin'), join(root, 'node_modules/.bin'), process.env['PATH']].join(delimiter); // with the kubectl of the set-up
  process.env['NODE_COMPILE_CACHE'] ??= join(root, 'build/node');
  const wanted = positionals.map((path) => path.replace(/^\.\//, ''));
  const files = globSync('{src,bpf,native,cni,test,tools,bench,sandbox}/**/*.test.ts', { cwd: root })
    .filter((path) => (wanted.length === 0 ? !path.startsWith(conformance) : wanted.some((prefix) => path.startsWith(prefix))))
    .toSorted();
  if (files.length === 0) {
    console.error(`Cannot find a test file whose path begins with ${wanted.join(' or ')}`);
    return 1;
  }
  const results: { readonly level: string; readonly files: readonly FileResult[] }[] = [];
  for (const level of levels) {
    const own = files.filter((path) => levelOf(path) === level);
    const done = await resultsOf(level, own, { quick: values.quick, all: wanted.length === 0 });
    if (done.length > 0) results.push({ level: level.name, files: done });
  }
  const all = results.flatMap((result) => result.files);
  const { failed, skipped, line } = totals(all);
  const forbidden = process.env['CI'] === 'true' && skipped > 0 && wanted[0] !== conformance;
  console.log(`\n${results.map(({ level, files: of }) => levelSummary(level, of)).join('\n')}`);
  if (skipped > 0) console.log(`\n${skipReport(all)}`);
  if (forbidden) console.log('\nCI=true allows no skips: this run has failed');
  console.log(`\n${line}`);
  return failed > 0 || forbidden ? 1 : 0;
}

process.exitCode = await main();
