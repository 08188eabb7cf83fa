// SPDX-License-Identifier: Apache-2.0
// gRPC over HTTP/2, asked for. One connection for all calls to a server, made when it is first needed and again when it is lost.
// What ends badly is an RpcError; that a server cannot be reached is UNAVAILABLE, with the reason.

import { connect, constants } from 'node:http2';
import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders } from 'node:http2';
import { connect as connectSocket, isIP } from 'node:net';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { messageOf } from '../base/errors.ts';
import { frame, FrameReader } from './frames.ts';
import { decode, encode } from './message.ts';
import type { Codec } from './message.ts';
import { pathOf } from './method.ts';
import type { Method } from './method.ts';
import type { TlsIdentity } from './server.ts';
import { decodeWords, RpcError, Status } from './status.ts';
import { WireError } from './wire.ts';

export type ServerAddress = { readonly path: string } | { readonly host: string; readonly port: number };

export type GrpcClientOptions = {
  readonly address: ServerAddress;
  /** Present: TLS 1.3. A function is called for each connection; what it throws is how the call ends. */
  readonly tls?: TlsOptions | (() => TlsOptions) | undefined;
  /** How long the other side may be silent while calls are going on before it is asked for a sign of life. Default: never asked. */
  readonly keepaliveMs?: number;
  readonly connectMs?: number;
};

/** Wants this name in the server's certificate, unless it may be anybody. Without a key the server is not told who asks. */
export type TlsOptions = Pick<TlsIdentity, 'ca'> &
  Partial<TlsIdentity> & { readonly serverName: string; readonly anybody?: boolean | undefined };

export type CallOptions = {
  readonly signal?: AbortSignal | undefined;
  readonly deadlineMs?: number | undefined;
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  /** Told of the headers with which the server begins to answer. */
  readonly headers?: ((headers: IncomingHttpHeaders) => void) | undefined;
};

/** A method of which only the request is a message here. */
type Asked<Req> = Pick<Method<Req, unknown>, 'service' | 'name' | 'request'>;

export type GrpcClient = Disposable & {
  call<Req, Res>(method: Method<Req, Res>, request: Req, options?: CallOptions): Promise<Res>;
  /** What came together is given together. */
  stream<Req, Res>(method: Method<Req, Res>, request: Req, options?: CallOptions): AsyncIterable<readonly Res[]>;
  /** Like `stream`, but as bytes. */
  raw<Req>(method: Asked<Req>, request: Req, options?: CallOptions): AsyncIterable<readonly Buffer[]>;
};

const LARGEST_RESPONSE = 16 << 20;
const WINDOW = 1 << 20;

export function grpcClient(options: GrpcClientOptions): GrpcClient {
  let session: ClientHttp2Session | undefined;
  const connection = (): ClientHttp2Session => {
    if (session && !session.closed && !session.destroyed) return session;
    const made = connectSession(options);
    made.on('goaway', () => session === made && (session = undefined));
    made.on('close', () => session === made && (session = undefined));
    return (session = made);
  };
  const raw = <Req>(method: Asked<Req>, request: Req, call: CallOptions = {}) =>
    exchange(connection, pathOf(method), encode(method.request, request), call);
  return {
    raw,
    async *stream(method, request, call) {
      for await (const batch of raw(method, request, call)) yield batch.map((message) => read(method.response, message));
    },
    async call(method, request, call) {
      const messages: Buffer[] = [];
      for await (const batch of raw(method, request, call)) messages.push(...batch);
      const [message] = messages;
      if (message === undefined) throw new RpcError(Status.INTERNAL, `${pathOf(method)}: the server said nothing`);
      return read(method.response, message);
    },
    [Symbol.dispose]: () => session?.destroy(),
  };
}

function read<T>(codec: Codec<T>, message: Buffer): T {
  try {
    return decode(codec, message);
  } catch (error) {
    if (error instanceof WireError) throw new RpcError(Status.INTERNAL, `the answer is malformed: ${error.message}`, { cause: error });
    throw error;
  }
}

