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
  const wrote = failed > 0 && output.trim() !== '' ? [output.trimEnd().replace(/^/gm, '  | ')] : [];
  return [`${mark} ${path}: ${numbers} (${secondsOf(ms)})`, ...failuresOf(outcomes, Infinity), ...wrote].join('\n');
}

/** What failed and why, so many lines of each. */
const failuresOf = (outcomes: readonly Outcome[], lines: number): readonly string[] =>
  outcomes.flatMap((outcome) =>
    outcome.kind === 'failed'
      ? [`  ✗ ${outcome.name}\n${outcome.why.split('\n').slice(0, lines).join('\n').replace(/^/gm, '      ')}`]
      : [],
  );

const SUMMARY_LINES = 12;

/** The counts, and each failure again in short, because the end of a long log is what people see. */
export function levelSummary(level: string, files: readonly FileResult[]): string {
  const failed = files
    .filter(({ outcomes }) => countOf(outcomes, 'failed') > 0)
    .flatMap(({ path, outcomes }) => [`  failed: ${path}`, ...failuresOf(outcomes, SUMMARY_LINES)]);
  return [`${level}: ${numbersOf(files.flatMap(({ outcomes }) => outcomes))}`, ...failed].join('\n');
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
