// SPDX-License-Identifier: Apache-2.0
// gRPC over HTTP/2, served. A client that reads slowly is waited for, each by itself: nothing is kept for it but one chunk, and
// what it misses meanwhile is for the handler to say. Sessions that do not answer a ping are closed.

import { createSecureServer, createServer, constants } from 'node:http2';
import type { Http2Server, IncomingHttpHeaders, SecureServerOptions, ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import type { ListenOptions, Socket } from 'node:net';
import { messageOf } from '../base/errors.ts';
import { countHandled, countSent } from './call-metrics.ts';
import type { CallCount, CallCounts } from './call-metrics.ts';
import { FrameReader } from './frames.ts';
import type { Call, Handler } from './handler.ts';
import { pathOf } from './method.ts';
import { encodeWords, RpcError, Status, timeoutOf } from './status.ts';

export type TlsIdentity = { readonly key: string; readonly cert: string; readonly ca: string };

export type GrpcServerOptions = {
  readonly handlers: readonly Handler[];
  /** Present: TLS 1.3, and clients need a certificate of `ca`. */
  readonly tls?: TlsIdentity | undefined;
  /** Told of calls that ended because of a mistake of ours. */
  readonly failed?: (path: string, error: unknown) => void;
  /** Present: calls are counted there, also those of other servers. */
  readonly counts?: CallCounts | undefined;
};

export type GrpcServer = AsyncDisposable & {
  /** Rejects where it cannot listen. */
  listen(where: ListenOptions): Promise<void>;
  /** The port that it listens on; 0 on a socket of the file system. */
  readonly port: number;
  /** From now on, for connections to come. */
  identify(tls: TlsIdentity): void;
};

/** Requests are filters and names, not data. */
const LARGEST_REQUEST = 1 << 20;
const MOST_SESSIONS = 256;
const PING_MS = 30_000;

const secure = ({ key, cert, ca }: TlsIdentity): SecureServerOptions => ({
  key,
  cert,
  ca,
  minVersion: 'TLSv1.3',
  requestCert: true,
  rejectUnauthorized: true,
});

export function grpcServer({ handlers, tls, failed = () => {}, counts }: GrpcServerOptions): GrpcServer {
  const byPath = new Map(handlers.map((handler) => [pathOf(handler.method), { handler, count: counts?.of(handler.method) }]));
  const sessions = new Set<ServerHttp2Session>();
  const settings = { maxConcurrentStreams: 128 };
  const tlsServer = tls && createSecureServer({ ...secure(tls), settings });
  const server: Http2Server = (tlsServer as Http2Server | undefined) ?? createServer({ settings }); // as: both tell of sessions and streams
  const sockets = new Set<Socket>(); // also those that never became a session
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  server.on('session', (session) => keep(session, sessions));
  server.on('sessionError', () => {}); // the connection is gone with it
  server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    stream.on('error', () => {}); // the client went; `close` follows
    const served = byPath.get(headers[':path'] ?? '');
    serveCall(stream, headers, served).catch((error: unknown) => failed(headers[':path'] ?? '', error));
  });
  return {
    listen: (where) => listening(server, where),
    get port() {
      const address = server.address();
      return address !== null && typeof address === 'object' ? address.port : 0;
    },
    identify: (identity) => tlsServer?.setSecureContext(secure(identity)),
    async [Symbol.asyncDispose]() {
      for (const session of sessions) session.destroy();
      for (const socket of sockets) socket.destroy();
      if (server.listening) await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

function listening(server: Http2Server, where: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(where, () => {
      server.off('error', reject);
      server.on('error', () => {}); // of one connection
      resolve();
    });
  });
}

function keep(session: ServerHttp2Session, sessions: Set<ServerHttp2Session>): void {
  if (sessions.size >= MOST_SESSIONS) return session.destroy(undefined, constants.NGHTTP2_ENHANCE_YOUR_CALM);
  sessions.add(session);
  let answered = true;
  const timer = setInterval(() => {
    if (!answered) return session.destroy();
    answered = false;
    session.ping(() => (answered = true));
  }, PING_MS);
  timer.unref();
  session.on('error', () => {});
  session.on('close', () => {
    clearInterval(timer);
    sessions.delete(session);
  });
}

type Served = { readonly handler: Handler; readonly count: CallCount | undefined };

