// SPDX-License-Identifier: Apache-2.0
// TCP ports inside network namespaces, served by this process: a short-lived helper opens the port where it belongs and
// hands it over. So the nodes need no proxy processes, and the ports close when this process ends.
import { fork } from 'node:child_process';
import { connect } from 'node:net';
import type { Server, Socket } from 'node:net';
import { join } from 'node:path';
import { StentorError } from '../src/base/errors.ts';

export type Port = { readonly host: string; readonly port: number };

/** Listens on ports in the namespace at `netns` and pipes every connection to the UNIX socket. Returns what closes them. */
export async function forwardPorts(netns: string, ports: readonly Port[], socketPath: string): Promise<() => void> {
  const servers = await openPorts(netns, ports);
  const open = new Set<Socket>();
  for (const server of servers) {
    server.on('connection', (socket: Socket) => {
      open.add(socket);
      socket.on('close', () => open.delete(socket));
      pipeTo(socket, socketPath);
    });
  }
  return () => {
    for (const server of servers) server.close();
    for (const socket of open) socket.destroy();
  };
}

function pipeTo(socket: Socket, socketPath: string): void {
  const upstream = connect(socketPath);
  socket.setNoDelay(true);
  socket.on('error', () => upstream.destroy()).on('close', () => upstream.destroy());
  upstream.on('error', () => socket.destroy()).on('close', () => socket.destroy());
  socket.pipe(upstream).pipe(socket);
}

async function openPorts(netns: string, ports: readonly Port[]): Promise<readonly Server[]> {
  const { promise, resolve, reject } = Promise.withResolvers<readonly Server[]>();
  const servers: Server[] = [];
  const helper = fork(
    join(import.meta.dirname, 'open-ports.ts'),
    ports.map(({ host, port }) => `${host} ${port}`),
    {
      execPath: '/usr/bin/nsenter',
      execArgv: [`--net=${netns}`, '--', process.execPath],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    },
  );
  let said = '';
  helper.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()));
  helper.on('error', reject);
  helper.on('exit', (code) => reject(new StentorError('CANNOT_LISTEN', `Cannot listen in ${netns}: exit code ${code}, ${said.trim()}`)));
  helper.on('message', (_message, server) => {
    servers.push(server as Server); // as: open-ports.ts sends nothing but servers
    if (servers.length === ports.length) resolve(servers);
  });
  const opened = await promise;
  helper.disconnect();
  return opened;
}
