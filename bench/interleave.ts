// SPDX-License-Identifier: Apache-2.0
// Short runs in turn, so that whatever else the machine does hits all of them alike.
//
//   round 1: A B C    round 2: B C A    round 3: C A B   …

export type Variant<T> = { readonly name: string; run(): Promise<T> };

/** The results of each variant by round. */
export async function interleave<T>(variants: readonly Variant<T>[], rounds: number): Promise<ReadonlyMap<string, readonly T[]>> {
  const results = new Map<string, T[]>(variants.map(({ name }) => [name, []]));
  for (const { run } of variants) await run(); // warm: neighbours, caches, page tables
  for (let round = 0; round < rounds; round++) {
    const first = round % variants.length;
    for (const { name, run } of [...variants.slice(first), ...variants.slice(0, first)]) results.get(name)?.push(await run());
  }
  return results;
}
