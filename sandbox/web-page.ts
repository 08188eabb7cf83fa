// SPDX-License-Identifier: Apache-2.0
// The web page of the cluster at an address of this machine, whose browser is outside of everything: each connection is piped through
// a process on a node.
import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import type { Cluster } from './cluster.ts';
import { servicesIn } from './objects.ts';

/** As `cilium hubble ui` has it; another one where that is taken. */
const PORT = 12_000;

export type WebPage = Disposable & { readonly url: string };

/** Undefined: there is no Service hubble-ui. */
export async function webPage(cluster: Cluster): Promise<WebPage | undefined> {
  const [service] = servicesIn(cluster.store, { namespace: 'kube-system' }).filter(({ metadata }) => metadata.name === 'hubble-ui');
  const [address] = service?.spec.clusterIPs ?? [];
  const [node] = cluster.nodes;
  if (address === undefined || node === undefined) return undefined;
  const [program = '', ...parameters] = node.command(['socat', '-', `TCP:${address.includes(':') ? `[${address}]` : address}:80`]);
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    const pipe = spawn(program, parameters, { stdio: ['pipe', 'pipe', 'ignore'] });
    const end = () => {
      open.delete(socket);
      socket.destroy();
      pipe.kill('SIGKILL');
    };
    socket.on('error', end).on('close', end);
    pipe.on('error', end).on('exit', end);
    pipe.stdin.on('error', end);
    socket.pipe(pipe.stdin);
    pipe.stdout.pipe(socket);
  });
  const port = await listening(server, PORT).catch(() => listening(server, 0));
  const dispose = () => {
    server.close();
    for (const socket of open) socket.destroy();
  };
  return { url: `http://127.0.0.1:${port}/`, [Symbol.dispose]: dispose };
}

function listening(server: Server, port: number): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  server.once('error', reject);
  server.listen({ host: '127.0.0.1', port }, () => {
    server.off('error', reject);
    const address = server.address();
    resolve(typeof address === 'object' && address !== null ? address.port : port);
  });
  return promise;
}
