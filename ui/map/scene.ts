// SPDX-License-Identifier: Apache-2.0
// The service map as it is drawn: boxes, frames around those of a namespace, and an arrow for each two that talk.

import type { Graph, MapLink, MapNode, NodeKind } from '../../src/page/graph.ts';
import type { Layout } from './layout.ts';

export type Health = 'good' | 'slow' | 'errors' | 'drops' | 'dropped';

/** All links from one node to another. */
export type Arrow = {
  readonly from: string;
  readonly to: string;
  readonly links: readonly MapLink[];
  readonly health: Health;
  /** Connections, requests and drops in all. */
  readonly volume: number;
};

export type Model = { readonly nodes: ReadonlyMap<string, MapNode>; readonly arrows: readonly Arrow[] };

export type SceneBox = {
  readonly id: string;
  readonly name: string;
  readonly kind: NodeKind;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly health: Health;
};
export type Point = readonly [x: number, y: number];
/** A cubic curve. */
export type Curve = readonly [start: Point, first: Point, second: Point, end: Point];
export type SceneArrow = Arrow & { readonly curve: Curve };
export type Frame = { readonly name: string; readonly x: number; readonly y: number; readonly width: number; readonly height: number };
export type Scene = {
  readonly boxes: readonly SceneBox[];
  readonly frames: readonly Frame[];
  readonly arrows: readonly SceneArrow[];
  readonly width: number;
  readonly height: number;
};

/** Of requests that fail: a few are always there. */
const MANY_ERRORS = 0.01;

export function modelOf({ nodes, links }: Graph): Model {
  const byIndex = new Map(nodes.map((node) => [node.index, node]));
  const byEnds = Map.groupBy(links, ({ from, to }) => `${from}>${to}`);
  const arrows = [...byEnds.values()].flatMap((some): Arrow[] => {
    const [first] = some;
    const [from, to] = [byIndex.get(first?.from ?? -1), byIndex.get(first?.to ?? -1)];
    if (from === undefined || to === undefined) return [];
    const volume = some.reduce((sum, { counts }) => sum + Math.max(counts.connections, counts.requests) + counts.drops, 0);
    return [{ from: from.id, to: to.id, links: some, health: healthOf(some), volume }];
  });
  return { nodes: new Map(nodes.map((node) => [node.id, node])), arrows };
}

function healthOf(links: readonly MapLink[]): Health {
  let [good, errors, requests, drops] = [0, 0, 0, 0];
  for (const { counts } of links) {
    good += Math.max(counts.connections, counts.requests);
    errors += counts.errors;
    requests += counts.requests;
    drops += counts.drops;
  }
  if (drops > 0) return good === 0 ? 'dropped' : 'drops';
  return errors > requests * MANY_ERRORS ? 'errors' : 'good';
}

/** In whose frame a node stands: its namespace's, or one of two that are none. */
export const groupOf = ({ kind, namespace }: MapNode): string => namespace ?? (kind === 'name' || kind === 'world' ? 'outside' : 'cluster');

const worst: readonly Health[] = ['good', 'slow', 'errors', 'drops', 'dropped'];

export function sceneOf({ nodes, arrows }: Model, { boxes, groups, width, height }: Layout): Scene {
  const at = new Map(boxes.map((box) => [box.id, box]));
  const health = new Map<string, Health>();
  for (const arrow of arrows) {
    const last = health.get(arrow.to) ?? 'good';
    if (worst.indexOf(arrow.health) > worst.indexOf(last)) health.set(arrow.to, arrow.health);
  }
  return {
    boxes: boxes.flatMap(({ id, ...rest }): SceneBox[] => {
      const node = nodes.get(id);
      return node ? [{ id, name: node.name, kind: node.kind, health: health.get(id) ?? 'good', ...rest }] : [];
    }),
    frames: groups.map(({ id, ...rest }) => ({ name: id, ...rest })),
    arrows: arrows.flatMap((arrow): SceneArrow[] => {
      const [from, to] = [at.get(arrow.from), at.get(arrow.to)];
      return from && to ? [{ ...arrow, curve: from === to ? loop(from) : curve(from, to) }] : [];
    }),
    width,
    height,
  };
}

