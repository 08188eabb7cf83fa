// SPDX-License-Identifier: Apache-2.0
// Runs test files with node:test, each in a process, and keeps what became of each test.

import { relative } from 'node:path';
import { inspect } from 'node:util';
import { run } from 'node:test';
import type { EventData } from 'node:test';

export type Outcome =
  | { readonly kind: 'passed'; readonly name: string }
  | { readonly kind: 'failed'; readonly name: string; readonly why: string }
  | { readonly kind: 'skipped'; readonly name: string; readonly reason: string };

/** `output` is what the file wrote by itself. */
export type FileResult = { readonly path: string; readonly ms: number; readonly outcomes: readonly Outcome[]; readonly output?: string };

type RunOptions = { readonly root: string; readonly atOnce: number; readonly onFile: (file: FileResult) => void };
type Report = EventData.TestPass | EventData.TestFail;

const FILE_TIMEOUT_MS = 300_000;

/** Runs the files (paths from the root) and calls `onFile` as each is done. A file that fails to load, or takes too long, is a failed test. */
export async function runFiles(files: readonly string[], { root, atOnce, onFile }: RunOptions): Promise<readonly FileResult[]> {
  if (files.length === 0) return []; // run() would look for files itself
  const pathOf = (file: string | undefined): string => relative(root, file ?? root);
  const outcomes = new Map<string, Outcome[]>(files.map((path) => [path, []]));
  const outputs = new Map<string, string>();
  const results: FileResult[] = [];
  const note = (report: Report, passed: boolean) => {
    const path = pathOf(report.file ?? report.name);
    const outcome = outcomeOf(report, passed, path);
    if (outcome) (outcomes.get(path) ?? outcomes.set(path, []).get(path))?.push(outcome);
  };
  const stream = run({ files: files.map((path) => `${root}/${path}`), cwd: root, concurrency: atOnce, timeout: FILE_TIMEOUT_MS });
  stream.on('test:pass', (report) => note(report, true));
  stream.on('test:fail', (report) => note(report, false));
  const keep = ({ file, message }: { file: string; message: string }) =>
    void outputs.set(pathOf(file), (outputs.get(pathOf(file)) ?? '') + message);
  stream.on('test:stdout', keep);
  stream.on('test:stderr', keep);
  stream.on('test:summary', ({ file, duration_ms }) => {
    if (file === undefined) return; // of all files
    const path = pathOf(file);
    const result = { path, ms: duration_ms, outcomes: outcomes.get(path) ?? [], output: outputs.get(path) ?? '' };
    results.push(result);
    onFile(result);
  });
  for await (const _event of stream); // until the end
  const missed = files
    .filter((path) => results.every((result) => result.path !== path))
    .map((path) => ({ path, ms: 0, outcomes: missing(outcomes.get(path)), output: outputs.get(path) ?? '' }));
  missed.forEach(onFile);
  return [...results, ...missed];
}

/** A file that never said that it was done has failed, whatever else it said. */
function missing(known: readonly Outcome[] = []): readonly Outcome[] {
  if (known.some(({ kind }) => kind === 'failed')) return known;
  return [...known, { kind: 'failed', name: 'the file', why: 'It ended without a summary' }];
}

/** Tests count; a suite counts if it was skipped as a whole or failed outside its tests. */
function outcomeOf(report: Report, passed: boolean, path: string): Outcome | undefined {
  const name = report.name === path || report.name.endsWith(`/${path}`) ? 'the file' : report.name;
  const reason = report.skip ?? report.todo;
  if (reason !== undefined && reason !== false)
    return { kind: 'skipped', name, reason: typeof reason === 'string' && reason !== '' ? reason : 'no reason given' };
  const isSuite = report.details.type === 'suite';
  if (passed) return isSuite || name === 'the file' ? undefined : { kind: 'passed', name };
  const error = 'error' in report.details ? report.details.error : undefined;
  if (error && 'failureType' in error && error.failureType === 'subtestsFailed') return undefined;
  return { kind: 'failed', name, why: storyOf(error?.cause ?? error) };
}

function storyOf(error: unknown): string {
  if (!(error instanceof Error)) return typeof error === 'string' ? error : inspect(error, { depth: 4 });
  return `${error.stack ?? error.message}${error.cause === undefined ? '' : `\nCaused by ${storyOf(error.cause)}`}`;
}
