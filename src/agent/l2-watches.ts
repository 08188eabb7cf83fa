// SPDX-License-Identifier: Apache-2.0
// What is watched of announced addresses beside who lives: whether the kernel still answers as it was told, whether another host has an
// address, and whether the other nodes find it.

import { systemClock as clock } from '../base/clock.ts';
import { problem } from '../base/problem.ts';
import type { Problem } from '../base/problem.ts';
import type { Reconciler } from '../base/reconcile.ts';
import type { OwnerRow } from '../l2/owners.ts';
import type { Asker } from './asker.ts';
import { cessionsOf } from './cessions.ts';
import type { Cessions } from './cessions.ts';
import { foreignClaims } from './foreign-claims.ts';
import type { Ground } from './ground.ts';
import { knocker } from './knocker.ts';
import type { Knocker } from './knocker.ts';
import { probing } from './probing.ts';
import type { AgentTables } from './tables.ts';
import { truthOf } from './truth.ts';

export type WatchesOptions = {
  readonly ground: Ground;
  readonly tables: AgentTables;
  readonly changed: () => void;
  /** What the kernel answers for: nobody but us should change it, and it matters at once. */
  readonly answers: Pick<Reconciler, 'look' | 'pending' | 'doubt'>;
  readonly announcements: Pick<Reconciler, 'doubt'>;
};

export type Watches = Disposable & {
  /** To be called after each commit. */
  readonly often: () => void;
  /** Once a second. */
  readonly seldom: () => void;
};

/** How long a repair is told of. */
const TELL_MS = 60_000;

export function watchesOf(options: WatchesOptions, asking: Asker): Watches {
  const { ground, tables, changed } = options;
  const claims = foreignClaimsOf(options);
  const cessions = cessionsOf({ self: ground.self, l2: tables.l2, clock, changed });
  const knocking = knocker(ground.datapath.map('l2_knocks'));
  const truth = truthIn(options, { asking, knocking, cessions });
  const often = probing({ l2: tables.l2, nodes: tables.nodes, asker: asking, clock, changed });
  return {
    often,
    seldom() {
      lookAtAnswers(options);
      ground.problems.report('l2 claims', claims());
      ground.problems.report('l2 truth', truth());
      cessions.seldom();
    },
    [Symbol.dispose]: () => knocking[Symbol.dispose](),
  };
}

/** Answers that somebody else took away or changed are there again after this. The Problem stays for a while, as it may come back. */
function lookAtAnswers({ ground: { problems, self, log }, answers, changed }: WatchesOptions): void {
  const before = answers.pending;
  answers.look(() => false);
  const found = answers.pending - before;
  if (found <= 0) return;
  log.warn('Repairs answers for addresses that somebody changed in the kernel', { answers: found });
  problems.report('l2 answers', [
    problem({
      object: `Node ${self}`,
      reason: 'AnswersChanged',
      message: `${found} entries of l2_answers were not as the agent had written them, and have been written again`,
      advice: 'Find what else writes to the BPF maps of this node: another agent, or bpftool',
    }),
  ]);
  setTimeout(() => (problems.report('l2 answers', []), changed()), TELL_MS).unref();
}

type Tools = { readonly asking: Asker; readonly knocking: Knocker; readonly cessions: Cessions };

function truthIn(
  { ground: { self }, tables: { l2, nodes, services }, answers, announcements }: WatchesOptions,
  { asking, knocking, cessions: { cede } }: Tools,
): () => readonly Problem[] {
  const heal = ({ ip }: OwnerRow) => {
    for (const [key, row] of l2.announcements.entries()) {
      if (row.ip !== ip) continue;
      answers.doubt(key);
      announcements.doubt(key);
    }
  };
  return truthOf({ self, l2, nodes, services, asker: asking, knocker: knocking, heal, cede });
}

function foreignClaimsOf({ ground, tables: { l2 }, announcements }: WatchesOptions): () => readonly Problem[] {
  const defend = (key: string) => announcements.doubt(key);
  return foreignClaims({ claims: ground.datapath.map('l2_claims'), l2, clock, defend });
}
