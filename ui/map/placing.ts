// SPDX-License-Identifier: Apache-2.0
// Asks for a layout when there is something new on the map. What was there once keeps its place while the view is the same: a map
// that jumps whenever something falls silent cannot be read.

import { groupOf } from './scene.ts';
import type { Model } from './scene.ts';
import type { BoxIn, Layout, LayoutInput } from './layout.ts';
import { FONT } from './paint.ts';
import { workerNamed } from './workers.ts';

export type Placing = {
  /** To be told of each new model; `key`: of the view. */
  place(model: Model, key: string, aspect: number): void;
  end(): void;
};

const PAUSE_MS = 1500;
const [LEAST_WIDTH, MOST_WIDTH] = [84, 210];

/** `onLayout` is told whether it is the first of a view. */
export function placing(onLayout: (layout: Layout, isFirst: boolean) => void): Placing {
  const worker = workerNamed('layout-worker');
  const boxes = new Map<string, BoxIn>();
  const pairs = new Map<string, readonly [string, string]>();
  let [key, asked, shown, since] = ['', 0, 0, 0];
  let isBusy = false;
  let next: number | undefined;
  let aspect = 1.6;

  worker.addEventListener('message', ({ data }: MessageEvent<{ readonly id: number; readonly layout: Layout }>) => {
    isBusy = false;
    if (data.id < since) return ask();
    onLayout(data.layout, shown < since);
    shown = data.id;
    if (boxes.size > data.layout.boxes.length) ask();
  });

  function ask(): void {
    if (isBusy || boxes.size === 0) return;
    isBusy = true;
    const input: LayoutInput = { boxes: [...boxes.values()], pairs: [...pairs.values()], aspect };
    worker.postMessage({ id: ++asked, input });
  }

  return {
    place({ nodes, arrows }, view, form) {
      aspect = form;
      if (view !== key) {
        boxes.clear();
        pairs.clear();
        [key, since] = [view, asked + 1];
      }
      const before = boxes.size;
      for (const node of nodes.values())
        if (!boxes.has(node.id)) boxes.set(node.id, { id: node.id, group: groupOf(node), width: widthOf(node.name) });
      for (const { from, to } of arrows) pairs.set(`${from}>${to}`, [from, to]);
      if (boxes.size === before) return;
      clearTimeout(next);
      next = window.setTimeout(ask, shown < since ? 0 : PAUSE_MS);
    },
    end() {
      clearTimeout(next);
      worker.terminate();
    },
  };
}

const ruler = document.createElement('canvas').getContext('2d');

function widthOf(name: string): number {
  if (!ruler) return MOST_WIDTH;
  ruler.font = FONT;
  return Math.min(MOST_WIDTH, Math.max(LEAST_WIDTH, Math.ceil(ruler.measureText(name).width) + 34));
}
