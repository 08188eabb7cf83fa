// SPDX-License-Identifier: Apache-2.0
// The few calls to the Kubernetes API that we make. Paths come from resources.ts; objects are believed to have the shape
// that the caller names (types.ts says how far).

import { messageOf } from '../base/errors.ts';
import type { KubeAccess } from './config.ts';
import { KubeError, KubeReason, statusOf } from './kube-error.ts';
import { transport } from './transport.ts';
import type { Call, Query, Transport } from './transport.ts';
import type { KubeObject } from './types.ts';

export type KubeList<T> = {
  readonly metadata: { readonly resourceVersion?: string; readonly continue?: string; readonly remainingItemCount?: number };
  readonly items: readonly T[];
};

export type WatchEvent<T> = { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK'; readonly object: T };

export type Selection = { readonly fieldSelector?: string; readonly labelSelector?: string };
export type ListOptions = Selection & {
  readonly limit?: number;
  readonly continue?: string;
  readonly resourceVersion?: string;
  readonly signal?: AbortSignal;
};
export type WatchOptions = Selection & {
  readonly resourceVersion?: string;
  readonly bookmarks?: boolean;
  /** After how many seconds the server ends the stream by itself. */
  readonly timeoutSeconds?: number;
  /** Longest time without a byte from the server. Default five minutes: bookmarks come about every minute. */
  readonly silenceMs?: number;
  readonly signal?: AbortSignal;
};

/** merge: RFC 7386; json: RFC 6902; apply: server-side apply, which wants a field manager. */
export const PatchType = {
  merge: 'application/merge-patch+json',
  json: 'application/json-patch+json',
  apply: 'application/apply-patch+yaml',
} as const;
export type PatchType = keyof typeof PatchType;
export type PatchOptions = {
  readonly type: PatchType;
  readonly fieldManager?: string;
  readonly force?: boolean;
  readonly signal?: AbortSignal;
};

export type DeleteOptions = {
  /** What the object has to be still; else the server refuses with 409. */
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
  readonly signal?: AbortSignal;
};

/** Every call throws KubeError and nothing else. */
export type KubeClient = {
  /** The address that is used: 'https://host:port'. */
  readonly server: string;
  /** Addresses that failed when they were tried last, and why. */
  failing(): ReadonlyMap<string, string>;
  list<T>(path: string, options?: ListOptions): Promise<KubeList<T>>;
  /** Resolves when the server has accepted the watch. An ERROR event is thrown, as is a stream that ends within an event. */
  watch<T>(path: string, options?: WatchOptions): Promise<AsyncIterable<WatchEvent<T>>>;
  get<T>(path: string, signal?: AbortSignal): Promise<T>;
  create<T>(path: string, body: unknown, signal?: AbortSignal): Promise<T>;
  patch<T>(path: string, body: unknown, options: PatchOptions): Promise<T>;
  put<T>(path: string, body: unknown, signal?: AbortSignal): Promise<T>;
  delete(path: string, options?: DeleteOptions): Promise<void>;
  close(): void;
};

export type ClientOptions = {
  readonly access: KubeAccess;
  /** Longest time for a whole answer; not for a watch. Default 30 s. */
  readonly deadlineMs?: number;
};

const DEADLINE_MS = 30_000;
const SILENCE_MS = 300_000;
const EVENT_LIMIT = 64 * 2 ** 20;

export function kubeClient({ access, deadlineMs = DEADLINE_MS }: ClientOptions): KubeClient {
  const http = transport(access);
  const limits = { silenceMs: deadlineMs, deadlineMs };
  const send = async <T>(call: Omit<Call, 'silenceMs'>) => (await http.json({ ...limits, ...call })) as T; // the caller names the shape
  return {
    get server() {
      return http.server;
    },
    failing: () => http.servers.failing(),
    async list<T>(path: string, { signal, ...query }: ListOptions = {}) {
      const call = { ...limits, verb: 'list', method: 'GET', path, query, signal } as const;
      const body = await http.json(call);
      if (!isList(body))
        throw new KubeError({
          verb: 'list',
          path,
          server: http.server,
          reason: KubeReason.invalidAnswer,
          detail: 'wanted an object with items and metadata',
        });
      return { metadata: body.metadata, items: (body.items ?? []) as readonly T[] }; // the caller names the shape; Go writes an empty list as null
    },
    async watch<T>(path: string, { signal, bookmarks, silenceMs = SILENCE_MS, ...rest }: WatchOptions = {}) {
      const query: Query = { ...rest, watch: true, allowWatchBookmarks: bookmarks };
      const call = { verb: 'watch', method: 'GET', path, query, signal, silenceMs } as const;
      return eventsOf<T>(http, call, await http.stream(call));
    },
    get: (path, signal) => send({ verb: 'get', method: 'GET', path, signal }),
    create: (path, value, signal) => send({ verb: 'create', method: 'POST', path, signal, body: { type: 'application/json', value } }),
    patch: (path, value, { type, fieldManager, force, signal }) =>
      send({ verb: 'patch', method: 'PATCH', path, signal, query: { fieldManager, force }, body: { type: PatchType[type], value } }),
    put: (path, value, signal) => send({ verb: 'put', method: 'PUT', path, signal, body: { type: 'application/json', value } }),
    async delete(path, { preconditions, signal } = {}) {
      const body = preconditions && { type: 'application/json', value: { apiVersion: 'v1', kind: 'DeleteOptions', preconditions } };
      await send({ verb: 'delete', method: 'DELETE', path, signal, ...(body && { body }) });
    },
    close: () => http.close(),
  };
}

async function* eventsOf<T>(http: Transport, call: Call, stream: AsyncIterable<Buffer>): AsyncGenerator<WatchEvent<T>> {
  const { verb, path } = call;
  try {
    for await (const line of linesOf(stream))
      yield eventOf<T>(line, (fields) => new KubeError({ verb, path, server: http.server, ...fields }));
  } catch (error) {
    throw http.errorOf(error, call);
  }
}

/** Whole lines of a stream. Throws when it ends within one. */
async function* linesOf(stream: AsyncIterable<Buffer>): AsyncGenerator<string> {
  let parts: Buffer[] = []; // the beginning of a line whose end has not come
  let size = 0;
  for await (const chunk of stream) {
    let from = 0;
    for (let end = chunk.indexOf(0x0a); end >= 0; end = chunk.indexOf(0x0a, from)) {
      const line = Buffer.concat([...parts, chunk.subarray(from, end)]).toString('utf8');
      [parts, size, from] = [[], 0, end + 1];
      if (line.trim() !== '') yield line;
    }
    if (from === chunk.length) continue;
    parts.push(chunk.subarray(from));
    size += chunk.length - from;
    if (size > EVENT_LIMIT) throw new RangeError(`An event is longer than ${EVENT_LIMIT} bytes`);
  }
  if (size > 0) throw new Error(`The stream ended within an event, after ${size} bytes of it`);
}

function eventOf<T>(line: string, error: (fields: { reason: string; detail: string; status?: number }) => KubeError): WatchEvent<T> {
  const event = parsedEvent(line);
  if (event instanceof Error)
    throw error({ reason: KubeReason.invalidAnswer, detail: `wanted an event, got '${line.slice(0, 100)}': ${messageOf(event)}` });
  const { type, object } = event;
  if (type === 'ERROR') {
    const said = statusOf(object);
    throw error({ reason: said?.reason || 'NoReason', detail: said?.message || line.slice(0, 200), ...(said && { status: said.code }) });
  }
  if (type !== 'ADDED' && type !== 'MODIFIED' && type !== 'DELETED' && type !== 'BOOKMARK')
    throw error({ reason: KubeReason.invalidAnswer, detail: `wanted a type of event, got '${String(type)}'` });
  return { type, object: object as T }; // the caller names the shape
}

function parsedEvent(line: string): { readonly type: unknown; readonly object: unknown } | Error {
  try {
    const event: unknown = JSON.parse(line);
    if (typeof event === 'object' && event !== null && 'type' in event && 'object' in event) return event;
    return new TypeError('it has no type and object');
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

function isList(body: unknown): body is { readonly metadata: KubeList<unknown>['metadata']; readonly items: readonly unknown[] | null } {
  return (
    typeof body === 'object' && body !== null && 'items' in body && 'metadata' in body && (Array.isArray(body.items) || body.items === null)
  );
}

/** 'namespace/name', or 'name' for what has no namespace; undefined when an object has no name. */
export function nameOf(object: unknown): string | undefined {
  const { metadata } = (object ?? {}) as Partial<KubeObject>; // from outside: every field may be missing
  if (typeof metadata?.name !== 'string' || metadata.name === '') return undefined;
  return metadata.namespace === undefined ? metadata.name : `${metadata.namespace}/${metadata.name}`;
}
