// SPDX-License-Identifier: Apache-2.0
// Moving and zooming with a mouse, a touchpad or fingers.

import type { Point } from './scene.ts';

export type GestureListener = {
  pan(dx: number, dy: number): void;
  zoom(factor: number, at: Point): void;
  tap(at: Point): void;
  /** Undefined: it has left. */
  hover(at: Point | undefined): void;
};

/** Pixels that a finger may move and still tap. */
const TAP_SLACK = 5;

/** Returns what ends it. */
export function gestures(host: HTMLElement, { pan, zoom, tap, hover }: GestureListener): () => void {
  const stop = new AbortController();
  const fingers = new Map<number, Point>();
  let travelled = 0;

  const at = (event: MouseEvent): Point => {
    const { left, top } = host.getBoundingClientRect();
    return [event.clientX - left, event.clientY - top];
  };
  const spread = (): number => {
    const [a, b] = [...fingers.values()];
    return a && b ? Math.hypot(a[0] - b[0], a[1] - b[1]) : 0;
  };
  const middle = (): Point => {
    const [a = [0, 0], b = a] = [...fingers.values()];
    return [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
  };

  function moved(event: PointerEvent): void {
    if (!fingers.has(event.pointerId)) {
      if (event.pointerType === 'mouse') hover(at(event));
      return;
    }
    const [before, center] = [spread(), middle()];
    fingers.set(event.pointerId, at(event));
    const [x, y] = middle();
    travelled += Math.abs(x - center[0]) + Math.abs(y - center[1]) + (before > 0 ? TAP_SLACK + 1 : 0);
    if (travelled <= TAP_SLACK) return;
    pan(x - center[0], y - center[1]);
    if (before > 0) zoom(spread() / before, [x, y]);
  }

  function lifted(event: PointerEvent): void {
    if (!fingers.delete(event.pointerId)) return;
    if (fingers.size === 0 && travelled <= TAP_SLACK && event.type === 'pointerup') tap(at(event));
  }

  const on = <N extends keyof HTMLElementEventMap>(name: N, listener: (event: HTMLElementEventMap[N]) => void) =>
    host.addEventListener(name, listener, { signal: stop.signal, passive: false });
  on('pointerdown', (event) => {
    if (event.button !== 0) return;
    host.setPointerCapture(event.pointerId);
    if (fingers.size === 0) travelled = 0;
    fingers.set(event.pointerId, at(event));
    hover(undefined);
  });
  on('pointermove', moved);
  on('pointerup', lifted);
  on('pointercancel', lifted);
  on('pointerleave', () => hover(undefined));
  on('wheel', (event) => {
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 16 : 1;
    zoom(Math.exp(-event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.0016)), at(event));
  });
  return () => stop.abort();
}
