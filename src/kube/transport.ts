// SPDX-License-Identifier: Apache-2.0
// HTTP to the API at the first of its addresses that answers: connections that are kept, credentials as they are now, and every failure a
// KubeError, which names each address that was tried.
// node:https rather than fetch: the same calls with 8 MB less memory, and a watch can see its socket.

import type { Agent, IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';

import { systemClock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import { request as httpRequest } from '../base/node-http.ts';
import { agents, KEEPALIVE_MS } from './agents.ts';
import type { Credentials, KubeAccess } from './config.ts';
import { asKubeError, KubeError, KubeReason, statusOf } from './kube-error.ts';
import { probing } from './probes.ts';
import { serversOf } from './servers.ts';
import type { Server, Servers } from './servers.ts';

export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

export type Call = {
  readonly verb: string;
  readonly method: 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE';
  readonly path: string;
  readonly query?: Query;
  readonly body?: { readonly type: string; readonly value: unknown };
  readonly signal?: AbortSignal | undefined;
  /** Longest time without a byte from the server. */
  readonly silenceMs: number;
  /** Longest time for everything; absent for a stream. */
  readonly deadlineMs?: number;
};

export type Transport = {
  /** The address that is used, or the first that would be. */
  readonly server: string;
  readonly servers: Servers;
  /** The answer's JSON. */
  json(call: Call): Promise<unknown>;
  /** The answer's body as it comes; the status was good. */
  stream(call: Call): Promise<AsyncIterable<Buffer>>;
  /** Says where a failure was. */
  errorOf(thrown: unknown, call: Call): KubeError;
  close(): void;
};

/** Where there is another address to ask. */
const CONNECT_MS = 3000;
/** However long a server asks us to stay away. */
const LONGEST_RETRY_MS = 60_000;
const BODY_LIMIT = 256 * 2 ** 20;
const unzip = promisify(gunzip);

export function transport(access: KubeAccess): Transport {
  const servers = serversOf(access.servers, systemClock);
  const agentFor = agents(access);
  const server = () => servers.current ?? servers.inOrder()[0]?.url ?? 'no address';
  const errorOf = (thrown: unknown, { verb, path }: Call) => asKubeError(thrown, { verb, path, server: server() });
  const asking = (call: Call, credentials: Credentials) => (one: Server, patience: number | undefined) =>
    answerTo(call, { server: one, credentials, agent: agentFor(one, credentials), patience });
  const probes = probing(servers, async (one) => void (await asking(PROBE, access.credentials())(one, CONNECT_MS)).resume());
  // credentials that cannot be read are no server's failure
  const ask = async (call: Call) => firstAnswer(call, servers, asking(call, access.credentials())).finally(probes.later);
  const open = async (call: Call): Promise<IncomingMessage> => {
    await access.renew?.(false);
    let response = await ask(call);
    if (response.statusCode === 401 && access.renew) {
      response.resume();
      await access.renew(true);
      response = await ask(call);
    }
    if ((response.statusCode ?? 0) >= 300) throw await refusal(response, call, server());
    return response;
  };
  return {
    get server() {
      return server();
    },
    servers,
    errorOf,
    async json(call) {
      const { signal, done } = limited(call, server());
      try {
        const response = await open({ ...call, signal });
        const text = await bodyOf(response);
        return parsedBody(text, call, server());
      } catch (error) {
        throw signal.aborted && signal.reason instanceof KubeError ? signal.reason : errorOf(error, call);
      } finally {
        done();
      }
    },
    async stream(call) {
      try {
        return await open(call);
      } catch (error) {
        throw errorOf(error, call);
      }
    },
    close: () => (probes.stop(), agentFor.close()),
  };
}

const PROBE: Call = { verb: 'probe', method: 'GET', path: '/readyz', silenceMs: 3000 };

/** The caller's signal with the call's deadline; one timer and one listener, both gone after done(). */
function limited({ signal, deadlineMs, verb, path }: Call, server: string): { readonly signal: AbortSignal; done(): void } {
  const both = new AbortController();
  const abort = () => both.abort(signal?.reason);
  const late = () =>
    both.abort(new KubeError({ verb, path, server, reason: KubeReason.timeout, detail: `no whole answer within ${deadlineMs} ms` }));
  const timer = deadlineMs === undefined ? undefined : setTimeout(late, deadlineMs);
  signal?.addEventListener('abort', abort, { once: true });
  if (signal?.aborted === true) abort();
  return {
    signal: both.signal,
    done() {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    },
  };
}

/**
 * The answer of the first server that gives one. After a failure the next is asked, if the request cannot have been heard or may be repeated.
 * Throws KubeError, or what the only server's failure was.
 */
async function firstAnswer(
  call: Call,
  servers: Servers,
  ask: (server: Server, patience: number | undefined) => Promise<IncomingMessage>,
): Promise<IncomingMessage> {
  const all = servers.inOrder();
  const failures: { readonly url: string; readonly error: unknown }[] = [];
  for (const server of all) {
    try {
      const answer = await ask(server, all.length > 1 ? CONNECT_MS : undefined);
      servers.worked(server);
      return answer;
    } catch (error) {
      if (call.signal?.aborted === true) throw error;
      failures.push({ url: server.url, error });
      servers.failed(server, messageOf(error));
      const mayBeHeard = !(error instanceof Error && unsent.has(error));
      if (mayBeHeard && call.method !== 'GET') break;
    }
  }
  const [only, ...more] = failures;
  const { verb, path } = call;
  if (only && more.length === 0) throw asKubeError(only.error, { verb, path, server: only.url });
  const [urls, reasons] = [failures.map(({ url }) => url), failures.map(({ url, error }) => `${url}: ${messageOf(error)}`)];
  throw new KubeError({ verb, path, server: urls.join(', '), reason: KubeReason.unreachable, detail: reasons.join('; ') });
}

/** Failures before a byte of the request was sent. */
const unsent = new WeakSet<Error>();

type Where = {
  readonly server: Server;
  readonly credentials: Credentials;
  readonly agent: Agent;
  /** Milliseconds until there has to be a connection. */
  readonly patience: number | undefined;
};

function answerTo(call: Call, where: Where): Promise<IncomingMessage> {
  const { method, body, signal, silenceMs, verb, path } = call;
  const {
    server: { url: server },
    credentials,
    agent,
    patience,
  } = where;
  const payload = body === undefined ? undefined : Buffer.from(JSON.stringify(body.value));
  const headers = {
    accept: 'application/json',
    'accept-encoding': 'gzip',
    'user-agent': 'stentor',
    ...(credentials.token !== undefined && { authorization: `Bearer ${credentials.token}` }),
    ...(body && payload && { 'content-type': body.type, 'content-length': payload.length }),
  };
  return new Promise((resolve, reject) => {
    const secure = server.startsWith('https:');
    const request = (secure ? httpsRequest : httpRequest)(urlOf(server, call), { method, headers, agent, ...(signal && { signal }) });
    let answer: IncomingMessage | undefined;
    let connected = false;
    request.setTimeout(silenceMs, () =>
      (answer ?? request).destroy(
        new KubeError({ verb, path, server, reason: KubeReason.timeout, detail: `not a byte within ${silenceMs} ms` }),
      ),
    );
    request.on('socket', (socket) => {
      socket.setKeepAlive(true, KEEPALIVE_MS);
      connected = !socket.connecting;
      if (connected) return;
      const timer =
        patience === undefined ? undefined : setTimeout(() => request.destroy(new Error(`no connection within ${patience} ms`)), patience);
      socket.once(secure ? 'secureConnect' : 'connect', () => (connected = true));
      for (const event of [secure ? 'secureConnect' : 'connect', 'close']) socket.once(event, () => clearTimeout(timer));
    });
    request.on('response', (response) => {
      answer = response;
      resolve(response);
    });
    request.on('error', (error) => {
      if (!connected) unsent.add(error);
      const stale = method === 'GET' && request.reusedSocket && 'code' in error && error.code === 'ECONNRESET'; // closed while it was idle
      if (stale) resolve(answerTo(call, where));
      else reject(error);
    });
    request.end(payload);
  });
}

function urlOf(server: string, { path, query = {} }: Call): URL {
  const url = new URL(server + path);
  for (const [name, value] of Object.entries(query)) if (value !== undefined) url.searchParams.set(name, String(value));
  return url;
}

async function bodyOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer> /* no encoding is set */) {
    chunks.push(chunk);
    size += chunk.length;
    if (size > BODY_LIMIT) throw new RangeError(`The answer is longer than ${BODY_LIMIT} bytes`);
  }
  const whole = Buffer.concat(chunks);
  if (response.headers['content-encoding'] !== 'gzip') return whole.toString('utf8');
  return (await unzip(whole, { maxOutputLength: BODY_LIMIT })).toString('utf8');
}

function parsedBody(text: string, { verb, path }: Call, server: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new KubeError({
      verb,
      path,
      server,
      reason: KubeReason.invalidAnswer,
      detail: `wanted JSON, got '${text.slice(0, 100)}': ${messageOf(cause)}`,
      cause,
    });
  }
}

/** What an answer with a bad status says. */
async function refusal(response: IncomingMessage, { verb, path }: Call, server: string): Promise<KubeError> {
  const text = await bodyOf(response);
  const status = response.statusCode ?? 0;
  const seconds = Number(response.headers['retry-after']);
  const retry = seconds > 0 ? { retryAfterMs: Math.min(seconds * 1000, LONGEST_RETRY_MS) } : {};
  const said = statusOf(jsonOrUndefined(text));
  const reason = said?.reason || response.statusMessage || 'NoReason';
  return new KubeError({
    verb,
    path,
    server,
    status,
    reason,
    detail: said?.message || text.slice(0, 200).trim() || 'the answer gives no message',
    ...retry,
  });
}

function jsonOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
