// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { ip, port } from '../base/ip.ts';
import type { Port } from '../base/ip.ts';
import type { Problem } from '../base/problem.ts';
import { goTime, proxyAnswer, serveHealth } from './healthz.ts';
import type { AgentHealth } from './healthz.ts';

const well: AgentHealth = { healthy: true, lastUpdated: 1_000, currentTime: 61_500, reason: undefined };
const ill: AgentHealth = { ...well, healthy: false, reason: 'the API server is gone' };

/** A port that was free a moment ago. */
async function freePort(): Promise<Port> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address() as AddressInfo; // a TCP listener has one
  await new Promise((resolve) => server.close(resolve));
  return port(address.port);
}

test("Go's way to write a time", () => {
  assert.equal(goTime(0), '1970-01-01 00:00:00 +0000 UTC');
  assert.equal(goTime(61_500), '1970-01-01 00:01:01.5 +0000 UTC');
  assert.equal(goTime(1_200_000_000_000), '2008-01-10 21:20:00 +0000 UTC');
});

// covers: healthz
test('the answer of the kube-proxy replacement', () => {
  assert.deepEqual(proxyAnswer('/healthz', well), {
    status: 200,
    body: '{"lastUpdated": "1970-01-01 00:01:01.5 +0000 UTC","currentTime": "1970-01-01 00:01:01.5 +0000 UTC"}',
  });
  assert.deepEqual(proxyAnswer('/livez', ill), {
    status: 503,
    body: '{"lastUpdated": "1970-01-01 00:00:01 +0000 UTC","currentTime": "1970-01-01 00:01:01.5 +0000 UTC"}',
  });
  assert.equal(proxyAnswer('/', well).status, 404);
});

test('both servers answer what the agent says at that moment', async () => {
  let health = well;
  const problems: (readonly Problem[])[] = [];
  const [healthPort, proxyPort] = [await freePort(), await freePort()];
  await using _server = await serveHealth({
    healthPort,
    proxy: { host: ip('127.0.0.1'), port: proxyPort },
    health: () => health,
    report: (list) => problems.push(list),
  });
  assert.deepEqual(problems, [[]]);
  const agent = `http://127.0.0.1:${healthPort}/healthz`;
  const proxy = `http://127.0.0.1:${proxyPort}/healthz`;
  const first = await fetch(proxy);
  assert.deepEqual(
    [first.status, first.headers.get('content-type'), first.headers.get('x-content-type-options')],
    [200, 'application/json', 'nosniff'],
  );
  assert.deepEqual(Object.keys(JSON.parse(await first.text())), ['lastUpdated', 'currentTime']);
  assert.equal((await fetch(agent, { headers: { brief: 'true' } })).status, 200);
  health = ill;
  const second = await fetch(agent);
  assert.deepEqual([second.status, await second.text()], [503, 'the API server is gone\n']);
  assert.equal((await fetch(`${proxy}?x`)).status, 503);
});

test('a port in use is a Problem that says which and what to do, and the other server runs; the port is taken when it is free', async () => {
  let problems: readonly Problem[] = [];
  const healthPort = await freePort();
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  const proxyPort = port((taken.address() as AddressInfo).port); // a TCP listener has one
  await using _server = await serveHealth({
    healthPort,
    proxy: { host: ip('127.0.0.1'), port: proxyPort },
    health: () => well,
    retryMs: 20,
    report: (list) => (problems = list),
  });
  assert.equal((await fetch(`http://127.0.0.1:${healthPort}/healthz`)).status, 200);
  assert.equal(problems.length, 1);
  assert.deepEqual([problems[0]?.object, problems[0]?.reason], ['Config kubeProxyReplacementHealthzBindAddr', 'PortInUse']);
  assert.match(problems[0]?.message ?? '', new RegExp(`127\\.0\\.0\\.1:${proxyPort}: listen EADDRINUSE`));
  await new Promise((resolve) => taken.close(resolve));
  for (const deadline = Date.now() + 5000; problems.length > 0;) {
    assert.ok(Date.now() < deadline, 'still a Problem after 5 s');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.equal((await fetch(`http://127.0.0.1:${proxyPort}/livez`)).status, 200);
});