function connectSession({ address, tls: given, keepaliveMs, connectMs = 5000 }: GrpcClientOptions): ClientHttp2Session {
  const tls = typeof given === 'function' ? given() : given;
  const session = connect(tls ? 'https://hubble' : 'http://hubble', {
    createConnection: () => {
      const socket = socketTo(address, tls);
      const timer = setTimeout(() => socket.destroy(new Error(`no connection within ${connectMs / 1000} s`)), connectMs);
      for (const event of [tls ? 'secureConnect' : 'connect', 'close']) socket.once(event, () => clearTimeout(timer));
      return socket;
    },
    settings: { initialWindowSize: WINDOW, enablePush: false },
  });
  session.once('connect', () => session.setLocalWindowSize(WINDOW * 4));
  session.on('error', () => {}); // each call on it is told
  if (keepaliveMs !== undefined) keepAlive(session, keepaliveMs);
  return session;
}

function socketTo(address: ServerAddress, tls: TlsOptions | undefined): Socket {
  if (!tls) return connectSocket('path' in address ? { path: address.path } : { ...address, noDelay: true });
  const { serverName, ca, cert, key, anybody = false } = tls;
  const identity = cert === undefined || key === undefined ? {} : { cert, key };
  const servername = isIP(serverName) ? '' : serverName; // an address is compared with the certificate, and not sent
  return connectTls({
    ...address,
    ca,
    ...identity,
    servername,
    rejectUnauthorized: !anybody,
    minVersion: 'TLSv1.3',
    ALPNProtocols: ['h2'],
  });
}

function keepAlive(session: ClientHttp2Session, everyMs: number): void {
  let answered = true;
  const timer = setInterval(() => {
    if (session.connecting) return;
    if (!answered) return session.destroy(new Error(`no sign of life for ${everyMs / 1000} s`));
    answered = false;
    session.ping(() => (answered = true));
  }, everyMs);
  timer.unref();
  session.once('close', () => clearInterval(timer));
}

async function* exchange(
  connection: () => ClientHttp2Session,
  path: string,
  request: Buffer,
  { signal, deadlineMs, metadata, headers: told }: CallOptions,
): AsyncGenerator<readonly Buffer[]> {
  signal?.throwIfAborted();
  const deadline = deadlineMs === undefined ? undefined : AbortSignal.timeout(deadlineMs);
  const stream = connection().request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...(deadlineMs === undefined ? {} : { 'grpc-timeout': `${Math.min(99_999_999, Math.ceil(deadlineMs))}m` }),
    ...metadata,
  });
  const over = ending(stream, told);
  const gone = () => stream.close(constants.NGHTTP2_CANCEL);
  const either = AbortSignal.any([signal, deadline].filter((one) => one !== undefined));
  either.addEventListener('abort', gone, { once: true });
  try {
    stream.end(frame(request));
    const reader = new FrameReader(LARGEST_RESPONSE);
    for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
      const messages = reader.read(chunk as Buffer); // as: no encoding is set
      if (messages.length > 0) yield messages;
    }
    await over.checked();
  } catch (error) {
    signal?.throwIfAborted();
    if (deadline?.aborted) throw new RpcError(Status.DEADLINE_EXCEEDED, `no answer within ${(deadlineMs ?? 0) / 1000} s`);
    throw error instanceof RpcError ? error : over.failure(error);
  } finally {
    either.removeEventListener('abort', gone);
    if (!stream.closed) gone();
  }
}

/** How a call ends: by the status in its trailers, or in its headers where there is nothing else. */
function ending(stream: ClientHttp2Stream, told: CallOptions['headers']) {
  let last: IncomingHttpHeaders = {};
  let broken: unknown;
  const closed = new Promise<void>((resolve) => stream.once('close', resolve));
  stream.on('error', (error) => (broken ??= error));
  stream.on('response', (headers) => {
    last = headers;
    told?.(headers);
  });
  stream.on('trailers', (headers) => (last = headers));
  // a stream that never was says only that, and its connection why
  const reason = (error: unknown) => (error instanceof Error && error.cause instanceof Error ? error.cause : error);
  const unavailable = (error: unknown) => new RpcError(Status.UNAVAILABLE, messageOf(reason(error)), { cause: error });
  return {
    /** Throws RpcError unless all went well. */
    async checked(): Promise<void> {
      if (last['grpc-status'] === undefined) await closed;
      const status = last['grpc-status'];
      if (status === '0') return;
      if (status !== undefined) throw new RpcError(Number(status), decodeWords(String(last['grpc-message'] ?? '')));
      if (broken) throw unavailable(broken);
      const http = Number(last[':status'] ?? 200);
      throw new RpcError(
        Status.UNAVAILABLE,
        http === 200 ? 'the server ended the call without a status' : `the server answered with HTTP status ${http}`,
      );
    },
    failure: (error: unknown) => unavailable(broken ?? error),
  };
}
