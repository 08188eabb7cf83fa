// SPDX-License-Identifier: Apache-2.0
// The client against the API of the sandbox, which validates what it is given.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { problemBook, problem } from '../base/problem.ts';
import type { Problem } from '../base/problem.ts';
import { table } from '../base/table.ts';
import { until } from '../base/until.ts';
import { startTestServer, TOKEN } from '../../sandbox/api/server-fixture.ts';
import { kubeClient } from './client.ts';
import { eventsTarget } from './events.ts';
import type { KubeEvent } from './events.ts';
import { pathOf, pathOfObject, resources } from './resources.ts';
import { kubeSource, sink } from './source.ts';
import type { Service } from './types.ts';

test('services come, change and go; a label is patched; a Problem said twice is one Event that counts', async (context) => {
  const { api, port } = await startTestServer(context);
  const access = {
    servers: () => [{ url: `https://127.0.0.1:${port}`, name: undefined }],
    insecure: false,
    namespace: undefined,
    credentials: () => ({ token: TOKEN, ca: api.caPem, cert: undefined, key: undefined }),
  };
  const client = kubeClient({ access });
  const rows = table<string, readonly number[]>('services');
  const source = kubeSource<Service>({
    client,
    resource: resources.services,
    sinks: [
      sink(
        rows.writer('kubernetes'),
        ({ metadata, spec }) => [[metadata.name, (spec?.ports ?? []).map(({ port: number }) => number)]],
        problemBook(),
      ),
    ],
    changed: () => {},
  });
  const stop = new AbortController();
  const done = source.run(stop.signal);
  context.after(async () => {
    stop.abort();
    await done;
    client.close();
  });

  const services = pathOf(resources.services, 'default');
  const service = (port: number) => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'cart' },
    spec: { clusterIP: '10.96.0.10', clusterIPs: ['10.96.0.10'], ports: [{ port }] },
  });
  await client.create(services, service(80));
  await until(() => rows.complete && rows.get('cart')?.[0] === 80);
  const path = pathOfObject(resources.services, 'cart', 'default');
  await client.patch(path, { spec: { ports: [{ port: 81 }] } }, { type: 'merge' });
  await until(() => rows.get('cart')?.[0] === 81);
  await client.patch(
    path,
    { apiVersion: 'v1', kind: 'Service', metadata: { name: 'cart', labels: { a: 'b' } } },
    { type: 'apply', fieldManager: 'stentor', force: true },
  );
  assert.deepEqual((await client.get<Service>(path)).metadata.labels, { a: 'b' });
  await client.delete(path);
  await until(() => !rows.has('cart'));

  const found: Problem = problem({
    object: 'Service default/cart',
    reason: 'InvalidField',
    message: 'spec.ports is empty',
    advice: 'Add a port',
  });
  const target = eventsTarget({ client, controller: 'stentor-agent', instance: 'node1', fallback: 'Node node1' });
  for (let i = 0; i < 3; i++) await target.put([['x', found]]);
  const events = await client.list<KubeEvent>(pathOf(resources.events, 'default'));
  assert.deepEqual(
    events.items.map(({ series }) => series?.count),
    [3],
  );
});
