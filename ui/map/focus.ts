// SPDX-License-Identifier: Apache-2.0
// What is selected, or under the mouse, drawn over the rest: it, whom it talks to, and in words what they say.

import { short } from '../format.ts';
import type { Picked } from './map-canvas.ts';
import { drawBox, FONT, strokeArrows } from './paint.ts';
import type { Camera, Colors } from './paint.ts';
import { pointOn } from './scene.ts';
import type { Scene, SceneArrow, SceneBox } from './scene.ts';

export type Focus = { readonly selected: Picked | undefined; readonly hovered: Picked | undefined };
type Overlay = {
  readonly camera: Camera;
  readonly colors: Colors;
  readonly context: CanvasRenderingContext2D;
  readonly width: number;
  readonly height: number;
  readonly ratio: number;
};

/** Of more arrows the words would cover each other. */
const MOST_WORDS = 14;

export function drawFocus(scene: Scene, { selected, hovered }: Focus, overlay: Overlay): void {
  const { camera, colors, context, width, height, ratio } = overlay;
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, width * ratio, height * ratio);
  const picked = selected ?? hovered;
  if (!picked) return;
  if (selected) {
    context.globalAlpha = 0.62;
    context.fillStyle = colors.ground;
    context.fillRect(0, 0, width * ratio, height * ratio);
    context.globalAlpha = 1;
  }
  const { zoom, x, y } = camera;
  context.setTransform(ratio * zoom, 0, 0, ratio * zoom, ratio * (width / 2 - x * zoom), ratio * (height / 2 - y * zoom));
  for (const one of selected && hovered ? [selected, hovered] : [picked]) drawPicked(scene, one, overlay);
}

function drawPicked(scene: Scene, picked: Picked, { camera: { zoom }, colors, context }: Overlay): void {
  const isMine = (arrow: SceneArrow) =>
    picked.kind === 'node' ? arrow.from === picked.id || arrow.to === picked.id : arrow.from === picked.from && arrow.to === picked.to;
  const arrows = scene.arrows.filter(isMine);
  const ids = new Set(arrows.flatMap(({ from, to }) => [from, to]));
  if (picked.kind === 'node') ids.add(picked.id);
  for (const arrow of arrows) {
    const color = arrow.health === 'good' ? colors.accent : colors[arrow.health];
    strokeArrows(context, [arrow], { color, zoom: Math.max(zoom, 0.5), width: Math.max(2, 1.6 / zoom), dashed: arrow.health === 'drops' });
  }
  const boxes = scene.boxes.filter(({ id }) => ids.has(id));
  context.lineWidth = Math.max(1, 1 / zoom);
  for (const box of boxes) drawBox(context, box, { zoom: Math.max(zoom, 0.5), colors });
  for (const box of boxes) if (picked.kind === 'node' && box.id === picked.id) ring(context, box, colors, zoom);
  if (arrows.length <= MOST_WORDS) for (const arrow of arrows) words(context, arrow, colors, zoom);
}

function ring(context: CanvasRenderingContext2D, { x, y, width, height, kind }: SceneBox, colors: Colors, zoom: number): void {
  context.beginPath();
  context.roundRect(x - width / 2, y - height / 2, width, height, kind === 'workload' ? 5 : height / 2);
  context.strokeStyle = colors.accent;
  context.lineWidth = Math.max(2, 2 / zoom);
  context.stroke();
}

function words(context: CanvasRenderingContext2D, { curve, links }: SceneArrow, colors: Colors, zoom: number): void {
  const text = links
    .toSorted((a, b) => b.counts.connections - a.counts.connections)
    .slice(0, 2)
    .map(({ port, layer7, protocol }) =>
      [port || '', layer7 ?? (protocol === 'TCP' ? '' : protocol)].filter((word) => word !== '').join(' '),
    )
    .join(', ');
  const drops = links.reduce((sum, { counts }) => sum + counts.drops, 0);
  const shown = `${text}${links.length > 2 ? ' …' : ''}${drops > 0 ? ` · ${short(drops)} dropped` : ''}`;
  const size = Math.max(11, 10 / zoom);
  context.font = FONT.replace('12px', `${size}px`);
  const [x, y] = pointOn(curve, 0.5);
  const width = context.measureText(shown).width;
  context.fillStyle = colors.ground;
  context.globalAlpha = 0.88;
  context.beginPath();
  context.roundRect(x - width / 2 - 4, y - size * 0.75, width + 8, size * 1.5, 4);
  context.fill();
  context.globalAlpha = 1;
  context.textBaseline = 'middle';
  context.fillStyle = drops > 0 ? colors.drops : colors.text;
  context.fillText(shown, x - width / 2, y + 0.5);
}
