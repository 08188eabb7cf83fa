// SPDX-License-Identifier: Apache-2.0
// The Huffman code of header fields (RFC 7541, appendix B). It is canonical: the lengths of the codes, in bits, are all there is to know.

// prettier-ignore
const lengths: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
  6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
  15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
  20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
  22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
  26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
  20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
  30,
];
const END = 256;
const LONGEST = 30;

const symbols = [...lengths.keys()].sort((a, b) => (lengths[a] ?? 0) - (lengths[b] ?? 0) || a - b);

/** Of each length in bits: its first code, and where in `symbols` those of that length begin and end. */
const codes = (() => {
  let [code, from] = [0, 0];
  return Array.from({ length: LONGEST + 1 }, (_, length) => {
    const count = lengths.filter((one) => one === length).length;
    const row = { first: code, from, count };
    from += count;
    code = (code + count) * 2;
    return row;
  });
})();

/** The text (a character for each octet) that the bytes stand for; undefined for bytes that stand for none. */
export function huffmanText(bytes: Buffer): string | undefined {
  let text = '';
  let [code, length] = [0, 0];
  for (const byte of bytes)
    for (let bit = 7; bit >= 0; bit--) {
      code = code * 2 + ((byte >> bit) & 1);
      length++;
      const row = codes[length];
      if (row === undefined) return undefined;
      if (code - row.first >= row.count) continue;
      const symbol = symbols[row.from + code - row.first] ?? END;
      if (symbol === END) return undefined;
      text += String.fromCharCode(symbol);
      [code, length] = [0, 0];
    }
  return length < 8 && code === 2 ** length - 1 ? text : undefined; // ones fill up the last byte
}
