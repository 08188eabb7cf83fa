// SPDX-License-Identifier: Apache-2.0
// The programs of the demo shop, one role for each process: frontend, catalog, cart, payments.
import { createSocket } from 'node:dgram';
import { createServer, get } from 'node:http';
import { connect } from 'node:net';

const PRODUCTS = ['amphora', 'lyre', 'sandals', 'trumpet'] as const;
const PATIENCE_MS = 1_000;

const fetched = (url: string): Promise<string> => {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const request = get(url, { timeout: PATIENCE_MS, agent: false }, (response) => {
    let text = '';
    response.on('data', (chunk: Buffer) => (text += chunk.toString())).on('end', () => resolve(text));
  });
  request.on('timeout', () => request.destroy(new Error(`No answer from ${url}`))).on('error', reject);
  return promise;
};

/** Sends a line over TCP and resolves with what comes back. */
const told = (host: string, port: number, line: string): Promise<string> => {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const socket = connect(port, host, () => socket.write(line));
  socket.setTimeout(PATIENCE_MS, () => socket.destroy(new Error(`No answer from ${host}`)));
  socket.on('error', reject).on('data', (chunk: Buffer) => {
    resolve(chunk.toString());
    socket.destroy();
  });
  return promise;
};

/** Sends a datagram and resolves with the one that comes back. */
const asked = (host: string, port: number, text: string): Promise<string> => {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const socket = createSocket('udp4');
  const timer = setTimeout(() => socket.close(() => reject(new Error(`No answer from ${host}`))), PATIENCE_MS);
  const finish = (settle: () => void) => {
    clearTimeout(timer);
    socket.close(settle);
  };
  socket.on('message', (message) => finish(() => resolve(message.toString()))).on('error', (error) => finish(() => reject(error)));
  socket.send(text, port, host);
  return promise;
};

const serve = (page: (url: string) => Promise<string> | string): void => {
  createServer((request, response) => {
    const answer = request.url === '/healthz' ? Promise.resolve('ok\n') : Promise.resolve(page(request.url ?? '/'));
    answer.then(
      (text) => response.end(text),
      (error: unknown) => response.writeHead(503).end(`${String(error)}\n`),
    );
  }).listen(8080);
};

const roles: Readonly<Record<string, () => void>> = {
  frontend: () =>
    serve(async () => {
      const [products, cart, receipt] = await Promise.all([
        fetched('http://catalog/products'),
        fetched('http://cart/'),
        asked('payments', 9000, 'pay 3'),
      ]);
      return `Welcome\nProducts: ${products}\nCart: ${cart}\nReceipt: ${receipt}\n`;
    }),
  catalog: () => serve((url) => (url === '/products' ? PRODUCTS.join(', ') : 'catalog')),
  cart: () => serve(() => told('store', 6379, 'amphora x 2')),
  payments: () => {
    const socket = createSocket('udp6');
    socket.on('message', (message, peer) => {
      const reply = (word: string) => socket.send(`${message.toString()} ${word}`, peer.port, peer.address);
      fetched('http://bank.example.com/').then(
        () => reply('confirmed'),
        () => reply('noted'),
      );
    });
    socket.bind(9000);
  },
};

const role = roles[process.argv[2] ?? ''];
if (role === undefined) throw new Error(`Cannot play '${process.argv[2]}', wanted one of ${Object.keys(roles).join(', ')}`);
role();
process.on('SIGTERM', () => process.exit(0));
