// SPDX-License-Identifier: Apache-2.0
// Draws beside the page: a drawing and a camera in, a picture out.

import { paint } from './paint.ts';
import type { Camera, Colors, Drawing, Sheet } from './paint.ts';

export type PaintOrder = {
  readonly camera: Camera;
  readonly colors: Colors;
  /** Undefined: the last one. */ readonly drawing: Drawing | undefined;
} & Omit<Sheet, 'context'>;
export type Picture = { readonly camera: Camera; readonly bitmap: ImageBitmap };

const canvas = new OffscreenCanvas(1, 1);
let drawing: Drawing | undefined;

addEventListener('message', ({ data }: MessageEvent<PaintOrder>) => {
  const { camera, colors, width, height, ratio } = data;
  drawing = data.drawing ?? drawing;
  const context = canvas.getContext('2d');
  if (!drawing || !context) return;
  const [w, h] = [Math.max(1, Math.round(width * ratio)), Math.max(1, Math.round(height * ratio))];
  if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h];
  paint(drawing, camera, { context, width, height, ratio }, colors);
  const picture: Picture = { camera, bitmap: canvas.transferToImageBitmap() };
  postMessage(picture, { transfer: [picture.bitmap] });
});
