// SPDX-License-Identifier: Apache-2.0
// What a suite found: tables of text, and bars for those who would rather look.
import type { Interval } from './statistics.ts';

export type Bar = { readonly label: string; readonly value: Interval; /** Another colour. */ readonly other?: boolean };

export type Bars = {
  readonly title: string;
  readonly unit: string;
  /** Drawn as a line. */ readonly aim?: number;
  readonly bars: readonly Bar[];
};

export type Findings = {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** Sentences below the table. */
  readonly notes: readonly string[];
  readonly charts: readonly Bars[];
};

export function markdown({ title, columns, rows, notes }: Findings): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const rule = columns.map((_, index) => (index === 0 ? '---' : '---:'));
  return [`## ${title}`, '', line(columns), line(rule), ...rows.map(line), '', ...notes.map((note) => `${note}\n`)].join('\n');
}

/** Three significant digits, thousands apart. */
export function number(value: number): string {
  if (!Number.isFinite(value)) return '–';
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en-US');
  return value.toPrecision(3);
}

export const interval = ({ middle, low, high }: Interval): string => `${middle.toFixed(3)} [${low.toFixed(3)}, ${high.toFixed(3)}]`;

/** Whether an aim is met; 'unclear' when the interval has it inside. */
export function met({ low, high }: Interval, aim: number, more = true): string {
  const [bad, good] = more ? [high < aim, low >= aim] : [low > aim, high <= aim];
  return good ? 'met' : bad ? '**missed**' : 'unclear';
}
