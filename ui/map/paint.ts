// SPDX-License-Identifier: Apache-2.0
// Draws a scene into a canvas; in a worker, because without a graphics card thousands of curves take longer than a frame. Curves of one
// look are one path.

import { pointOn } from './scene.ts';
import type { Curve, Frame, Health, Scene, SceneArrow, SceneBox } from './scene.ts';

export type Camera = { /** Of the scene, in the middle of the canvas. */ readonly x: number; readonly y: number; readonly zoom: number };
export type Colors = Readonly<
  Record<'ground' | 'frame' | 'frameText' | 'card' | 'cardLine' | 'text' | 'muted' | 'accent' | Health, string>
>;
/** Of a page, or of a worker. */
export type Pen = CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D;
/** What is drawn of a scene, as it goes to a worker. */
export type Drawing = Pick<Scene, 'boxes' | 'frames'> & {
  /** Eight numbers for each arrow. */
  readonly curves: Float32Array;
  /** Health and width of each. */
  readonly looks: Uint8Array;
};
export type Sheet = { readonly context: Pen; readonly width: number; readonly height: number; readonly ratio: number };

/** Below that, boxes have no names. */
const NAMES_FROM = 0.42;
const HEADS_FROM = 0.34;
const CURVES_FROM = 0.16;
export const FONT = '12px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif';

export function paint(drawing: Drawing, camera: Camera, sheet: Sheet, colors: Colors): void {
  const { context, width, height, ratio } = sheet;
  const { zoom } = camera;
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, width * ratio, height * ratio);
  context.setTransform(ratio * zoom, 0, 0, ratio * zoom, ratio * (width / 2 - camera.x * zoom), ratio * (height / 2 - camera.y * zoom));
  const seen: Rect = { x: camera.x, y: camera.y, width: width / zoom, height: height / zoom };
  const look = { zoom, colors };
  const frames = drawing.frames.filter((frame) => overlaps(frame, seen));
  for (const frame of frames) drawFrame(context, frame, colors);
  if (zoom >= NAMES_FROM) for (const frame of frames) drawName(context, frame, look);
  drawArrows(context, drawing, { ...look, seen });
  context.lineWidth = Math.max(1, 0.7 / zoom);
  for (const box of drawing.boxes) if (overlaps(box, seen)) drawBox(context, box, look);
  if (zoom < NAMES_FROM) for (const frame of frames) drawName(context, frame, look);
}

/** A scene as it can be handed over without a copy of each arrow. */
export function drawingOf({ boxes, frames, arrows }: Scene): Drawing {
  const curves = new Float32Array(arrows.length * 8);
  const looks = new Uint8Array(arrows.length);
  for (const [i, { curve, health, volume }] of arrows.entries()) {
    curves.set(curve.flat(), i * 8);
    looks[i] = order.indexOf(health) * widths.length + widthStep(volume);
  }
  return { boxes, frames, curves, looks };
}

type Look = { readonly zoom: number; readonly colors: Colors };
type Rect = { readonly x: number; readonly y: number; readonly width: number; readonly height: number };

const overlaps = (a: Rect, b: Rect) => Math.abs(a.x - b.x) * 2 <= a.width + b.width && Math.abs(a.y - b.y) * 2 <= a.height + b.height;

function touches([ax = 0, ay = 0, bx = 0, by = 0, cx = 0, cy = 0, dx = 0, dy = 0]: Float32Array, { x, y, width, height }: Rect): boolean {
  const [left, right, top, bottom] = [x - width / 2, x + width / 2, y - height / 2, y + height / 2];
  return (
    Math.max(ax, bx, cx, dx) >= left &&
    Math.min(ax, bx, cx, dx) <= right &&
    Math.max(ay, by, cy, dy) >= top &&
    Math.min(ay, by, cy, dy) <= bottom
  );
}

function drawFrame(context: Pen, { x, y, width, height }: Frame, colors: Colors): void {
  context.fillStyle = colors.frame;
  context.beginPath();
  context.roundRect(x - width / 2, y - height / 2, width, height, 8);
  context.fill();
}

/** In the frame's head; from afar, where boxes have no names, over them. */
function drawName(context: Pen, { name, x, y, width, height }: Frame, { zoom, colors }: Look): void {
  const isFar = zoom < NAMES_FROM;
  const size = isFar ? Math.min(12 / zoom, height / 2, width / 5) : Math.min(12 / zoom, 17);
  context.font = FONT.replace('12px', `600 ${size}px`);
  const [text, left, base] = [clipped(context, name, width - 20), x - width / 2 + 12, y - height / 2 + (isFar ? size * 1.15 : 19)];
  context.textBaseline = 'alphabetic';
  if (isFar) {
    context.lineJoin = 'round';
    context.lineWidth = size / 3;
    context.strokeStyle = colors.frame;
    context.strokeText(text, left, base);
  }
  context.fillStyle = isFar ? colors.text : colors.frameText;
  context.fillText(text, left, base);
}

