// SPDX-License-Identifier: Apache-2.0
// Which words may stand in a block. It says "no" of most words that do not, and never of one that does.

import { textHash } from '../base/hash.ts';

const PROBES = 5;
const BITS_PER_WORD = 10; // one word in a hundred is thought to be there and is not
const MIN_BITS = 64;
const MAX_BITS = 32_768;

export function bloomOf(words: ReadonlySet<string>): Buffer {
  let bits = MIN_BITS;
  while (bits < words.size * BITS_PER_WORD && bits < MAX_BITS) bits *= 2;
  const bloom = Buffer.alloc(bits / 8);
  for (const word of words) for (const bit of bitsOf(word, bits)) bloom[bit >>> 3] = (bloom[bit >>> 3] ?? 0) | (1 << (bit & 7));
  return bloom;
}

export function mayHave(bloom: Buffer, word: string): boolean {
  return bitsOf(word, bloom.length * 8).every((bit) => (bloom[bit >>> 3] ?? 0) & (1 << (bit & 7)));
}

function bitsOf(word: string, bits: number): readonly number[] {
  const [start, step] = [textHash(word), textHash(word, 1) | 1];
  return Array.from({ length: PROBES }, (_, i) => ((start + Math.imul(i, step)) >>> 0) % bits);
}
