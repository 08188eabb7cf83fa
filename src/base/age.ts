// SPDX-License-Identifier: Apache-2.0
// Which of several claims is the oldest: the same answer on every node and after every restart, whatever came first.

export type Aged = {
  /** RFC 3339, whole seconds, as Kubernetes writes it: the older is the lesser text. */
  readonly created?: string;
};

/** For sorting: the older first, what has no date last; names decide between equals. */
export function olderFirst([a, nameA]: readonly [Aged | undefined, string], [b, nameB]: readonly [Aged | undefined, string]): number {
  const [one, other] = [a?.created ?? NEVER, b?.created ?? NEVER];
  if (one !== other) return one < other ? -1 : 1;
  return nameA < nameB ? -1 : Number(nameA > nameB);
}

const NEVER = '~'; // behind every date