async function serveCall(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, served: Served | undefined): Promise<void> {
  if (headers[':method'] !== 'POST' || !headers['content-type']?.startsWith('application/grpc')) {
    stream.respond({ ':status': 415 }, { endStream: true });
    return;
  }
  if (served?.count) served.count.started++;
  const ended = (status: Status, words: string) => {
    countHandled(served?.count, status);
    end(stream, status, words);
  };
  const over = new AbortController();
  stream.on('close', () => over.abort());
  const timeout = timeoutOf(String(headers['grpc-timeout'] ?? ''));
  const timer = timeout === undefined ? undefined : setTimeout(() => over.abort(late), Math.min(timeout, 2 ** 31 - 1));
  try {
    if (!served) throw new RpcError(Status.UNIMPLEMENTED, `there is no ${headers[':path']}`);
    await answerCall(stream, served, { signal: over.signal, metadata: headers });
    ended(Status.OK, '');
  } catch (error) {
    if (over.signal.reason === late) ended(Status.DEADLINE_EXCEEDED, late.message);
    else if (error instanceof RpcError) ended(error.status, error.message);
    else if (over.signal.aborted) ended(Status.CANCELLED, '');
    else {
      ended(Status.INTERNAL, messageOf(error));
      throw error;
    }
  } finally {
    clearTimeout(timer);
  }
}

const late = new RpcError(Status.DEADLINE_EXCEEDED, 'the deadline has passed');

/** Ends when the last request has been answered. */
function answerCall(stream: ServerHttp2Stream, { handler, count }: Served, call: Call): Promise<void> {
  const reader = new FrameReader(LARGEST_REQUEST);
  const one = async (request: Buffer) => {
    if (count) count.received++;
    const answer = handler.answer(request, call);
    const send = (frames: Buffer) => {
      countSent(count, frames);
      return write(stream, frames, call);
    };
    if ('then' in answer) return send(await answer);
    begin(stream);
    for await (const frames of until(answer, call.signal)) await send(frames);
  };
  let requests = 0;
  const all = async (chunk: Buffer) => {
    for (const request of reader.read(chunk)) {
      if (++requests > 1 && !handler.method.asks) throw new RpcError(Status.INVALID_ARGUMENT, 'a second request, wanted one');
      await one(request);
    }
  };
  return new Promise((resolve, reject) => {
    let work = Promise.resolve();
    stream.on('data', (chunk: Buffer) => {
      if (handler.method.asks) stream.pause();
      work = work.then(() => all(chunk)).then(() => void stream.resume());
      work.catch(reject);
    });
    stream.on('end', () => {
      work
        .then(() => {
          if (requests === 0 || reader.unfinished) throw new RpcError(Status.INVALID_ARGUMENT, 'the request ends too early');
        })
        .then(resolve, reject);
    });
    stream.on('close', () => reject(new RpcError(Status.CANCELLED, 'the client has gone')));
  });
}

function begin(stream: ServerHttp2Stream): void {
  if (!stream.headersSent && !stream.destroyed)
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
}

/** Comes back when there is room for more. */
async function write(stream: ServerHttp2Stream, frames: Buffer, { signal }: Call): Promise<void> {
  begin(stream);
  if (signal.aborted || stream.destroyed) throw signal.reason;
  if (stream.write(frames)) return;
  await new Promise<void>((resolve, reject) => {
    const drained = () => {
      signal.removeEventListener('abort', gone);
      resolve();
    };
    const gone = () => {
      stream.off('drain', drained);
      reject(signal.reason instanceof Error ? signal.reason : new RpcError(Status.CANCELLED, 'the client has gone'));
    };
    stream.once('drain', drained);
    signal.addEventListener('abort', gone, { once: true });
  });
}

/** Ends what `answer` does when nobody wants it any more. */
async function* until(answer: AsyncIterable<Buffer>, signal: AbortSignal): AsyncIterable<Buffer> {
  for await (const frames of answer) {
    if (signal.aborted) break;
    yield frames;
  }
  if (signal.aborted) throw signal.reason;
}

function end(stream: ServerHttp2Stream, status: Status, words: string): void {
  if (stream.destroyed || stream.closed) return;
  const trailers = { 'grpc-status': String(status), ...(words === '' ? {} : { 'grpc-message': encodeWords(words) }) };
  if (!stream.headersSent) {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc', ...trailers }, { endStream: true });
    stream.resume();
    return;
  }
  stream.once('wantTrailers', () => stream.sendTrailers(trailers));
  stream.end();
}
