// SPDX-License-Identifier: Apache-2.0
// The map on the screen: a picture larger than the window, which a worker draws. Moving and zooming moves the picture, which costs
// nothing; a new one is drawn meanwhile, and takes its place.

import { gestures } from './gestures.ts';
import { drawFocus } from './focus.ts';
import type { Focus } from './focus.ts';
import { drawingOf } from './paint.ts';
import type { Camera, Colors } from './paint.ts';
import type { PaintOrder, Picture } from './paint-worker.ts';
import { workerNamed } from './workers.ts';
import { arrowAt, boxAt, pointOn } from './scene.ts';
import type { Point, Scene } from './scene.ts';

export type Picked = { readonly kind: 'node'; readonly id: string } | { readonly kind: 'link'; readonly from: string; readonly to: string };

export type MapCanvas = {
  show(scene: Scene, options: { readonly fit: boolean }): void;
  select(picked: Picked | undefined): void;
  recolor(colors: Colors): void;
  fit(): void;
  zoomBy(factor: number): void;
  /** Makes sure that what is selected is in sight. */
  reveal(id: string): void;
  /** Where in the window a click would pick an arrow that is there; undefined: nowhere. */
  arrowInSight(): { readonly from: string; readonly to: string; readonly x: number; readonly y: number } | undefined;
  /** Milliseconds that each frame since the last call took here. */
  frames(): readonly number[];
  end(): void;
};

type Options = {
  readonly host: HTMLElement;
  readonly colors: Colors;
  readonly onPick: (picked: Picked | undefined) => void;
  readonly onHover: (picked: Picked | undefined) => void;
};

/** How much of the window's size lies beyond each of its edges. */
const MARGIN = 0.25;
const SETTLED_MS = 90;
const [LEAST_ZOOM, MOST_ZOOM] = [0.02, 3];
const MOST_FIT_ZOOM = 1.25;
const MOST_FRAMES = 2000;

const canvasIn = (host: HTMLElement, name: string): HTMLCanvasElement => {
  const canvas = document.createElement('canvas');
  canvas.className = name;
  host.append(canvas);
  return canvas;
};

const contextOf = (canvas: HTMLCanvasElement): CanvasRenderingContext2D => {
  const context = canvas.getContext('2d');
  if (!context) throw new Error('Cannot draw here');
  return context;
};

