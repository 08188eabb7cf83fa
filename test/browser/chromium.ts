// SPDX-License-Identifier: Apache-2.0
// Debian's Chromium without a window, driven by its own protocol: what a person does with a page, and what they see of it.

import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import WebSocket from 'ws';

const CHROMIUM = '/usr/bin/chromium';
export const whyNoChromium = (): string | undefined =>
  existsSync(CHROMIUM) ? undefined : `missing capability: ${CHROMIUM} (Debian: chromium), to look at the page as a person does`;

const flags = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--hide-scrollbars',
  '--remote-debugging-port=0',
  '--force-color-profile=srgb',
];
const PATIENCE_MS = 60_000;

type Params = Readonly<Record<string, unknown>>;
type Message = {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Params;
  readonly result?: Params;
  readonly error?: { readonly message: string };
};

export type Window = {
  readonly width: number;
  readonly height: number;
  readonly scale?: number;
  readonly dark?: boolean;
  readonly touch?: boolean;
};

export type Tab = {
  open(url: string): Promise<void>;
  look(window: Window): Promise<void>;
  /** The value of an expression in the page; promises are waited for. Throws what it throws. */
  value<T>(expression: string): Promise<T>;
  /** Waits until the expression is true. Throws with what the page says when it is not in time. */
  until(expression: string, ms?: number): Promise<void>;
  /** In the middle of the first element that the selector finds. */
  click(selector: string): Promise<void>;
  clickAt(x: number, y: number): Promise<void>;
  drag(from: readonly [number, number], to: readonly [number, number]): Promise<void>;
  press(key: string): Promise<void>;
  type(text: string): Promise<void>;
  screenshot(path: string): Promise<void>;
  /** What the page complained about. */
  readonly complaints: readonly string[];
};

export type Browser = AsyncDisposable & { readonly tab: Tab };

export async function browser(): Promise<Browser> {
  const profile = await mkdtemp(join(tmpdir(), 'stentor-chromium-'));
  const child = spawn(CHROMIUM, [...flags, `--user-data-dir=${profile}`, 'about:blank'], { stdio: 'ignore' });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const end = async () => {
    child.kill('SIGKILL');
    await ended;
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    const tab = await tabOf(await connected(await portIn(profile)));
    return { tab, [Symbol.asyncDispose]: end };
  } catch (error) {
    await end();
    throw error;
  }
}

async function portIn(profile: string): Promise<string> {
  for (const end = performance.now() + PATIENCE_MS; performance.now() < end; await new Promise((resolve) => setTimeout(resolve, 20))) {
    const text = await readFile(join(profile, 'DevToolsActivePort'), 'utf8').catch(() => '');
    const [port] = text.split('\n');
    if (port !== undefined && /^\d+$/.test(port)) return port;
  }
  throw new Error(`Chromium did not start within ${PATIENCE_MS} ms`);
}

async function connected(port: string): Promise<WebSocket> {
  const pages = (await (await fetch(`http://127.0.0.1:${port}/json/list`)).json()) as readonly {
    readonly type: string;
    readonly webSocketDebuggerUrl: string;
  }[]; // as: Chromium's answer
  const page = pages.find(({ type }) => type === 'page');
  if (!page) throw new Error('Chromium has no page');
  const socket = new WebSocket(page.webSocketDebuggerUrl, { perMessageDeflate: false });
  await new Promise<void>((resolve, reject) => socket.once('open', resolve).once('error', reject));
  return socket;
}

type Send = (method: string, params?: Params) => Promise<Params>;

function talk(socket: WebSocket, onEvent: (method: string, params: Params) => void): Send {
  const waiting = new Map<number, { readonly resolve: (result: Params) => void; readonly reject: (error: Error) => void }>();
  let last = 0;
  socket.on('message', (data: Buffer) => {
    const { id, method, params, result, error } = JSON.parse(data.toString()) as Message; // as: the protocol's
    if (method !== undefined) onEvent(method, params ?? {});
    if (id === undefined) return;
    const call = waiting.get(id);
    waiting.delete(id);
    if (error) call?.reject(new Error(error.message));
    else call?.resolve(result ?? {});
  });
  return (method, params = {}) => {
    const id = ++last;
    const { promise, resolve, reject } = Promise.withResolvers<Params>();
    waiting.set(id, { resolve, reject });
    socket.send(JSON.stringify({ id, method, params }));
    return promise;
  };
}

