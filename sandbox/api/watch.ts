// SPDX-License-Identifier: Apache-2.0
// One watch over HTTP: a cursor into the log, written out as fast as the client reads. A client that does not read keeps
// nothing in memory but its cursor; when the log has moved on, it gets 410 and lists again.
//
//   log ── cursor.next() ── selected? ── text ── response.write() ──▶ client
//                ▲ onChange, drain                    │ full: wait for drain
import type { ServerResponse } from 'node:http';
import { asApiError } from './api-error.ts';
import type { Faults } from './faults.ts';
import { frozen } from './json.ts';
import type { KubeObject } from './json.ts';
import type { Representation } from './representation.ts';
import type { Predicate } from './selectors.ts';
import type { Change, Cursor, Storage } from './storage.ts';

const BOOKMARK_EVERY = 30_000; // milliseconds
const LONGEST_WATCH = 3_600; // seconds
const SILENT_RETRY = 50; // milliseconds

export type WatchRequest = {
  readonly cursor: Cursor;
  /** Sent as ADDED before anything else. */
  readonly initial: readonly KubeObject[];
  /** Say with a bookmark when the initial objects are all sent (sendInitialEvents). */
  readonly markInitialEnd: boolean;
  readonly selected: Predicate | undefined;
  readonly bookmarks: boolean;
  /** Seconds; undefined: an hour. */
  readonly timeout: number | undefined;
  readonly representation: Representation;
};

/** What a watcher with this selection sees of a change. */
const seen = (
  { type, object, previous }: Change,
  selected: Predicate | undefined,
): { type: Change['type']; object: KubeObject } | undefined => {
  if (!selected) return { type, object };
  const is = type !== 'DELETED' && selected(object);
  const was = previous !== undefined && selected(previous);
  if (is) return { type: was ? 'MODIFIED' : 'ADDED', object };
  if (!was) return undefined;
  if (type === 'DELETED') return { type, object };
  const last = { ...previous, metadata: { ...previous.metadata, resourceVersion: object.metadata.resourceVersion } };
  return { type: 'DELETED', object: frozen(last) };
};

/** One running watch. */
type Stream = {
  readonly response: ServerResponse;
  readonly request: WatchRequest;
  readonly storage: Storage;
  readonly faults: Faults | undefined;
  readonly stop: AbortController;
  /** What exists at the start and is not sent yet; undefined when it is all sent. */
  initial: Iterator<KubeObject> | undefined;
  /** The client has more to read than it should: wait for `drain`. */
  blocked: boolean;
};

const send = (stream: Stream, type: string, text: string): void => {
  const { response, faults } = stream;
  const line = `{"type":"${type}","object":${text}}\n`;
  if (faults?.cutWatch && (faults.random ?? Math.random)() < faults.cutWatch) {
    response.write(line.slice(0, line.length / 2), () => response.destroy());
    return stream.stop.abort();
  }
  if (!response.write(line)) stream.blocked = true;
};

const bookmark = (stream: Stream, annotations?: Record<string, string>): void => {
  const metadata = { resourceVersion: String(stream.storage.revision()), ...(annotations && { annotations }) };
  send(stream, 'BOOKMARK', stream.request.representation.bookmark(metadata));
};

/** Sends one object, or looks at one change: false when there is nothing more. */
const step = (stream: Stream): boolean => {
  const { request } = stream;
  const first = stream.initial?.next();
  if (first && !first.done) {
    send(stream, 'ADDED', request.representation.one(first.value));
    return true;
  }
  if (stream.initial && request.markInitialEnd) bookmark(stream, { 'k8s.io/initial-events-end': 'true' });
  stream.initial = undefined;
  const change = request.cursor.next();
  const event = change && seen(change, request.selected);
  if (event) send(stream, event.type, request.representation.one(event.object));
  return change !== undefined;
};

const finish = ({ stop, response }: Stream): void => {
  stop.abort();
  response.end();
};

/** Sends as much as there is and as the client takes. */
const pump = (stream: Stream): void => {
  const { faults, stop } = stream;
  if (stop.signal.aborted) return;
  if (faults?.silent) return void setTimeout(pump, SILENT_RETRY, stream).unref();
  try {
    let more = true;
    while (more && !stop.signal.aborted && !stream.blocked) more = step(stream);
  } catch (error) {
    send(stream, 'ERROR', JSON.stringify(asApiError(error).status));
    finish(stream);
  }
};

/** A bookmark promises that everything before it has been sent: so all that first. */
const idleBookmark = (stream: Stream): void => {
  if (!stream.request.bookmarks) return;
  pump(stream);
  if (!stream.blocked && !stream.stop.signal.aborted && !stream.faults?.silent) bookmark(stream);
};

/** Streams until the client goes, the time is up or the history is lost. */
export const streamWatch = (response: ServerResponse, request: WatchRequest, storage: Storage, faults: Faults | undefined): void => {
  const stop = new AbortController();
  const stream: Stream = { response, request, storage, faults, stop, initial: request.initial[Symbol.iterator](), blocked: false };
  const ticker = setInterval(idleBookmark, BOOKMARK_EVERY, stream).unref();
  const timer = setTimeout(
    () => {
      idleBookmark(stream);
      finish(stream);
    },
    Math.min(request.timeout ?? LONGEST_WATCH, LONGEST_WATCH) * 1000,
  ).unref();
  stop.signal.addEventListener('abort', () => {
    request.cursor.close();
    clearInterval(ticker);
    clearTimeout(timer);
  });
  response.on('close', () => stop.abort());
  response.on('drain', () => {
    stream.blocked = false;
    pump(stream);
  });
  response.writeHead(200, { 'content-type': request.representation.contentType, 'transfer-encoding': 'chunked' });
  response.flushHeaders();
  request.cursor.onChange(() => pump(stream));
  pump(stream);
};
