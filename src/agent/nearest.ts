// SPDX-License-Identifier: Apache-2.0
// "Did you mean": which known name a mistyped or misplaced one was meant to be.

/** Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b` (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let above: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let cost = Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + same);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) cost = Math.min(cost, (above[j - 2] ?? 0) + 1);
      next.push(cost);
    }
    [above, row] = [row, next];
  }
  return row[b.length] ?? 0;
}

/** The known name that `typed` differs least from, if that is little: a quarter of its length, and two at least. */
export function nearest(typed: string, known: Iterable<string>): string | undefined {
  const plain = plainOf(typed);
  let best: string | undefined;
  let least = Math.max(2, Math.floor(plain.length / 4)) + 1;
  for (const name of known) {
    const distance = editDistance(plain, plainOf(name));
    if (distance < least) [best, least] = [name, distance];
  }
  return best;
}

/** Like nearest for dotted paths, where a part of a path may also have been put in the wrong place: 'relay.enabled' is 'hubble.relay.enabled'. */
export function nearestPath(typed: string, known: readonly string[]): string | undefined {
  const close = nearest(typed, known);
  if (close !== undefined && editDistance(plainOf(close), plainOf(typed)) <= 1) return close;
  const segments = typed.split('.');
  for (let from = 0; from < segments.length; from++) {
    const tail = segments.slice(from).join('.');
    if (tail === 'enabled') continue; // the end of half of all paths
    const misplaced = known.filter((path) => path === tail || path.endsWith(`.${tail}`));
    const [first, ...others] = misplaced.toSorted((a, b) => editDistance(a, typed) - editDistance(b, typed));
    if (first !== undefined && (others.length < 3 || tail.includes('.'))) return first;
  }
  return close;
}

function plainOf(name: string): string {
  return name.replaceAll(/[.\-_]/g, '').toLowerCase();
}
