// SPDX-License-Identifier: Apache-2.0
// Where everything on the map is. Who calls stands left of whom they call, as far as that goes; the pods of a namespace stand together.
//
// A small graph of few namespaces is laid out as a whole. Else each namespace is laid out by itself, and the namespaces are put beside
// each other: the time for a layered layout grows much faster than the graph, and layers through many namespaces are mostly empty.

import { Graph, layout as dagre } from '@dagrejs/dagre';

export type BoxIn = { readonly id: string; readonly group: string; readonly width: number };
export type LayoutInput = {
  readonly boxes: readonly BoxIn[];
  readonly pairs: readonly (readonly [from: string, to: string])[];
  /** Width by height. */ readonly aspect: number;
};

export type Box = { readonly id: string; readonly x: number; readonly y: number; readonly width: number; readonly height: number };
export type Layout = {
  /** Centres. */ readonly boxes: readonly Box[];
  readonly groups: readonly Box[];
  readonly width: number;
  readonly height: number;
};

const BOX_HEIGHT = 30;
const HEAD = 26;
const PAD = 14;
const GAP = 34;
const MOST_WHOLE_BOXES = 140;
const MOST_WHOLE_PAIRS = 320;
/** Of more, layers through all of them leave most of the sheet empty. */
const MOST_WHOLE_GROUPS = 3;

export function layout(input: LayoutInput): Layout {
  const { boxes, pairs } = input;
  if (boxes.length === 0) return { boxes: [], groups: [], width: 0, height: 0 };
  const isSmall = boxes.length <= MOST_WHOLE_BOXES && pairs.length <= MOST_WHOLE_PAIRS;
  const groups = new Set(boxes.map(({ group }) => group));
  return isSmall && groups.size <= MOST_WHOLE_GROUPS ? whole(input) : parts(input);
}

const groupId = (name: string) => `group ${name}`;

function whole({ boxes, pairs }: LayoutInput): Layout {
  const graph = new Graph({ compound: true }).setGraph({ rankdir: 'LR', nodesep: 16, ranksep: 84, edgesep: 8, marginx: PAD, marginy: PAD });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const { id, width, group } of boxes) {
    graph.setNode(id, { width, height: BOX_HEIGHT });
    if (group === '') continue;
    if (!graph.hasNode(groupId(group))) graph.setNode(groupId(group), {});
    graph.setParent(id, groupId(group));
  }
  for (const [from, to] of pairs) if (from !== to) graph.setEdge(from, to);
  dagre(graph);
  const placed = boxes.map(({ id, width }): Box => {
    const { x = 0, y = 0 } = graph.node(id) as Partial<Box>; // as: what the layout adds
    return { id, x, y, width, height: BOX_HEIGHT };
  });
  return framed(placed, boxes);
}

/** Groups are what their boxes need. */
function framed(placed: readonly Box[], boxes: readonly BoxIn[]): Layout {
  const groupOf = new Map(boxes.map(({ id, group }) => [id, group]));
  const byGroup = Map.groupBy(placed, ({ id }) => groupOf.get(id) ?? '');
  byGroup.delete('');
  const groups = Array.from(byGroup, ([id, some]) => frame(id, some));
  const all = [...placed, ...groups];
  const left = Math.min(...all.map(({ x, width }) => x - width / 2));
  const top = Math.min(...all.map(({ y, height }) => y - height / 2));
  const moved = (one: Box): Box => ({ ...one, x: one.x - left, y: one.y - top });
  const width = Math.max(...all.map(({ x, width: w }) => x + w / 2)) - left;
  const height = Math.max(...all.map(({ y, height: h }) => y + h / 2)) - top;
  return { boxes: placed.map(moved), groups: groups.map(moved), width, height };
}

function frame(id: string, some: readonly Box[]): Box {
  const left = Math.min(...some.map(({ x, width }) => x - width / 2)) - PAD;
  const right = Math.max(...some.map(({ x, width }) => x + width / 2)) + PAD;
  const top = Math.min(...some.map(({ y, height }) => y - height / 2)) - HEAD;
  const bottom = Math.max(...some.map(({ y, height }) => y + height / 2)) + PAD;
  return { id, x: (left + right) / 2, y: (top + bottom) / 2, width: right - left, height: bottom - top };
}

type Part = { readonly id: string; readonly layout: Layout };

