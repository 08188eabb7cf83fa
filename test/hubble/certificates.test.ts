// SPDX-License-Identifier: Apache-2.0
// From an operator's certificates in the API to flows at a relay: an agent that shows its own, a relay that shows its own, and
// strangers who are not let in.

import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { startTestServer, TOKEN } from '../../sandbox/api/server-fixture.ts';
import { serveHubble } from '../../src/agent/hubble.ts';
import { systemClock as clock } from '../../src/base/clock.ts';
import { ip } from '../../src/base/ip.ts';
import { logTo } from '../../src/base/log.ts';
import type { Problem } from '../../src/base/problem.ts';
import { table } from '../../src/base/table.ts';
import { until } from '../../src/base/until.ts';
import type { EndpointRow } from '../../src/endpoints/endpoint.ts';
import { flowRing } from '../../src/flows/flow-ring.ts';
import { grpcServer } from '../../src/grpc/server.ts';
import { kubeClient } from '../../src/kube/client.ts';
import { identitySecret } from '../../src/kube/identity-secret.ts';
import type { NodeRow } from '../../src/nodes/node.ts';
import { keepCertificates } from '../../src/operator/hubble-certificates.ts';
import { relayHandlers } from '../../src/relay/handlers.ts';
import { pool } from '../../src/relay/pool.ts';
import { bytesAt, HubbleClient, numberAt, textAt } from './client.ts';

const host = '127.0.0.1';

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

test('a relay gets flows with the certificates that the operator makes, and nobody does without', { timeout: 60_000 }, async (context) => {
  const { api, port: apiPort } = await startTestServer(context, {});
  const folder = mkdtempSync(join(tmpdir(), 'hubble-'));
  const credentials = () => ({ token: TOKEN, ca: api.caPem, cert: undefined, key: undefined });
  const servers = () => [{ url: `https://${host}:${apiPort}`, name: undefined }];
  const client = kubeClient({ access: { servers, insecure: false, namespace: undefined, credentials } });
  const stop = new AbortController();
  context.after(() => {
    stop.abort();
    client.close();
    rmSync(folder, { recursive: true });
  });
  const log = logTo(() => {});
  const namespace = 'default';
  const port = await freePort();
  const ring = flowRing(7);
  ring.append([{ time: 1n, uuid: '', verdict: 1, type: 1, nodeName: 'default/node.1', summary: 'seen' }]);
  const nodes = table<string, NodeRow>('nodes');
  nodes.writer('test').put('node.1', { name: 'node.1', addresses: [ip(host)], podCidrs: [] });
  const endpoints = table<string, EndpointRow>('endpoints');
  const pods = endpoints.writer('test');
  const looks: (() => void)[] = [];
  const socketPath = join(folder, 'hubble.sock');
  let problems: readonly Problem[] = [];
  const hubble = { enabled: true, tls: true, socketPath, listenAddress: `${host}:${port}`, capacity: 7 };
  serveHubble(
    {
      config: { clusterName: 'default', hubble: hubble as Parameters<typeof serveHubble>[0]['config']['hubble'] },
      self: 'node.1',
      ring,
      nodes,
      endpoints,
      identity: identitySecret({ client, namespace, name: 'hubble-server-certs' }),
      clock,
      log,
      report: (rows) => (problems = rows),
      afterwards: (look) => looks.push(look),
    },
    stop.signal,
  );
  await until(() => existsSync(socketPath));
  const local = new HubbleClient({ path: socketPath });
  context.after(() => local.close());
  const pod = { namespace: 'shop', pod: 'cart', id: 7 } as EndpointRow;
  for (const change of [() => pods.put('a', pod), () => pods.put('a', { ...pod, mtu: 1400 }), () => pods.delete('a')]) {
    change();
    for (const look of looks) look();
  }
  const deeds = (await local.ask('observer.Observer/GetAgentEvents', [])).messages;
  assert.deepEqual(
    deeds.map((deed) => [numberAt(deed, 1, 1), textAt(deed, 1, 104, 4)]),
    [
      [2, undefined],
      [7, 'cart'],
      [8, 'cart'],
    ],
  );
  const own = identitySecret({ client, namespace, name: 'hubble-relay-client-certs' });
  const running: Promise<unknown>[] = [own.run(() => {}, stop.signal)];
  const peers = pool({ peerService: { path: socketPath }, peerServerName: '', tls: () => own.identity, log: () => {} });
  running.push(peers.run(stop.signal));
  await until(() => peers.peers()[0]?.trouble !== undefined);
  assert.equal(peers.peers()[0]?.serverName, 'node-1.default.hubble-grpc.cilium.io');
  assert.match(peers.peers()[0]?.trouble ?? '', /this relay has no certificate yet/);

  running.push(keepCertificates({ client, namespace, cluster: 'default', clock, log }, { signal: stop.signal, holds: () => true }));
  await until(() => peers.peers()[0]?.status !== undefined, 20_000);
  const relay = grpcServer({ handlers: relayHandlers({ pool: peers, nodeName: 'relay', version: '' }) });
  await relay.listen({ host, port: 0 });
  const asking = new HubbleClient({ host, port: relay.port });
  const stranger = new HubbleClient({ host, port });
  context.after(async () => {
    for (const one of [asking, stranger]) one.close();
    await relay[Symbol.asyncDispose]();
  });
  const { messages } = await asking.ask('observer.Observer/GetFlows', [[1, 1]]);
  assert.deepEqual(messages.map((message) => textAt(message, 1, 100_000)).filter(Boolean), ['seen']);
  assert.equal(
    messages.some((message) => bytesAt(message, 2) !== undefined),
    true,
    'it tells which nodes there are',
  );

  const refused = await stranger.ask('observer.Observer/GetFlows', []).catch(() => undefined);
  assert.deepEqual([refused?.messages ?? [], refused?.status ?? -1], [[], -1]);
  assert.deepEqual(problems, []);
  stop.abort();
  await Promise.all(running);
});
