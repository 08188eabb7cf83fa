// SPDX-License-Identifier: Apache-2.0
// What tools/test.ts prints.

import type { FileResult, Outcome } from './test-run.ts';

const countOf = (outcomes: readonly Outcome[], kind: Outcome['kind']): number => outcomes.filter((outcome) => outcome.kind === kind).length;

const secondsOf = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

/** One line for a file; below it what failed, why, and what such a file wrote by itself. */
export function fileProgress({ path, ms, outcomes, output = '' }: FileResult): string {
  const [passed, failed, skipped] = [countOf(outcomes, 'passed'), countOf(outcomes, 'failed'), countOf(outcomes, 'skipped')];
  const numbers = [`${passed} passed`, ...(failed > 0 ? [`${failed} failed`] : []), ...(skipped > 0 ? [`${skipped} skipped`] : [])].join(
    ', ',
  );
  const mark = failed > 0 ? '✗' : passed > 0 ? '✓' : '-';
  const failures = outcomes.flatMap((outcome) =>
    outcome.kind === 'failed' ? [`  ✗ ${outcome.name}\n${outcome.why.replace(/^/gm, '      ')}`] : [],
  );
  const wrote = failed > 0 && output.trim() !== '' ? [output.trimEnd().replace(/^/gm, '  | ')] : [];
  return [`${mark} ${path}: ${numbers} (${secondsOf(ms)})`, ...failures, ...wrote].join('\n');
}

export function levelSummary(level: string, files: readonly FileResult[]): string {
  const outcomes = files.flatMap((file) => file.outcomes);
  const failed = files.filter((file) => countOf(file.outcomes, 'failed') > 0).map(({ path }) => `\n  failed: ${path}`);
  return `${level}: ${numbersOf(outcomes)}${failed.join('')}`;
}

/** Every skip, under what is missing for it. */
export function skipReport(files: readonly FileResult[]): string {
  const skips = files.flatMap(({ path, outcomes }) =>
    outcomes.flatMap((outcome) => (outcome.kind === 'skipped' ? [{ ...outcome, path }] : [])),
  );
  const byReason = Object.entries(Object.groupBy(skips, ({ reason }) => reason));
  return byReason
    .map(([reason, of = []]) => `Skipped, ${reason}:\n${of.map(({ path, name }) => `  ${path}: ${name}`).join('\n')}`)
    .join('\n');
}

export type Totals = { readonly failed: number; readonly skipped: number; readonly line: string };

export function totals(files: readonly FileResult[]): Totals {
  const outcomes = files.flatMap((file) => file.outcomes);
  return { failed: countOf(outcomes, 'failed'), skipped: countOf(outcomes, 'skipped'), line: numbersOf(outcomes) };
}

const numbersOf = (outcomes: readonly Outcome[]): string =>
  `${countOf(outcomes, 'passed')} passed, ${countOf(outcomes, 'failed')} failed, ${countOf(outcomes, 'skipped')} skipped`;
