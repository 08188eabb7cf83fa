// SPDX-License-Identifier: Apache-2.0
// npm run sanitize   our C under AddressSanitizer and UndefinedBehaviorSanitizer, in the tests that run it
//
//   build/sanitized/   a checkout of its own: copies of src/, native/ and cni/, compiled there with SANITIZE=1
//   1. what native/testdata/defects.c does wrong is reported, each mistake by its name: else a clean run would mean nothing
//   2. the tests of src/kernel and of the CNI plugin pass, nothing is reported, and our C leaks nothing
//
// With CI=true nothing may be skipped.

import { spawnSync } from 'node:child_process';
import { cpSync, globSync, mkdirSync, readFileSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import { fileProgress, skipReport, totals } from './test-report.ts';
import { runFiles } from './test-run.ts';
import { faultsIn } from './sanitizer-report.ts';

const root = resolve(import.meta.dirname, '..');
const checkout = join(root, 'build', 'sanitized');
const reports = join(checkout, 'reports');
const TESTS = ['src/kernel/*.test.ts', 'src/agent/cni-server.test.ts'];

/** A function of defects.c, and the words by which the sanitizers call what it does. */
const DEFECTS: readonly (readonly [name: string, words: string])[] = [
  ['overflow', 'heap-buffer-overflow'],
  ['useAfterFree', 'heap-use-after-free'],
  ['signedOverflow', 'signed integer overflow'],
  ['leak', 'leak of'],
];

function prepare(): void {
  mkdirSync(join(checkout, 'build'), { recursive: true });
  for (const folder of ['src', 'native', 'cni']) {
    rmSync(join(checkout, folder), { recursive: true, force: true });
    cpSync(join(root, folder), join(checkout, folder), { recursive: true, preserveTimestamps: true });
  }
  cpSync(join(root, 'package.json'), join(checkout, 'package.json'));
  rmSync(join(checkout, 'node_modules'), { force: true });
  symlinkSync(join(root, 'node_modules'), join(checkout, 'node_modules'));
  for (const folder of ['native', 'cni']) {
    const made = spawnSync('make', ['-s', '-C', join(checkout, folder), 'SANITIZE=1'], { stdio: ['ignore', 'inherit', 'inherit'] });
    if (made.status !== 0) throw new Error(`Cannot compile ${folder}/ with the sanitizers, wanted gcc with libasan and libubsan`);
  }
}

/** Node is not linked with the sanitizers; what it starts is, or is none of our business. */
const PRELOAD_NODE_ALONE = '--import=data:text/javascript,delete(process.env.LD_PRELOAD)';

/**
 * With these, whatever a Node does wrong is written to a file in `reports`; undefined behaviour to standard error all the same, with gcc 12.
 * Leaks alone change no exit code.
 */
function sanitizedEnvironment(): Readonly<Record<string, string>> {
  const library = (name: string) => spawnSync('gcc', [`-print-file-name=${name}`], { encoding: 'utf8' }).stdout.trim();
  return {
    LD_PRELOAD: `${library('libasan.so')} ${library('libubsan.so')}`,
    NODE_OPTIONS: PRELOAD_NODE_ALONE,
    ASAN_OPTIONS: `detect_leaks=1:log_path=${join(reports, 'of')}:log_exe_name=1`,
    LSAN_OPTIONS: 'exitcode=0:print_suppressions=0',
    UBSAN_OPTIONS: 'print_stacktrace=1',
    SANITIZE: '1', // a test that compiles the plugin itself
  };
}

function takeFaults(): readonly string[] {
  const faults = readdirSync(reports).flatMap((name) => faultsIn(readFileSync(join(reports, name), 'utf8')));
  rmSync(reports, { recursive: true });
  mkdirSync(reports);
  return faults;
}

/** The defects that nobody noticed. */
function missedDefects(): readonly string[] {
  const addon = JSON.stringify(join(checkout, 'build', 'defects.node'));
  return DEFECTS.filter(([name, words]) => {
    const { stderr } = spawnSync(process.execPath, ['-e', `require(${addon}).${name}()`], { encoding: 'utf8' });
    return [...takeFaults(), ...faultsIn(stderr)].every((fault) => !fault.includes(words));
  }).map(([name, words]) => `${name}() of native/testdata/defects.c was not reported, wanted '${words}'`);
}

async function main(): Promise<number> {
  prepare();
  rmSync(reports, { recursive: true, force: true });
  mkdirSync(reports);
  process.env['PATH'] = [join(root, 'build/bin'), join(root, 'node_modules/.bin'), process.env['PATH']].join(delimiter);
  Object.assign(process.env, sanitizedEnvironment()); // for what is started from here on
  const missed = missedDefects();
  for (const text of missed) console.error(text);
  if (missed.length > 0) return 1;
  const files = await runFiles(globSync([...TESTS], { cwd: checkout }).toSorted(), {
    root: checkout,
    atOnce: 2,
    onFile: (file) => console.log(fileProgress(file)),
  });
  const faults = [...takeFaults(), ...files.flatMap(({ output = '' }) => faultsIn(output))];
  for (const fault of faults) console.error(`\n${fault.split('\n').slice(0, 16).join('\n')}`);
  const { failed, skipped, line } = totals(files);
  if (skipped > 0) console.log(`\n${skipReport(files)}`);
  console.log(`\n${DEFECTS.length} of ${DEFECTS.length} defects reported, ${faults.length} found in our C; tests: ${line}`);
  return failed > 0 || faults.length > 0 || (process.env['CI'] === 'true' && skipped > 0) ? 1 : 0;
}

process.exitCode = await main();