function parts({ boxes, pairs, aspect }: LayoutInput): Layout {
  const groupOf = new Map(boxes.map(({ id, group }) => [id, group]));
  const inside = Map.groupBy(pairs, ([from, to]) => (groupOf.get(from) === groupOf.get(to) ? (groupOf.get(from) ?? '') : undefined));
  const made = Array.from(
    Map.groupBy(boxes, ({ group }) => group),
    ([id, some]): Part => ({ id, layout: part(some, inside.get(id) ?? []) }),
  );
  const between = pairs.map(([from, to]) => [groupOf.get(from) ?? '', groupOf.get(to) ?? ''] as const);
  return shelves(inOrder(made, between), aspect);
}

const MOST_LAYERED_PAIRS = 260;

/** One namespace: in layers, or where that would take long in columns. */
function part(boxes: readonly BoxIn[], pairs: readonly (readonly [string, string])[]): Layout {
  if (pairs.length > 0 && pairs.length <= MOST_LAYERED_PAIRS && boxes.length <= MOST_WHOLE_BOXES) {
    const { boxes: placed, width, height } = whole({ boxes: boxes.map((box) => ({ ...box, group: '' })), pairs, aspect: 1 });
    return { boxes: placed, groups: [], width, height };
  }
  const columns = Math.max(1, Math.round(Math.sqrt(boxes.length / 3)));
  const width = Math.max(...boxes.map((box) => box.width)) + 16;
  const placed = boxes.map((box, i): Box => ({
    id: box.id,
    width: box.width,
    height: BOX_HEIGHT,
    x: (i % columns) * width + box.width / 2,
    y: Math.floor(i / columns) * (BOX_HEIGHT + 10) + BOX_HEIGHT / 2,
  }));
  return { boxes: placed, groups: [], width: columns * width - 16, height: Math.ceil(boxes.length / columns) * (BOX_HEIGHT + 10) - 10 };
}

/** Those that have most to do with each other come after each other. */
function inOrder(all: readonly Part[], between: readonly (readonly [string, string])[]): readonly Part[] {
  const weight = new Map<string, number>();
  for (const [a, b] of between) for (const key of [`${a}>${b}`, `${b}>${a}`]) weight.set(key, (weight.get(key) ?? 0) + 1);
  const left = new Map(all.map((one) => [one.id, one]));
  const order: Part[] = [];
  const score = ({ id }: Part) => order.slice(-6).reduce((sum, placed) => sum + (weight.get(`${id}>${placed.id}`) ?? 0), 0);
  while (left.size > 0) {
    const next = [...left.values()].toSorted((a, b) => score(b) - score(a) || b.layout.height - a.layout.height)[0];
    if (next === undefined) break;
    left.delete(next.id);
    order.push(next);
  }
  return order;
}

type Outer = { readonly id: string; readonly inner: Layout; readonly width: number; readonly height: number };

/** Rows of groups, as wide as fills a sheet of that form best. */
function shelves(order: readonly Part[], aspect: number): Layout {
  const outer = order.map(({ id, layout: inner }): Outer => ({
    id,
    inner,
    width: inner.width + 2 * PAD,
    height: inner.height + HEAD + PAD,
  }));
  const area = outer.reduce((sum, { width, height }) => sum + (width + GAP) * (height + GAP), 0);
  const least = Math.max(...outer.map(({ width }) => width));
  const tries = Array.from({ length: 24 }, (_, i) => rowsOf(outer, Math.max(least, Math.sqrt(area * aspect) * (0.7 + i * 0.08))));
  const room = ({ width, height }: Layout) => Math.min(aspect / width, 1 / height);
  return tries.reduce((best, one) => (room(one) > room(best) ? one : best));
}

function rowsOf(outer: readonly Outer[], sheet: number): Layout {
  const [boxes, groups]: [Box[], Box[]] = [[], []];
  let [x, y, row, widest] = [0, 0, 0, 0];
  for (const { id, inner, width, height } of outer) {
    if (x > 0 && x + width > sheet) [x, y, row] = [0, y + row + GAP, 0];
    if (id !== '') groups.push({ id, x: x + width / 2, y: y + height / 2, width, height });
    for (const box of inner.boxes) boxes.push({ ...box, x: box.x + x + PAD, y: box.y + y + HEAD });
    [x, row] = [x + width + GAP, Math.max(row, height)];
    widest = Math.max(widest, x - GAP);
  }
  return { boxes, groups, width: widest, height: y + row };
}
