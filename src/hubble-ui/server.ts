// SPDX-License-Identifier: Apache-2.0
// The page over HTTP: its files, and /api as JSON. It reads and never changes anything; nothing of one browser is kept here, so that
// it does not matter which replica answers.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { messageOf, StentorError } from '../base/errors.ts';
import { createServer } from '../base/node-http.ts';
import type { Log } from '../base/log.ts';
import type { Flow } from '../flows/flow.ts';
import type { Session, Vips } from '../page/api.ts';
import { viewOf, ViewError } from '../page/view.ts';
import { safeHeaders } from './assets.ts';
import type { Assets } from './assets.ts';
import { eventStream } from './event-stream.ts';
import { flowPage, isVisible, oneFlow } from './flow-pages.ts';
import type { Guard, Visitor } from './guard.ts';
import { healthOf } from './health.ts';
import type { Losses } from './health.ts';
import { lookouts, TooManyViews } from './lookouts.ts';
import type { Lookouts } from './lookouts.ts';
import type { FlowSource } from './source.ts';

export type PageServerOptions = {
  readonly host: string;
  readonly port: number;
  readonly version: string;
  readonly cluster: string;
  readonly assets: Assets;
  readonly source: FlowSource;
  readonly vips: (signal: AbortSignal) => Promise<Vips>;
  readonly losses: () => Losses;
  readonly guard: Guard;
  readonly log: Log;
};

export type PageServer = AsyncDisposable & { readonly port: number };

type Parts = PageServerOptions & { readonly views: Lookouts; readonly ending: AbortSignal };
type Ask = {
  readonly url: URL;
  readonly visitor: Visitor;
  readonly signal: AbortSignal;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
};
type Route = (parts: Parts, ask: Ask) => Promise<unknown>;

const MOST_ROWS = 500;
const ANSWER_MS = 20_000;

const routes: Readonly<Record<string, Route>> = {
  '/api/session': async ({ version, cluster, guard, source }, { visitor: { user, allowed }, signal }): Promise<Session> => {
    const namespaces = (await source.namespaces(signal).catch(() => [])).filter((one) => allowed?.includes(one) ?? true);
    return { version, cluster, login: guard.login, namespaces: namespaces.toSorted(), ...(user !== undefined && { user }) };
  },
  '/api/flows': ({ source }, { url: { searchParams }, visitor: { allowed }, signal }) => {
    const limit = Math.min(Math.max(Number(searchParams.get('limit')) || 200, 1), MOST_ROWS);
    return flowPage(source, { view: viewOf(searchParams), allowed, before: nanosIn(searchParams, 'before'), limit }, signal);
  },
  '/api/flow': async ({ source, views }, { url: { searchParams }, visitor: { allowed }, signal }) => {
    const uuid = searchParams.get('uuid') ?? '';
    const known = views.recent(uuid);
    const time = nanosIn(searchParams, 'time') ?? 0n;
    const flow = known && isVisible(known, allowed) ? known : await oneFlow(source, { uuid, time, allowed }, signal);
    if (flow === undefined) throw new Refusal(404, 'This flow is not kept any more');
    return plain(flow);
  },
  '/api/vips': ({ vips }, { signal }) => vips(signal),
  '/api/health': ({ source, version, views, losses }, { signal }) => healthOf({ source, version, views, losses }, signal),
};

class Refusal extends StentorError {
  readonly status: number;
  constructor(status: number, message: string) {
    super('Refused', message);
    this.status = status;
  }
}

/** Serves until disposed. Throws when it cannot listen. */
export async function servePage(options: PageServerOptions): Promise<PageServer> {
  const ending = new AbortController();
  const parts: Parts = { ...options, views: lookouts(options.source), ending: ending.signal };
  const server = createServer((request, response) => {
    answer(parts, request, response).catch((error: unknown) => refuse(response, error, parts.log));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: options.host, port: options.port }, resolve);
  });
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : options.port,
    async [Symbol.asyncDispose]() {
      ending.abort();
      parts.views.end();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}

async function answer(parts: Parts, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://page');
  if (request.method !== 'GET' && request.method !== 'HEAD') throw new Refusal(405, `Cannot ${request.method} ${url.pathname}, wanted GET`);
  if (url.pathname === '/healthz') return void response.writeHead(200, { 'content-type': 'text/plain' }).end('ok\n');
  if (parts.assets(url.pathname, request, response)) return;
  const route = Object.hasOwn(routes, url.pathname) ? routes[url.pathname] : undefined;
  if (!route && url.pathname !== '/api/live') throw new Refusal(404, `Cannot find ${url.pathname}`);
  const admission = await parts.guard.admit(request);
  if (admission.kind === 'refused') throw new Refusal(admission.status, admission.why);
  const { visitor } = admission;
  if (!route) return live(parts, { url, visitor, request, response, signal: parts.ending });
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  const signal = AbortSignal.any([gone.signal, parts.ending, AbortSignal.timeout(ANSWER_MS)]);
  const body = JSON.stringify(await route(parts, { url, visitor, signal, request, response }));
  response.writeHead(200, { ...safeHeaders, 'content-type': 'application/json', 'cache-control': 'no-store' }).end(body);
}

function live({ views, ending }: Parts, { url, visitor: { allowed }, request, response }: Ask): void {
  const view = viewOf(url.searchParams);
  const watching = new AbortController();
  const early: [string, unknown][] = [];
  let send = (name: string, data: unknown): void => void early.push([name, data]);
  views.watch(view, allowed, { watcher: (name, data) => send(name, data), signal: watching.signal }); // may refuse: before the first byte
  const stream = eventStream(request, response);
  send = stream.send;
  for (const [name, data] of early) send(name, data);
  stream.signal.addEventListener('abort', () => watching.abort(), { once: true });
  ending.addEventListener('abort', () => {
    send('bye', {});
    stream.end();
  });
}

function refuse(response: ServerResponse, error: unknown, log: Log): void {
  const status = error instanceof Refusal ? error.status : error instanceof ViewError ? 400 : error instanceof TooManyViews ? 503 : 502;
  if (status === 502) log.warn('Cannot answer a browser', { error });
  if (response.headersSent) return void response.destroy();
  const body = JSON.stringify({ error: messageOf(error) });
  response.writeHead(status, { ...safeHeaders, 'content-type': 'application/json', 'cache-control': 'no-store' }).end(body);
}

function nanosIn(params: URLSearchParams, name: string): bigint | undefined {
  const said = params.get(name);
  if (said === null) return undefined;
  if (!/^\d{1,20}$/.test(said)) throw new ViewError(`Cannot read ${name} '${said.slice(0, 100)}', wanted nanoseconds since the epoch`);
  return BigInt(said);
}

/** What JSON has no word for, as text. */
function plain(flow: Flow): unknown {
  return JSON.parse(
    JSON.stringify(flow, (_name, value: unknown) =>
      typeof value === 'bigint' ? String(value) : value instanceof Uint8Array ? `${value.length} bytes` : value,
    ),
  );
}
