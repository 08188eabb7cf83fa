// SPDX-License-Identifier: Apache-2.0
// The web page in headless Chromium: when it is there, and how smooth a map of 1,000 workloads and 5,000 links is while it is moved
// and zoomed. Beside it the same loop on an empty page: what this machine's Chromium, without a graphics card, has at most.
import { browser } from '../test/browser/chromium.ts';
import type { Tab } from '../test/browser/chromium.ts';
import { largeTown, smallTown } from '../src/hubble-ui/testdata/town.ts';
import { townPage } from '../test/browser/town-page.ts';
import { number } from './table.ts';
import type { Findings } from './table.ts';

const LOADS = 7;
const SECONDS = 8;
const PATIENCE_MS = 90_000;

type Frames = { readonly perSecond: number; readonly p50: number; readonly p99: number };
type Smooth = {
  readonly what: string;
  readonly frames: Frames;
  /** Milliseconds of script in each frame. */ readonly script: readonly number[];
};

export async function page(say: (line: string) => void): Promise<readonly Findings[]> {
  await using open = await browser();
  const { tab } = open;
  await tab.look({ width: 1440, height: 900 });
  const loads = await paints(tab);
  say('First paint: done');
  const blank = await smoothness(tab, 'an empty page', 'about:blank');
  const small = await mapSmoothness(tab, 'small');
  const large = await mapSmoothness(tab, 'large');
  say('Frames: done');
  return [paintFindings(loads), frameFindings([blank, small, large])];
}

const at = (values: readonly number[], part: number): number =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * part))] ?? Number.NaN;

type Load = { readonly paint: number; readonly map: number; readonly bytes: number };

/** Loads with an empty cache. */
async function paints(tab: Tab): Promise<readonly Load[]> {
  await using server = await townPage(smallTown);
  const loads: Load[] = [];
  for (let i = 0; i < LOADS; i++) {
    await tab.open('about:blank');
    await tab.open(`http://127.0.0.1:${server.port}/?window=1m&port=${i + 1}&port=80&port=443&port=8080`);
    await tab.until('performance.getEntriesByName("first-contentful-paint").length > 0');
    const paint = await tab.value<number>('performance.getEntriesByName("first-contentful-paint")[0].startTime');
    await tab.until('window.hubbleMap?.arrowInSight()');
    const map = await tab.value<number>('performance.now()');
    const bytes = await tab.value<number>(
      'performance.getEntriesByType("resource").filter((one) => !one.name.includes("/api/")).reduce((sum, one) => sum + one.encodedBodySize, 0)',
    );
    loads.push({ paint, map, bytes });
  }
  return loads;
}

async function mapSmoothness(tab: Tab, size: 'small' | 'large'): Promise<Smooth> {
  await using server = await townPage(size === 'large' ? largeTown : smallTown);
  const url = `http://127.0.0.1:${server.port}/?window=1m`;
  await tab.open(url);
  await tab.until('window.hubbleMap?.arrowInSight()', PATIENCE_MS);
  await tab.until(`document.querySelector('.fresh .dot.live')`, PATIENCE_MS);
  const what = await tab.value<string>(`document.querySelector('.map-words').innerText`);
  return smoothness(tab, what);
}

/** Moves and zooms for some seconds, as fast as frames come. */
async function smoothness(tab: Tab, what: string, url?: string): Promise<Smooth> {
  if (url !== undefined) await tab.open(url);
  const { frames, script } = await tab.value<{ readonly frames: readonly number[]; readonly script: readonly number[] }>(
    `(${String(moveAndZoom)})(${SECONDS})`,
  );
  return { what, script, frames: { perSecond: frames.length / SECONDS, p50: at(frames, 0.5), p99: at(frames, 0.99) } };
}

/** In the page. */
async function moveAndZoom(seconds: number): Promise<unknown> {
  const { document, requestAnimationFrame, PointerEvent, WheelEvent, hubbleMap } = globalThis as any; // any: this runs in a browser
  const host = document.querySelector('.map-host') ?? document.body;
  const { x, y, width, height } = host.getBoundingClientRect();
  host.setPointerCapture = () => undefined; // there is no pointer to capture
  const place = (i: number) => ({ clientX: x + width / 2 + Math.sin(i / 40) * 260, clientY: y + height / 2 + Math.cos(i / 40) * 140 });
  const fire = (name: string, i: number) =>
    host.dispatchEvent(new PointerEvent(name, { ...place(i), pointerId: 7, button: 0, bubbles: true, pointerType: 'mouse' }));
  hubbleMap?.frames();
  fire('pointerdown', 0);
  const frames: number[] = [];
  const begin = performance.now();
  for (let i = 1, last = begin; last < begin + seconds * 1000; i++) {
    await new Promise((resolve) => requestAnimationFrame(resolve));
    const now = performance.now();
    frames.push(now - last);
    last = now;
    fire('pointermove', i);
    if (i % 4 === 0) host.dispatchEvent(new WheelEvent('wheel', { ...place(i), deltaY: Math.sin(i / 50) * 60, cancelable: true }));
  }
  fire('pointerup', 0);
  return { frames, script: hubbleMap?.frames() ?? [] };
}

function paintFindings(loads: readonly Load[]): Findings {
  const row = (what: string, of: (load: Load) => number, unit: string) => [
    what,
    `${number(at(loads.map(of), 0.5))} ${unit}`,
    `${number(at(loads.map(of), 1))} ${unit}`,
  ];
  return {
    title: 'The page is there',
    columns: ['', 'median', 'worst'],
    rows: [
      row('first contentful paint (≤ 1,000)', ({ paint }) => paint, 'ms'),
      row('map of 42 nodes drawn', ({ map }) => map, 'ms'),
      row('sent, compressed', ({ bytes }) => bytes / 1000, 'kB'),
    ],
    notes: [`${LOADS} loads, Chromium without a window or a graphics card on the machine that serves the page.`],
    charts: [],
  };
}

function frameFindings(all: readonly Smooth[]): Findings {
  return {
    title: 'Moved and zoomed',
    columns: ['', 'frames/s (≥ 60)', 'between frames, p50', 'p99', 'script in a frame, p50', 'p99'],
    rows: all.map(({ what, frames: { perSecond, p50, p99 }, script }) => [
      what,
      number(perSecond),
      `${number(p50)} ms`,
      `${number(p99)} ms`,
      `${number(at(script, 0.5))} ms`,
      `${number(at(script, 0.99))} ms`,
    ]),
    notes: [
      `Over ${SECONDS} s. Everything is rastered by the CPU here, which two cores share with the server of the page; the empty page has what is left for frames then.`,
    ],
    charts: [],
  };
}