async function tabOf(socket: WebSocket): Promise<Tab> {
  const complaints: string[] = [];
  let loaded = (): void => undefined;
  const send = talk(socket, (method, params) => {
    if (method === 'Page.loadEventFired') loaded();
    if (method === 'Runtime.exceptionThrown' || (method === 'Log.entryAdded' && JSON.stringify(params).includes('"level":"error"')))
      complaints.push(JSON.stringify(params).slice(0, 600));
  });
  for (const domain of ['Page', 'Runtime', 'Log']) await send(`${domain}.enable`);
  const value = valueIn(send);
  return {
    complaints,
    value,
    until: untilIn(value),
    ...mouse(send, value),
    ...keyboard(send),
    async open(url) {
      const done = new Promise<void>((resolve) => (loaded = resolve));
      await send('Page.navigate', { url });
      await done;
    },
    async look({ width, height, scale = 1, dark = false, touch = false }) {
      await send('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: scale, mobile: touch });
      await send('Emulation.setTouchEmulationEnabled', { enabled: touch });
      await send('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: dark ? 'dark' : 'light' }] });
    },
    async screenshot(path) {
      const { data } = await send('Page.captureScreenshot', { format: 'png' });
      await writeFile(path, Buffer.from(String(data), 'base64'));
    },
  };
}

function valueIn(send: Send): Tab['value'] {
  return async <T>(expression: string): Promise<T> => {
    const { result, exceptionDetails } = await send('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true });
    if (exceptionDetails !== undefined) throw new Error(`${expression.slice(0, 200)}: ${JSON.stringify(exceptionDetails).slice(0, 600)}`);
    return (result as { readonly value: T }).value; // as: the caller names what the page gives
  };
}

function untilIn(value: Tab['value']): Tab['until'] {
  return async (expression, ms = PATIENCE_MS) => {
    for (const end = performance.now() + ms; performance.now() < end; await new Promise((resolve) => setTimeout(resolve, 30)))
      if (await value<boolean>(`Boolean(${expression})`)) return;
    throw new Error(
      `Cannot wait any longer than ${ms} ms for ${expression}; the page says: ${(await value<string>('document.body.innerText')).slice(0, 500)}`,
    );
  };
}

function mouse(send: Send, value: Tab['value']): Pick<Tab, 'click' | 'clickAt' | 'drag'> {
  const event = (type: string, x: number, y: number, buttons: number) =>
    send('Input.dispatchMouseEvent', {
      type,
      x,
      y,
      button: type === 'mouseMoved' ? 'none' : 'left',
      buttons,
      clickCount: type === 'mouseMoved' ? 0 : 1,
    });
  const clickAt = async (x: number, y: number) => {
    await event('mouseMoved', x, y, 0);
    await event('mousePressed', x, y, 1);
    await event('mouseReleased', x, y, 0);
  };
  return {
    clickAt,
    async click(selector) {
      const found = await value<{ readonly x: number; readonly y: number } | undefined>(
        `(() => { const e = document.querySelector(${JSON.stringify(selector)}); if (!e) return undefined; e.scrollIntoView({ block: 'nearest' }); const r = e.getBoundingClientRect(); return { x: r.x + r.width / 2, y: r.y + r.height / 2 }; })()`,
      );
      if (!found) throw new Error(`Cannot click ${selector}: it is not there`);
      await clickAt(found.x, found.y);
    },
    async drag(from, to) {
      await event('mouseMoved', from[0], from[1], 0);
      await event('mousePressed', from[0], from[1], 1);
      for (let i = 1; i <= 8; i++)
        await event('mouseMoved', from[0] + ((to[0] - from[0]) * i) / 8, from[1] + ((to[1] - from[1]) * i) / 8, 1);
      await event('mouseReleased', to[0], to[1], 0);
    },
  };
}

function keyboard(send: Send): Pick<Tab, 'press' | 'type'> {
  return {
    async press(key) {
      const text = key === 'Enter' ? '\r' : key.length === 1 ? key : undefined;
      const code = key === 'Enter' ? { windowsVirtualKeyCode: 13 } : {};
      await send('Input.dispatchKeyEvent', {
        type: text === undefined ? 'rawKeyDown' : 'keyDown',
        key,
        ...code,
        ...(text !== undefined && { text }),
      });
      await send('Input.dispatchKeyEvent', { type: 'keyUp', key, ...code });
    },
    type: async (text) => void (await send('Input.insertText', { text })),
  };
}