type Rect = Pick<SceneBox, 'x' | 'y' | 'width' | 'height'>;
const REACH = 0.42;
/** Between the middles of boxes that stand above each other without another between them. */
const NEAR = 62;

/** From side to side, or from edge to edge where one stands above the other. */
function curve(from: Rect, to: Rect): Curve {
  const [dx, dy] = [to.x - from.x, to.y - from.y];
  const isBeside = Math.abs(dx) > (from.width + to.width) / 2 + 12;
  if (isBeside) {
    const side = Math.sign(dx);
    const [ax, bx] = [from.x + (side * from.width) / 2, to.x - (side * to.width) / 2];
    const reach = Math.max(24, Math.abs(bx - ax) * REACH) * side;
    return [
      [ax, from.y],
      [ax + reach, from.y],
      [bx - reach, to.y],
      [bx, to.y],
    ];
  }
  if (Math.abs(dy) > NEAR) return around(from, to);
  const side = Math.sign(dy) || 1;
  const [ay, by] = [from.y + (side * from.height) / 2, to.y - (side * to.height) / 2];
  const reach = Math.max(12, Math.abs(by - ay) * REACH) * side;
  return [
    [from.x, ay],
    [from.x, ay + reach],
    [to.x, by - reach],
    [to.x, by],
  ];
}

/** Of boxes above each other with others between them: out on one side and in again. */
function around(from: Rect, to: Rect): Curve {
  const side = from.y < to.y ? 1 : -1;
  const [ax, bx] = [from.x + (side * from.width) / 2, to.x + (side * to.width) / 2];
  const out = side * (24 + Math.min(70, Math.abs(to.y - from.y) * 0.12));
  const far = side > 0 ? Math.max(ax, bx) + out : Math.min(ax, bx) + out;
  return [
    [ax, from.y],
    [far, from.y],
    [far, to.y],
    [bx, to.y],
  ];
}

function loop({ x, y, width, height }: Rect): Curve {
  const [right, top] = [x + width / 2, y - height / 2];
  return [
    [right - 26, top],
    [right - 26, top - 28],
    [right + 22, y],
    [right, y],
  ];
}

export function pointOn([[ax, ay], [bx, by], [cx, cy], [dx, dy]]: Curve, t: number): Point {
  const u = 1 - t;
  const [a, b, c, d] = [u * u * u, 3 * u * u * t, 3 * u * t * t, t * t * t];
  return [a * ax + b * bx + c * cx + d * dx, a * ay + b * by + c * cy + d * dy];
}

export const boxAt = ({ boxes }: Scene, [x, y]: Point, slack = 0): SceneBox | undefined =>
  boxes.findLast((box) => Math.abs(x - box.x) <= box.width / 2 + slack && Math.abs(y - box.y) <= box.height / 2 + slack);

const STEPS = 16;

/** The nearest arrow no further than `slack`. */
export function arrowAt({ arrows }: Scene, [x, y]: Point, slack: number): SceneArrow | undefined {
  let [best, distance]: [SceneArrow | undefined, number] = [undefined, slack];
  for (const arrow of arrows) {
    if (!isNear(arrow.curve, x, y, slack)) continue;
    let [lastX, lastY] = arrow.curve[0];
    for (let i = 1; i <= STEPS; i++) {
      const [nextX, nextY] = pointOn(arrow.curve, i / STEPS);
      const here = toSegment(x, y, [lastX, lastY, nextX, nextY]);
      if (here < distance) [best, distance] = [arrow, here];
      [lastX, lastY] = [nextX, nextY];
    }
  }
  return best;
}

function isNear(points: Curve, x: number, y: number, slack: number): boolean {
  const [xs, ys] = [points.map(([px]) => px), points.map(([, py]) => py)];
  return x >= Math.min(...xs) - slack && x <= Math.max(...xs) + slack && y >= Math.min(...ys) - slack && y <= Math.max(...ys) + slack;
}

function toSegment(x: number, y: number, [ax, ay, bx, by]: readonly [number, number, number, number]): number {
  const [dx, dy] = [bx - ax, by - ay];
  const length = dx * dx + dy * dy;
  const t = length === 0 ? 0 : Math.min(1, Math.max(0, ((x - ax) * dx + (y - ay) * dy) / length));
  return Math.hypot(x - ax - t * dx, y - ay - t * dy);
}
