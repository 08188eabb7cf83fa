// SPDX-License-Identifier: Apache-2.0
// Lays out beside the page, which goes on meanwhile.

import { layout } from './layout.ts';
import type { LayoutInput } from './layout.ts';

addEventListener('message', ({ data }: MessageEvent<{ readonly id: number; readonly input: LayoutInput }>) => {
  postMessage({ id: data.id, layout: layout(data.input) });
});
