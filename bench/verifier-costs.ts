// SPDX-License-Identifier: Apache-2.0
// What the programs cost, against what bench/verifier.json says that they cost. Pure.
//
//   compiled    instructions in the object file: the same on every kernel, so they are compared everywhere
//   kernels     what a verifier makes of them: its figures belong to a kernel's major and minor version and are compared with those of
//               that version alone. On a kernel without figures each program still has to stay below VERIFIED_BUDGET

/** What one kernel makes of a program. */
export type Cost = {
  /** Instructions that the verifier walked through, over all paths. */
  readonly verifiedInstructions: number;
  readonly translatedBytes: number;
  readonly jitedBytes: number;
  /** Bytes of stack of the program and of each of its functions; 512 at most in any chain of calls. */
  readonly stackFrames: readonly number[];
};

export type Costs = Readonly<Record<string, Cost>>;

/** By object, and by kernel (as in '6.18') and program. */
export type CostRecord = { readonly compiled: Readonly<Record<string, number>>; readonly kernels: Readonly<Record<string, Costs>> };

/** What was found on this machine. */
export type Found = { readonly compiled: Readonly<Record<string, number>>; readonly kernel: string; readonly costs: Costs };

/** A kernel refuses a program at a million. Another kernel's verifier may walk twice as far, and features are still to come. */
export const VERIFIED_BUDGET = 100_000;
const TOLERANCE = 1.05;

/** The record with the figures of `found` in place of those that it had for this kernel. */
export function recordWith(record: CostRecord, { compiled, kernel, costs }: Found): CostRecord {
  const kernels = Object.entries({ ...record.kernels, [kernel]: costs }).toSorted(([a], [b]) =>
    a.localeCompare(b, 'en', { numeric: true }),
  );
  return { compiled, kernels: Object.fromEntries(kernels) };
}

/** What may not go in as it is, a sentence each. */
export function complaintsAbout(found: Found, record: CostRecord): readonly string[] {
  const known = record.kernels[found.kernel];
  const tooDear = Object.entries(found.costs).flatMap(([name, { verifiedInstructions }]) =>
    verifiedInstructions > VERIFIED_BUDGET
      ? [`${name}: the verifier walks ${verifiedInstructions} instructions, wanted ${VERIFIED_BUDGET} at most`]
      : [],
  );
  const compiled = grown(record.compiled, found.compiled).map((text) => `${text} compiled instructions`);
  const costs = known === undefined ? [] : FIGURES.flatMap(({ words, of }) => grown(figures(known, of), figures(found.costs, of), words));
  return [...tooDear, ...compiled, ...costs];
}

const FIGURES: readonly { readonly words: string; readonly of: (cost: Cost) => number }[] = [
  { words: ' instructions walked by the verifier', of: (cost) => cost.verifiedInstructions },
  { words: ' bytes translated', of: (cost) => cost.translatedBytes },
  { words: ' bytes jited', of: (cost) => cost.jitedBytes },
  { words: ' bytes of stack in one frame', of: (cost) => Math.max(0, ...cost.stackFrames) },
];

const figures = (costs: Costs, of: (cost: Cost) => number): Readonly<Record<string, number>> =>
  Object.fromEntries(Object.entries(costs).map(([name, cost]) => [name, of(cost)]));

function grown(before: Readonly<Record<string, number>>, now: Readonly<Record<string, number>>, words = ''): readonly string[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(now)])];
  return names.flatMap((name) => {
    const [old, current] = [before[name], now[name]];
    if (old === undefined) return [`${name}: is new, with ${current}${words}`];
    if (current === undefined) return [`${name}: is gone, had ${old}${words}`];
    return current > old * TOLERANCE ? [`${name}: from ${old} to ${current}${words}`] : [];
  });
}
