// SPDX-License-Identifier: Apache-2.0
// For tests of the API: a server on loopback whose containers are processes of this machine, and clients for it.
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Json } from './json.ts';
import { createApiServer } from './server.ts';
import type { ApiServer, ApiServerOptions } from './server.ts';
import { shellSession } from './shell-session.ts';

export const TOKEN = 'a-token-for-tests';

export type Answer = {
  readonly code: number;
  readonly body: Json;
  readonly text: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
};

export type TestServer = {
  readonly api: ApiServer;
  readonly port: number;
  readonly dir: string;
  /** Sends a request with the token; a body that is no string goes as JSON. */
  readonly send: (method: string, path: string, body?: Json, headers?: Readonly<Record<string, string>>) => Promise<Answer>;
  /** Opens a watch: parsed lines as they come. */
  readonly watch: (path: string) => { readonly events: Json[]; readonly ended: Promise<void>; readonly close: () => void };
};

async function* testLog(lines: number, signal: AbortSignal): AsyncIterable<Buffer> {
  for (let line = 1; line <= lines && !signal.aborted; line += 1) yield Buffer.from(`line ${line}\n`);
}

/** Starts a server that ends with the test. Its pods' logs have three lines. */
export const startTestServer = async (t: TestContext, options: Partial<ApiServerOptions> = {}): Promise<TestServer> => {
  const dir = await mkdtemp(join(tmpdir(), 'stentor-api-'));
  const streams = {
    exec: async (target: { command: readonly string[] }) => shellSession(target.command),
    logs: (_target: unknown, signal: AbortSignal) => testLog(3, signal),
  };
  const api = await createApiServer({ tokens: new Map([[TOKEN, 'tester']]), sans: [], dir, streams, ...options });
  const { port } = (await api.listen({ host: '127.0.0.1', port: 0 })) as AddressInfo; // as: a TCP listener has an AddressInfo
  t.after(async () => {
    await api.close();
    await rm(dir, { recursive: true });
  });
  const base = { host: '127.0.0.1', port, ca: api.caPem, agent: false } as const;

  const send: TestServer['send'] = (method, path, body, headers = {}) =>
    new Promise((resolve, reject) => {
      const payload = body === undefined || typeof body === 'string' ? (body ?? '') : JSON.stringify(body);
      const always = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) };
      const outgoing = request({ ...base, method, path, headers: { ...always, ...headers } }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString();
          const parsed = response.headers['content-type']?.startsWith('application/json') ? JSON.parse(text) : undefined;
          resolve({ code: response.statusCode ?? 0, body: parsed, text, headers: response.headers });
        });
      });
      outgoing.on('error', reject);
      outgoing.end(payload);
    });

  const watch: TestServer['watch'] = (path) => {
    const events: Json[] = [];
    let rest = '';
    const ended = Promise.withResolvers<void>();
    const outgoing = request({ ...base, path, headers: { authorization: `Bearer ${TOKEN}` } }, (response) => {
      response.on('data', (chunk: Buffer) => {
        const lines = (rest + chunk.toString()).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) events.push(JSON.parse(line));
      });
      response.on('error', () => ended.resolve()).on('close', () => ended.resolve());
    });
    outgoing.on('error', () => ended.resolve());
    outgoing.end();
    return { events, ended: ended.promise, close: () => outgoing.destroy() };
  };
  return { api, port, dir, send, watch };
};

/** Polls until the condition holds; fails after the deadline with what was wanted. */
export const until = async (what: string, condition: () => boolean, milliseconds = 5000): Promise<void> => {
  const deadline = Date.now() + milliseconds;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`Waited ${milliseconds} ms for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
};

/** True when a kubectl of at least 1.31 is on the path. */
export const hasKubectl = (): boolean => {
  const { stdout, status } = spawnSync('kubectl', ['version', '--client', '-o', 'json'], { encoding: 'utf8' });
  const version = status === 0 ? JSON.parse(stdout).clientVersion : undefined;
  return version !== undefined && (Number(version.major) > 1 || Number.parseInt(version.minor, 10) >= 31);
};

export type Run = { readonly code: number; readonly out: string; readonly err: string };

/** A kubectl that talks to the server. */
export const kubectlFor = async ({ api, port, dir }: TestServer): Promise<(args: string, input?: string) => Promise<Run>> => {
  const kubeconfig = join(dir, 'kubeconfig');
  await writeFile(
    kubeconfig,
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [
        {
          name: 'test',
          cluster: { server: `https://127.0.0.1:${port}`, 'certificate-authority-data': Buffer.from(api.caPem).toString('base64') },
        },
      ],
      users: [{ name: 'test', user: { token: TOKEN } }],
      contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
      'current-context': 'test',
    }),
  );
  const env = { ...process.env, KUBECONFIG: kubeconfig, HOME: dir, KUBECACHEDIR: join(dir, 'cache') };
  return (args, input = '') =>
    new Promise((resolve) => {
      const words = [...args.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '');
      const child = execFile('kubectl', words, { env, timeout: 20_000, maxBuffer: 64 * 1024 * 1024, encoding: 'utf8' }, (error, out, err) =>
        resolve({ code: error ? Number(error.code ?? 1) : 0, out, err }),
      );
      child.stdin?.end(input);
    });
};

/** The output of a run that succeeded. */
export const ok = (run: Run): string => {
  assert.equal(run.code, 0, run.err);
  return run.out;
};
