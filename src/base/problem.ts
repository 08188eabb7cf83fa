// SPDX-License-Identifier: Apache-2.0
// A Problem is something that a user can repair: which object, why, and what to do. CLI, Event and metric come from it.
//
//   derivation or source ──report(owner, problems)──▶ problems table ──▶ CLI, Events, metrics
//
// An owner replaces all that it said before, so a Problem ends by not being said again.

import { table } from './table.ts';
import type { Table } from './table.ts';

export type Problem = {
  readonly kind: 'problem';
  /** 'Service shop/cart', 'Node node1', 'Config loadBalancer.mode'. */
  readonly object: string;
  /** CamelCase, for programs: 'NoPodCidr'. */
  readonly reason: string;
  /** What is wrong, with the value. */
  readonly message: string;
  /** What to do about it. */
  readonly advice: string;
};

/** Something that was done, and nobody has to repair: an Event, and nothing else. */
export type Notice = Omit<Problem, 'kind' | 'advice'> & { readonly kind: 'notice' };

export type ProblemBook = {
  readonly table: Table<string, Problem>;
  /** Replaces what `owner` said before. */
  report(owner: string, problems: readonly Problem[]): void;
};

export function problem(fields: Omit<Problem, 'kind'>): Problem {
  return { kind: 'problem', ...fields };
}

export function notice(fields: Omit<Notice, 'kind'>): Notice {
  return { kind: 'notice', ...fields };
}

export function problemBook(): ProblemBook {
  const problems = table<string, Problem>('problems', { same: sameProblem });
  const writer = problems.writer('problem book');
  const said = new Map<string, readonly string[]>();
  writer.complete();
  return {
    table: problems,
    report(owner, rows) {
      const before = said.get(owner);
      if (before === undefined && rows.length === 0) return;
      const keys = rows.map((row) => `${owner} ${row.object} ${row.reason}`);
      for (const key of before ?? []) if (!keys.includes(key)) writer.delete(key);
      for (const [i, row] of rows.entries()) writer.put(keys[i] ?? owner, row);
      if (keys.length > 0) said.set(owner, keys);
      else said.delete(owner);
    },
  };
}

function sameProblem(a: Problem, b: Problem): boolean {
  return a.object === b.object && a.reason === b.reason && a.message === b.message && a.advice === b.advice;
}
