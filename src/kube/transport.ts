// SPDX-License-Identifier: Apache-2.0
// HTTP to one server: connections that are kept, credentials as they are now, and every failure a KubeError.
// node:https rather than fetch: the same calls with 8 MB less memory, and a watch can see its socket.

import type { Agent, IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { createSecureContext } from 'node:tls';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';

import { messageOf } from '../base/errors.ts';
import { Agent as HttpAgent, request as httpRequest } from '../base/node-http.ts';
import type { Credentials, KubeAccess } from './config.ts';
import { asKubeError, KubeError, KubeReason, statusOf } from './kube-error.ts';

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
  readonly server: string;
  /** The answer's JSON. */
  json(call: Call): Promise<unknown>;
  /** The answer's body as it comes; the status was good. */
  stream(call: Call): Promise<AsyncIterable<Buffer>>;
  /** Says where a failure was. */
  errorOf(thrown: unknown, call: Call): KubeError;
  close(): void;
};

const KEEPALIVE_MS = 15_000; // then a probe each second, ten times (libuv): a dead peer is noticed within half a minute
const BODY_LIMIT = 256 * 2 ** 20;
const unzip = promisify(gunzip);

export function transport(access: KubeAccess): Transport {
  const { server } = access;
  const agentFor = agents(access);
  const errorOf = (thrown: unknown, { verb, path }: Call) => asKubeError(thrown, { verb, path, server });
  const open = async (call: Call): Promise<IncomingMessage> => {
    const credentials = access.credentials();
    const response = await answerTo(call, { server, credentials, agent: agentFor.now(credentials) });
    if ((response.statusCode ?? 0) >= 300) throw await refusal(response, call, server);
    return response;
  };
  return {
    server,
    errorOf,
    async json(call) {
      const { signal, done } = limited(call, server);
      try {
        const response = await open({ ...call, signal });
        const text = await bodyOf(response);
        return parsedBody(text, call, server);
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
    close: () => agentFor.close(),
  };
}

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

type Agents = { now(credentials: Credentials): Agent; close(): void };

/** One agent for as long as certificates stay the same; a renewed one is used for the next connection. */
function agents({ server, insecure, serverName }: KubeAccess): Agents {
  const common = { keepAlive: true, keepAliveMsecs: KEEPALIVE_MS, maxFreeSockets: 2 };
  let agent: Agent | undefined;
  let mark = '';
  return {
    now({ ca, cert, key }) {
      const now = [ca, cert, key].join('\n');
      if (agent !== undefined && now === mark) return agent;
      agent?.destroy();
      mark = now;
      const secureContext = () =>
        createSecureContext({ ...(ca !== undefined && { ca }), ...(cert !== undefined && { cert }), ...(key !== undefined && { key }) });
      agent = server.startsWith('https:')
        ? new HttpsAgent({
            ...common,
            secureContext: secureContext(),
            rejectUnauthorized: !insecure,
            ...(serverName !== undefined && { servername: serverName }),
          })
        : new HttpAgent(common);
      return agent;
    },
    close() {
      agent?.destroy();
      agent = undefined;
    },
  };
}

type Where = { readonly server: string; readonly credentials: Credentials; readonly agent: Agent };

function answerTo(call: Call, where: Where): Promise<IncomingMessage> {
  const { method, body, signal, silenceMs, verb, path } = call;
  const { server, credentials, agent } = where;
  const payload = body === undefined ? undefined : Buffer.from(JSON.stringify(body.value));
  const headers = {
    accept: 'application/json',
    'accept-encoding': 'gzip',
    'user-agent': 'stentor',
    ...(credentials.token !== undefined && { authorization: `Bearer ${credentials.token}` }),
    ...(body && payload && { 'content-type': body.type, 'content-length': payload.length }),
  };
  return new Promise((resolve, reject) => {
    const send = server.startsWith('https:') ? httpsRequest : httpRequest;
    const request = send(urlOf(server, call), { method, headers, agent, ...(signal && { signal }) });
    let answer: IncomingMessage | undefined;
    request.setTimeout(silenceMs, () =>
      (answer ?? request).destroy(
        new KubeError({ verb, path, server, reason: KubeReason.timeout, detail: `not a byte within ${silenceMs} ms` }),
      ),
    );
    request.on('socket', (socket) => socket.setKeepAlive(true, KEEPALIVE_MS));
    request.on('response', (response) => {
      answer = response;
      resolve(response);
    });
    request.on('error', (error) => {
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
  const retry = seconds > 0 ? { retryAfterMs: seconds * 1000 } : {};
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
