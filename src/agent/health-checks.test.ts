// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it } from 'node:test';
import { ip } from '../base/ip.ts';
import type { Problem } from '../base/problem.ts';
import { sameRow } from '../base/same.ts';
import { table } from '../base/table.ts';
import { until } from '../../sandbox/until.ts';
import type { HealthCheck } from '../services/health-checks.ts';
import { serveHealthChecks } from './health-checks.ts';

/** A port that nobody has, and whoever takes it. */
async function somebody(port = 0) {
  const server = createServer((_request, response) => response.end('somebody else'));
  await new Promise<void>((resolve) => server.listen({ host: '127.0.0.1', port }, resolve));
  const address = server.address() as AddressInfo; // as: it listens on TCP
  return { port: address.port, leave: () => new Promise<void>((resolve) => server.close(() => resolve())) };
}

async function freePort(): Promise<number> {
  const { port, leave } = await somebody();
  await leave();
  return port;
}

function checks() {
  const rows = table<string, HealthCheck>('health_checks', { same: sameRow });
  const writer = rows.writer('test');
  const state = { healthy: true, problems: [] as readonly Problem[], wake: () => {} };
  const serving = serveHealthChecks({
    checks: rows,
    healthy: () => state.healthy,
    report: (problems) => void (state.problems = problems),
    afterwards: (wake) => void (state.wake = wake),
  });
  writer.complete();
  const put = (port: number, endpoints: number) => {
    writer.put(`127.0.0.1:${port}`, { address: ip('127.0.0.1'), port, service: 'shop/cart', endpoints });
    state.wake();
  };
  const remove = (port: number) => {
    writer.delete(`127.0.0.1:${port}`);
    state.wake();
  };
  return { state, serving, put, remove };
}

const ask = (port: number) => fetch(`http://127.0.0.1:${port}/whatever`, { headers: { connection: 'close' } }).catch(() => undefined);
const answers = (port: number, status: number) => until(`status ${status}`, 5_000, async () => (await ask(port))?.status === status);

describe('healthCheckNodePort', () => {
  // covers: health-check
  it('answers as kube-proxy does: status, body, and headers', async () => {
    const { serving, put, state } = checks();
    await using _end = serving;
    const port = await freePort();
    put(port, 2);
    await answers(port, 200);
    const answer = await ask(port);
    assert.deepEqual(
      ['content-type', 'x-content-type-options', 'x-load-balancing-endpoint-weight'].map((name) => answer?.headers.get(name)),
      ['application/json', 'nosniff', '2'],
    );
    const body = { service: { namespace: 'shop', name: 'cart' }, localEndpoints: 2 };
    assert.deepEqual(await answer?.json(), { ...body, serviceProxyHealthy: true });
    state.healthy = false;
    const sick = await ask(port);
    assert.equal(sick?.status, 503);
    assert.deepEqual(await sick?.json(), { ...body, serviceProxyHealthy: false });
  });

  it('follows the endpoints of the node, and ends with the Service', async () => {
    const { serving, put, remove } = checks();
    await using _end = serving;
    const port = await freePort();
    put(port, 1);
    await answers(port, 200);
    put(port, 0);
    await answers(port, 503);
    assert.equal((await ask(port))?.headers.get('x-load-balancing-endpoint-weight'), '0');
    remove(port);
    await until('nobody to answer', 5_000, async () => (await ask(port)) === undefined);
  });

  it('is a Problem of the Service where somebody else has the port, until he leaves', async () => {
    const { serving, put, state } = checks();
    await using _end = serving;
    const other = await somebody();
    const free = await freePort();
    put(other.port, 1);
    put(free, 1);
    await answers(free, 200);
    await until('a Problem', 5_000, () => state.problems.length > 0);
    assert.deepEqual(
      state.problems.map(({ object, reason }) => [object, reason]),
      [['Service shop/cart', 'HealthCheckPortTaken']],
    );
    assert.equal(await (await ask(other.port))?.text(), 'somebody else');
    await other.leave();
    await until('the port to be ours', 10_000, async () => (await ask(other.port))?.headers.get('x-content-type-options') === 'nosniff');
    await until('no Problem', 5_000, () => state.problems.length === 0);
  });

  it('leaves its ports when the agent ends', async () => {
    const { serving, put } = checks();
    const port = await freePort();
    put(port, 1);
    await answers(port, 200);
    await serving[Symbol.asyncDispose]();
    const next = await somebody(port);
    await next.leave();
  });
});
