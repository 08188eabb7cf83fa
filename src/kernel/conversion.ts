// SPDX-License-Identifier: Apache-2.0
// From the bytes of one version of a struct to those of another: fields go by their names. Pure.
//
//   { address; port; }  ──▶  { port; address; flags; }      flags is zero, and what the new one does not have is left behind
//
// A field that changes its meaning must change its name.

import { layoutText } from './layout.ts';
import type { IntegerLayout, Layout } from './layout.ts';

/** Bytes that go from one place to another. */
export type Piece = { readonly from: number; readonly to: number; readonly size: number };

type Leaf = { readonly path: string; readonly offset: number; readonly layout: Layout };

/** What goes where. Neighbours are one piece; equal layouts are one. */
export function piecesBetween(from: Layout, to: Layout): readonly Piece[] {
  if (layoutText(from) === layoutText(to)) return [{ from: 0, to: 0, size: to.size }];
  const old = new Map(Array.from(leavesOf(from, '', 0), (leaf) => [leaf.path, leaf]));
  const pieces: Piece[] = [];
  for (const leaf of leavesOf(to, '', 0)) {
    const same = old.get(leaf.path);
    const size = same && sharedSize(same.layout, leaf.layout);
    if (same && size !== undefined) append(pieces, { from: same.offset, to: leaf.offset, size });
  }
  return pieces;
}

/** A value among others. */
export type Place = { readonly bytes: Buffer; readonly at: number };

/** Writes the value at `from`, which is of the old layout, over zeroes at `to`. */
export function convert(pieces: readonly Piece[], from: Place, to: Place): void {
  for (const piece of pieces) from.bytes.copy(to.bytes, to.at + piece.to, from.at + piece.from, from.at + piece.from + piece.size);
}

function* leavesOf(layout: Layout, path: string, offset: number): Iterable<Leaf> {
  if (layout.kind === 'struct')
    for (const field of layout.fields) yield* leavesOf(field.layout, `${path}.${field.name}`, offset + field.offset);
  else if (layout.kind === 'array')
    for (let i = 0; i < layout.length; i++) yield* leavesOf(layout.element, `${path}[${i}]`, offset + i * layout.element.size);
  else yield { path, offset, layout };
}

/** Bytes that mean the same in both; undefined: nothing does. A number in host order, which is little-endian, may become wider. */
function sharedSize(from: Layout, to: Layout): number | undefined {
  if (from.kind === 'opaque' || to.kind === 'opaque') return undefined;
  if (from.size === to.size) return isBigEndian(from) === isBigEndian(to) || from.size === 1 ? to.size : undefined;
  return from.size < to.size && !isBigEndian(from) && !isBigEndian(to) ? from.size : undefined;
}

function isBigEndian(layout: Layout): boolean {
  return layout.kind === 'integer' && (layout satisfies IntegerLayout).bigEndian;
}

function append(pieces: Piece[], piece: Piece): void {
  const last = pieces.at(-1);
  if (last && last.from + last.size === piece.from && last.to + last.size === piece.to)
    pieces[pieces.length - 1] = { ...last, size: last.size + piece.size };
  else pieces.push(piece);
}
