// SPDX-License-Identifier: Apache-2.0
// Numbers out of texts and bytes, the same on every node; not for secrets.

/** 32 bits: FNV-1a over UTF-16 units, then MurmurHash3's finish, because our texts differ in few characters. */
export function textHash(text: string, seed = 0): number {
  let mixed = 0x811c9dc5 ^ seed;
  for (let i = 0; i < text.length; i++) mixed = Math.imul(mixed ^ text.charCodeAt(i), 0x01000193);
  return finished(mixed);
}

export function numbersHash(numbers: Uint32Array): number {
  let mixed = 0x811c9dc5;
  for (const number of numbers) mixed = Math.imul(mixed ^ finished(number), 0x01000193);
  return finished(mixed);
}

function finished(given: number): number {
  let mixed = Math.imul(given ^ (given >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
