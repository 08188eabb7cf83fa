// SPDX-License-Identifier: Apache-2.0
// kubectl exec over WebSocket, subprotocols v5.channel.k8s.io and v4.channel.k8s.io. Each message is one channel byte and data:
//
//   0 stdin ▶   ◀ 1 stdout   ◀ 2 stderr   ◀ 3 the v1 Status at the end   4 terminal size ▶   255 close a channel ▶ (v5)
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import type { WebSocket } from 'ws';
import { asApiError, badRequest } from './api-error.ts';
import type { Json } from './json.ts';
import type { ExecSession, ExecTarget } from './streams.ts';

const Channel = { stdin: 0, stdout: 1, stderr: 2, status: 3, resize: 4, close: 255 } as const;
const PROTOCOLS = ['v5.channel.k8s.io', 'v4.channel.k8s.io'];
const LARGEST_MESSAGE = 8 * 1024 * 1024; // bytes

/** What the query of an exec request asks for. ApiError 400. */
export const execTargetOf = (place: { namespace: string; pod: string }, query: URLSearchParams): ExecTarget => {
  const flag = (name: string): boolean => ['true', '1'].includes(query.get(name) ?? '');
  const command = query.getAll('command');
  const container = query.get('container');
  if (command.length === 0) throw badRequest('you must specify at least one command for the container');
  return { ...place, ...(container && { container }), command, tty: flag('tty'), stdin: flag('stdin') };
};

const statusOf = (code: number): Json =>
  code === 0
    ? { metadata: {}, status: 'Success' }
    : {
        metadata: {},
        status: 'Failure',
        message: `command terminated with non-zero exit code: exit status ${code}`,
        reason: 'NonZeroExitCode',
        details: { causes: [{ reason: 'ExitCode', message: String(code) }] },
      };

const sendOn = (socket: WebSocket, channel: number, data: Buffer): Promise<void> =>
  new Promise((resolve) => socket.send(Buffer.concat([Buffer.of(channel), data]), () => resolve())); // a failed send means the client is gone: `close` says so

const copyOutput = async (socket: WebSocket, channel: number, output: AsyncIterable<Buffer>): Promise<void> => {
  for await (const chunk of output) {
    if (socket.readyState !== socket.OPEN) return;
    await sendOn(socket, channel, chunk);
  }
};

const sizeOf = (data: Buffer): { columns: number; rows: number } | undefined => {
  try {
    const { Width, Height } = JSON.parse(data.toString());
    return Number.isInteger(Width) && Number.isInteger(Height) && Width > 0 && Height > 0 ? { columns: Width, rows: Height } : undefined;
  } catch {
    return undefined;
  }
};

const receive =
  (socket: WebSocket, session: ExecSession, target: ExecTarget): ((message: Buffer) => void) =>
  (message) => {
    const data = message.subarray(1);
    switch (message[0]) {
      case Channel.stdin:
        if (!target.stdin || data.length === 0) return;
        socket.pause();
        session.write(data).then(
          () => socket.resume(),
          () => socket.resume(), // the command has closed its stdin: what comes is dropped
        );
        return;
      case Channel.resize: {
        const size = sizeOf(data);
        if (size) session.resize(size);
        return;
      }
      case Channel.close:
        if (data[0] === Channel.stdin) session.end();
        return;
      case undefined:
    }
  };

const converse = async (socket: WebSocket, session: ExecSession, target: ExecTarget): Promise<void> => {
  socket.on('message', receive(socket, session, target));
  socket.on('close', () => session.kill());
  if (!target.stdin) session.end();
  const outputs = Promise.all([copyOutput(socket, Channel.stdout, session.stdout), copyOutput(socket, Channel.stderr, session.stderr)]);
  const code = await session.exited;
  await outputs;
  await sendOn(socket, Channel.status, Buffer.from(JSON.stringify(statusOf(code))));
  socket.close(1000);
};

/** What node:http hands over with a request to upgrade. */
export type Upgrade = { readonly request: IncomingMessage; readonly socket: Duplex; readonly head: Buffer };

export type ExecServer = {
  /** Takes over an upgraded connection. Whatever goes wrong is told on the status channel. */
  serve(upgrade: Upgrade, target: ExecTarget): void;
  close(): void;
};

export const createExecServer = (exec: (target: ExecTarget) => Promise<ExecSession>): ExecServer => {
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: LARGEST_MESSAGE,
    handleProtocols: (offered) => PROTOCOLS.find((protocol) => offered.has(protocol)) ?? false,
  });

  const open = async (socket: WebSocket, target: ExecTarget): Promise<void> => {
    socket.on('error', () => socket.terminate()); // bad frames, resets: nothing to tell anybody
    socket.pause(); // until somebody listens
    try {
      const session = await exec(target);
      socket.resume();
      if (socket.readyState !== socket.OPEN) return session.kill();
      await converse(socket, session, target);
    } catch (error) {
      await sendOn(socket, Channel.status, Buffer.from(JSON.stringify(asApiError(error).status)));
      socket.close(1000);
    }
  };

  return {
    serve: ({ request, socket, head }, target) => sockets.handleUpgrade(request, socket, head, (opened) => void open(opened, target)),
    close() {
      for (const socket of sockets.clients) socket.terminate();
      sockets.close();
    },
  };
};

/** True when the client offers a subprotocol that we speak. */
export const speaksChannels = (request: IncomingMessage): boolean =>
  request.headers.upgrade?.toLowerCase() === 'websocket' &&
  (request.headers['sec-websocket-protocol'] ?? '').split(',').some((protocol) => PROTOCOLS.includes(protocol.trim()));