export function mapCanvas({ host, colors: initial, onPick, onHover }: Options): MapCanvas {
  const front = canvasIn(host, 'sheet');
  const screen = front.getContext('bitmaprenderer');
  const worker = workerNamed('paint-worker');
  const overlay = canvasIn(host, 'overlay');
  let scene: Scene = { boxes: [], frames: [], arrows: [], width: 0, height: 0 };
  let colors = initial;
  let camera: Camera = { x: 0, y: 0, zoom: 1 };
  let painted: Camera = camera;
  let [isStale, isFocusStale, isFitted, isPainting, isNew] = [true, true, true, false, true];
  let [movedAt, handle] = [0, 0];
  let [selected, hovered]: [Picked | undefined, Picked | undefined] = [undefined, undefined];
  let size = { width: 0, height: 0, ratio: 1 };
  const frames: number[] = [];

  const sheetSize = () => ({ width: size.width * (1 + 2 * MARGIN), height: size.height * (1 + 2 * MARGIN), ratio: size.ratio });
  const toScene = ([x, y]: Point): Point => [camera.x + (x - size.width / 2) / camera.zoom, camera.y + (y - size.height / 2) / camera.zoom];

  const toWindow = ([x, y]: Point): Point => [
    size.width / 2 + (x - camera.x) * camera.zoom,
    size.height / 2 + (y - camera.y) * camera.zoom,
  ];

  function move(next: Camera): void {
    camera = { ...next, zoom: Math.min(MOST_ZOOM, Math.max(LEAST_ZOOM, next.zoom)) };
    movedAt = performance.now();
    [isStale, isFocusStale] = [true, true];
    wake();
  }

  function zoomAt(factor: number, point: Point): void {
    const zoom = Math.min(MOST_ZOOM, Math.max(LEAST_ZOOM, camera.zoom * factor));
    const [x, y] = toScene(point);
    const [dx, dy] = [point[0] - size.width / 2, point[1] - size.height / 2];
    isFitted = false;
    move({ x: x - dx / zoom, y: y - dy / zoom, zoom });
  }

  function fit(): void {
    const room = Math.min(size.width / (scene.width + 60), size.height / (scene.height + 60), MOST_FIT_ZOOM);
    isFitted = true;
    move({ x: scene.width / 2, y: scene.height / 2, zoom: scene.width > 0 && size.width > 0 ? room : 1 });
  }

  function resize(): void {
    size = { width: host.clientWidth, height: host.clientHeight, ratio: Math.min(devicePixelRatio, 2) };
    const { width, height, ratio } = sheetSize();
    [front.style.width, front.style.height] = [`${width}px`, `${height}px`];
    [overlay.width, overlay.height] = [Math.round(size.width * ratio), Math.round(size.height * ratio)];
    [overlay.style.width, overlay.style.height] = [`${size.width}px`, `${size.height}px`];
    if (isFitted) fit();
    move(camera);
  }

  /** Puts the canvas that was drawn for one camera where it belongs for another. */
  function place(): void {
    const scale = camera.zoom / painted.zoom;
    const { width, height } = sheetSize();
    const [x, y] = [size.width / 2 + (painted.x - camera.x) * camera.zoom, size.height / 2 + (painted.y - camera.y) * camera.zoom];
    front.style.transform = `translate(${x - (width / 2) * scale}px, ${y - (height / 2) * scale}px) scale(${scale})`;
  }

  /** Whether the window shows what the canvas has not. */
  function isBeyond(): boolean {
    const [slackX, slackY] = [(size.width * MARGIN) / camera.zoom, (size.height * MARGIN) / camera.zoom];
    return (
      Math.abs(painted.x - camera.x) > slackX * 0.8 || Math.abs(painted.y - camera.y) > slackY * 0.8 || camera.zoom < painted.zoom * 0.72
    );
  }

  function draw(now: number): void {
    if (!isPainting && isStale && (now - movedAt > SETTLED_MS || isBeyond())) {
      const order: PaintOrder = { camera, colors, drawing: isNew ? drawingOf(scene) : undefined, ...sheetSize() };
      worker.postMessage(order);
      [isPainting, isStale, isNew] = [true, false, false];
    }
    place();
    if (isFocusStale) {
      const focus: Focus = { selected, hovered };
      drawFocus(scene, focus, { camera, colors, context: contextOf(overlay), ...size });
      isFocusStale = false;
    }
  }

  function wake(): void {
    if (handle === 0) handle = requestAnimationFrame(frame);
  }

  function frame(now: number): void {
    handle = 0;
    const begin = performance.now();
    draw(now);
    frames.push(performance.now() - begin);
    if (frames.length > MOST_FRAMES) frames.shift();
    if ((isStale && !isPainting) || now - movedAt < SETTLED_MS * 2) wake();
  }

  const pickAt = (point: Point): Picked | undefined => {
    const at = toScene(point);
    const box = boxAt(scene, at, 2 / camera.zoom);
    if (box) return { kind: 'node', id: box.id };
    const arrow = arrowAt(scene, at, 7 / camera.zoom);
    return arrow && { kind: 'link', from: arrow.from, to: arrow.to };
  };

  const endGestures = gestures(host, {
    pan(dx, dy) {
      isFitted = false;
      move({ ...camera, x: camera.x - dx / camera.zoom, y: camera.y - dy / camera.zoom });
    },
    zoom: zoomAt,
    tap: (point) => onPick(pickAt(point)),
    hover(point) {
      const next = point && pickAt(point);
      if (JSON.stringify(next) === JSON.stringify(hovered)) return;
      hovered = next;
      isFocusStale = true;
      host.style.cursor = next ? 'pointer' : '';
      onHover(next);
      wake();
    },
  });
  worker.addEventListener('message', ({ data }: MessageEvent<Picture>) => {
    isPainting = false;
    painted = data.camera;
    screen?.transferFromImageBitmap(data.bitmap);
    wake();
  });
  const observer = new ResizeObserver(resize);
  observer.observe(host);
  resize();

  return {
    show(next, options) {
      scene = next;
      [isStale, isFocusStale, isNew] = [true, true, true];
      if (options.fit || isFitted) fit();
      wake();
    },
    select(picked) {
      selected = picked;
      isFocusStale = true;
      wake();
    },
    recolor(next) {
      colors = next;
      [isStale, isFocusStale] = [true, true];
      wake();
    },
    fit,
    zoomBy: (factor) => zoomAt(factor, [size.width / 2, size.height / 2]),
    reveal(id) {
      const box = scene.boxes.find((one) => one.id === id);
      if (!box) return;
      const isInside =
        Math.abs(box.x - camera.x) * camera.zoom < size.width * 0.42 && Math.abs(box.y - camera.y) * camera.zoom < size.height * 0.42;
      if (isInside) return;
      isFitted = false;
      move({ ...camera, x: box.x, y: box.y });
    },
    arrowInSight() {
      const { left, top } = host.getBoundingClientRect();
      for (const { from, to, curve } of scene.arrows)
        for (const t of [0.5, 0.35, 0.65]) {
          const [x, y] = toWindow(pointOn(curve, t));
          const picked = pickAt([x, y]);
          const isInside = x > 20 && y > 20 && x < size.width - 60 && y < size.height - 20;
          if (isInside && picked?.kind === 'link' && picked.from === from && picked.to === to) return { from, to, x: x + left, y: y + top };
        }
      return undefined;
    },
    frames: () => frames.splice(0),
    end() {
      cancelAnimationFrame(handle);
      observer.disconnect();
      worker.terminate();
      endGestures();
      host.replaceChildren();
    },
  };
}