const widths = [0.8, 1.2, 1.8, 2.6, 3.6];
/** Ten times as much is one step wider. */
const widthStep = (volume: number) => Math.min(widths.length - 1, Math.floor(Math.log10(Math.max(1, volume))));

/** What is wrong is drawn over what is well. */
const order: readonly Health[] = ['good', 'slow', 'errors', 'drops', 'dropped'];

function drawArrows(context: Pen, { curves, looks }: Drawing, { zoom, colors, seen }: Look & { readonly seen: Rect }): void {
  const byLook = new Map<number, Float32Array[]>();
  for (const [i, look] of looks.entries()) {
    const curve = curves.subarray(i * 8, i * 8 + 8);
    if (touches(curve, seen)) byLook.getOrInsertComputed(look, () => []).push(curve);
  }
  for (const [look, some] of [...byLook].toSorted(([x], [y]) => x - y)) {
    const health = order[Math.floor(look / widths.length)] ?? 'good';
    stroke(context, some, { color: colors[health], zoom, width: widths[look % widths.length] ?? 1, dashed: health === 'drops' });
  }
}

type Stroke = { readonly color: string; readonly zoom: number; readonly width: number; readonly dashed: boolean };

export function strokeArrows(context: Pen, arrows: readonly SceneArrow[], look: Stroke): void {
  stroke(
    context,
    arrows.map(({ curve }) => Float32Array.from(curve.flat())),
    look,
  );
}

function stroke(context: Pen, curves: readonly Float32Array[], { color, zoom, width, dashed }: Stroke): void {
  context.strokeStyle = context.fillStyle = color;
  context.lineWidth = Math.max(width, 0.6 / zoom);
  context.setLineDash(dashed ? [7, 4] : []);
  context.beginPath();
  for (const [ax = 0, ay = 0, bx = 0, by = 0, cx = 0, cy = 0, dx = 0, dy = 0] of curves) {
    context.moveTo(ax, ay);
    if (zoom >= CURVES_FROM) context.bezierCurveTo(bx, by, cx, cy, dx, dy);
    else context.lineTo(dx, dy);
  }
  context.stroke();
  context.setLineDash([]);
  if (zoom < HEADS_FROM) return;
  context.beginPath();
  for (const [ax = 0, ay = 0, bx = 0, by = 0, cx = 0, cy = 0, dx = 0, dy = 0] of curves)
    head(
      context,
      [
        [ax, ay],
        [bx, by],
        [cx, cy],
        [dx, dy],
      ],
      4.5 + width,
    );
  context.fill();
}

function head(context: Pen, curve: Curve, size: number): void {
  const [x, y] = curve[3];
  const [fromX, fromY] = pointOn(curve, 0.94);
  const angle = Math.atan2(y - fromY, x - fromX);
  const corner = (turn: number) => [x - size * Math.cos(angle + turn), y - size * Math.sin(angle + turn)] as const;
  const [a, b] = [corner(0.42), corner(-0.42)];
  context.moveTo(x, y);
  context.lineTo(a[0], a[1]);
  context.lineTo(b[0], b[1]);
}

const isOutside = (kind: SceneBox['kind']) => kind !== 'workload';

export function drawBox(context: Pen, { name, kind, x, y, width, height, health }: SceneBox, { zoom, colors }: Look): void {
  const [left, top] = [x - width / 2, y - height / 2];
  context.beginPath();
  context.roundRect(left, top, width, height, isOutside(kind) ? height / 2 : 5);
  context.fillStyle = colors.card;
  context.fill();
  context.strokeStyle = health === 'good' ? colors.cardLine : colors[health];
  context.stroke();
  if (zoom < NAMES_FROM) return;
  context.beginPath();
  context.arc(left + 13, y, 3, 0, 7);
  context.fillStyle = health === 'good' ? colors.muted : colors[health];
  context.fill();
  context.font = FONT;
  context.textBaseline = 'middle';
  context.fillStyle = colors.text;
  context.fillText(clipped(context, name, width - 32), left + 22, y + 0.5);
}

const lengths = new Map<string, string>();

function clipped(context: Pen, text: string, width: number): string {
  const key = `${context.font} ${Math.round(width)} ${text}`;
  const known = lengths.get(key);
  if (known !== undefined) return known;
  let shown = text;
  while (shown.length > 1 && context.measureText(shown).width > width) shown = `${shown.slice(0, -2)}…`;
  if (lengths.size > 5000) lengths.clear();
  lengths.set(key, shown);
  return shown;
}
