// SPDX-License-Identifier: Apache-2.0
// For tests of the client: a small API over real HTTPS on loopback that can be told to misbehave.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';

import type { KubeAccess } from './config.ts';
import type { KubeObject } from './types.ts';

/** Answers a request by itself: true when it did. */
export type Hook = (request: IncomingMessage, response: ServerResponse, url: URL) => boolean;

export type TestApi = {
  readonly port: number;
  readonly ca: string;
  readonly access: KubeAccess;
  readonly folder: string;
  /** 'GET /api/v1/services?limit=2' in order of arrival. */
  readonly requests: string[];
  readonly tokens: (string | undefined)[];
  /** Asked before anything else. */
  hook: Hook | undefined;
  /** Makes or changes an object; watchers hear of it. */
  put(object: TestObject): void;
  delete(name: string): void;
  /** Values by name. */
  contents(): Record<string, unknown>;
  /** Forgets history up to now: watches from before get 410. */
  compact(): void;
  /** Sends raw bytes to every open watch. */
  toWatchers(text: string): void;
  /** Ends every open watch: as a server does in time, or by cutting the connection. */
  endWatches(how: 'end' | 'cut'): void;
  /** How many watches are open. */
  readonly watchers: () => number;
};

export type TestObject = { readonly name: string; readonly value?: unknown };
type Stored = KubeObject & { readonly value?: unknown };

/** One key pair for a run of tests; CA and server certificate in one, for 127.0.0.1 and ::1. */
function certificate(folder: string): { readonly key: string; readonly cert: string } {
  const [key, cert] = [join(folder, 'server.key'), join(folder, 'server.crt')];
  const subject = ['-subj', '/CN=stentor-test', '-addext', 'subjectAltName=IP:127.0.0.1,IP:::1,DNS:kubernetes'];
  execFileSync(
    'openssl',
    [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-days',
      '2',
      '-keyout',
      key,
      '-out',
      cert,
      ...subject,
    ],
    { stdio: 'ignore' },
  );
  return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') };
}

type Book = {
  readonly objects: Map<string, Stored>;
  readonly history: { readonly version: number; readonly type: string; readonly object: Stored }[];
  readonly watchers: Set<ServerResponse>;
  version: number;
  /** Watches from before get 410. */
  oldest: number;
};

/** Starts the API; it ends with the test. */
export async function testApi(context: TestContext): Promise<TestApi> {
  const folder = mkdtempSync(join(tmpdir(), 'stentor-kube-'));
  const { key, cert } = certificate(folder);
  const book: Book = { objects: new Map(), history: [], watchers: new Set(), version: 10, oldest: 0 };
  const seen: Pick<TestApi, 'requests' | 'tokens' | 'hook'> = { requests: [], tokens: [], hook: undefined };
  const server = createServer({ key, cert }, (request, response) => {
    const url = new URL(request.url ?? '/', 'https://test');
    seen.requests.push(`${request.method} ${url.pathname}${url.search}`);
    seen.tokens.push(request.headers.authorization);
    if (seen.hook?.(request, response, url) === true) return;
    if (url.searchParams.get('watch') === 'true') watch(book, url, response);
    else list(book, url, { response, gzip: request.headers['accept-encoding'] === 'gzip' });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0; // null: Node's word for none
  context.after(() => {
    server.closeAllConnections();
    server.close();
    rmSync(folder, { recursive: true });
  });
  const credentials = () => ({ token: 'secret', ca: cert, cert: undefined, key: undefined });
  const servers = () => [{ url: `https://127.0.0.1:${port}`, name: undefined }];
  const access = { servers, insecure: false, namespace: undefined, credentials };
  return Object.assign(seen, { port, ca: cert, folder, access, ...writesTo(book) }, { watchers: () => book.watchers.size });
}

function writesTo(book: Book): Pick<TestApi, 'put' | 'delete' | 'contents' | 'compact' | 'toWatchers' | 'endWatches'> {
  const { objects, history, watchers } = book;
  const record = (type: string, object: Stored) => {
    history.push({ version: book.version, type, object });
    for (const one of watchers) one.write(`${JSON.stringify({ type, object })}\n`);
  };
  return {
    put({ name, value }) {
      const type = objects.has(name) ? 'MODIFIED' : 'ADDED';
      const object = {
        apiVersion: 'v1',
        kind: 'Thing',
        metadata: { name, namespace: 'shop', resourceVersion: `${++book.version}` },
        value,
      };
      objects.set(name, object);
      record(type, object);
    },
    delete(name) {
      const object = objects.get(name);
      if (!object) return;
      objects.delete(name);
      record('DELETED', { ...object, metadata: { ...object.metadata, resourceVersion: `${++book.version}` } });
    },
    contents: () => Object.fromEntries([...objects].map(([name, { value }]) => [name, value])),
    compact() {
      book.oldest = ++book.version;
      history.length = 0;
    },
    toWatchers(text) {
      for (const one of watchers) one.write(text);
    },
    endWatches(how) {
      for (const one of watchers) {
        if (how === 'end') one.end();
        else one.destroy();
      }
      watchers.clear();
    },
  };
}

function list(
  { objects, version }: Book,
  url: URL,
  { response, gzip }: { readonly response: ServerResponse; readonly gzip: boolean },
): void {
  const all = [...objects.values()].toSorted((a, b) => a.metadata.name.localeCompare(b.metadata.name));
  const from = Number(url.searchParams.get('continue') ?? 0);
  const limit = Number(url.searchParams.get('limit') ?? all.length);
  const metadata = { resourceVersion: `${version}`, ...(from + limit < all.length && { continue: `${from + limit}` }) };
  const body = JSON.stringify({ kind: 'List', metadata, items: all.slice(from, from + limit) });
  response.writeHead(200, { 'content-type': 'application/json', ...(gzip && { 'content-encoding': 'gzip' }) });
  response.end(gzip ? gzipSync(body) : body);
}

function watch({ history, oldest, watchers }: Book, url: URL, response: ServerResponse): void {
  const from = Number(url.searchParams.get('resourceVersion'));
  if (from < oldest) return refuse(response, { code: 410, reason: 'Expired', message: `too old resource version: ${from}` });
  response.writeHead(200, { 'content-type': 'application/json' });
  response.flushHeaders();
  for (const event of history) if (event.version > from) response.write(`${JSON.stringify({ type: event.type, object: event.object })}\n`);
  watchers.add(response);
  response.on('close', () => watchers.delete(response));
}

export type Refusal = {
  readonly code: number;
  readonly reason: string;
  readonly message: string;
  readonly headers?: Readonly<Record<string, string>>;
};

/** Answers as the API does when it refuses. */
export function refuse(response: ServerResponse, { headers, ...refusal }: Refusal): void {
  response.writeHead(refusal.code, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify({ kind: 'Status', apiVersion: 'v1', status: 'Failure', ...refusal }));
}
