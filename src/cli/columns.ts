// SPDX-License-Identifier: Apache-2.0
// Columns as Go's text/tabwriter lays them out, because scripts and eyes know that layout: a column is as wide as its widest cell in
// consecutive lines which have a cell to the right of it. The last cell of a line belongs to no column.

export type Layout = { readonly minWidth: number; readonly padding: number };
const listLayout: Layout = { minWidth: 5, padding: 3 };
export const statusLayout: Layout = { minWidth: 2, padding: 3 };

export type Line = readonly string[];

/** The lines with their cells padded to columns, each ended by a newline, none by spaces. */
export function columns(lines: readonly Line[], { minWidth, padding }: Layout): string {
  const widths: number[][] = lines.map(() => []);
  for (let column = 0; lines.some((line) => line.length > column + 1); column++)
    for (const [from, to] of blocks(lines, column)) {
      let width = minWidth;
      for (let i = from; i < to; i++) width = Math.max(width, (lines[i]?.[column] ?? '').length + padding);
      for (let i = from; i < to; i++) widths[i]?.push(width);
    }
  return lines
    .map(
      (line, i) =>
        `${line
          .map((cell, column) => cell.padEnd(widths[i]?.[column] ?? 0))
          .join('')
          .trimEnd()}\n`,
    )
    .join('');
}

/** Runs of lines that have a cell after `column`. A run lies within one of the column before, as such lines have that cell too. */
function* blocks(lines: readonly Line[], column: number): Iterable<readonly [from: number, to: number]> {
  let from: number | undefined;
  for (let i = 0; i <= lines.length; i++) {
    const inside = (lines[i]?.length ?? 0) > column + 1;
    if (inside) from ??= i;
    else if (from !== undefined) {
      yield [from, i];
      from = undefined;
    }
  }
}

/** A header and rows, as lists print. */
export function list(header: Line, rows: readonly Line[]): string {
  return columns([header, ...rows], listLayout);
}
