// SPDX-License-Identifier: Apache-2.0
// The map without a mouse: arrow keys go to the nearest box in that direction.

import { go, place } from '../location.ts';
import type { Box, Layout } from './layout.ts';
import type { MapCanvas } from './map-canvas.ts';

const directions: Readonly<Record<string, readonly [number, number]>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

/** Returns what ends it. */
export function mapKeys(host: HTMLElement, canvas: MapCanvas, layout: () => Layout | undefined): () => void {
  const pressed = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const direction = directions[event.key];
    if (direction) go({ selection: next(layout()?.boxes ?? [], direction) });
    else if (event.key === '+' || event.key === '=') canvas.zoomBy(1.3);
    else if (event.key === '-') canvas.zoomBy(1 / 1.3);
    else if (event.key === '0') canvas.fit();
    else return;
    event.preventDefault();
  };
  host.addEventListener('keydown', pressed);
  return () => host.removeEventListener('keydown', pressed);
}

function next(boxes: readonly Box[], [dx, dy]: readonly [number, number]): { readonly kind: 'node'; readonly id: string } | undefined {
  const { selection } = place.get();
  const here = selection?.kind === 'node' ? boxes.find(({ id }) => id === selection.id) : undefined;
  const [first] = boxes.toSorted((a, b) => a.x + a.y - b.x - b.y);
  if (!here) return first && { kind: 'node', id: first.id };
  let [best, cost]: [Box, number] = [here, Infinity];
  for (const box of boxes) {
    const [ahead, aside] = [
      (box.x - here.x) * dx + (box.y - here.y) * dy,
      Math.abs((box.x - here.x) * dy) + Math.abs((box.y - here.y) * dx),
    ];
    const own = ahead + 2 * aside;
    if (box.id !== here.id && ahead > 1 && own < cost) [best, cost] = [box, own];
  }
  return { kind: 'node', id: best.id };
}
