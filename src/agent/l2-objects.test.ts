// SPDX-License-Identifier: Apache-2.0
// Conditions of policies and Services, written into the API of the sandbox, which validates what it is given.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startTestServer, TOKEN } from '../../sandbox/api/server-fixture.ts';
import { definitions } from '../../sandbox/manifests.ts';
import type { Json } from '../../sandbox/api/json.ts';
import { ip } from '../base/ip.ts';
import { table } from '../base/table.ts';
import { until } from '../base/until.ts';
import { kubeClient } from '../kube/client.ts';
import type { PolicyCondition } from '../l2/conditions.ts';
import type { OwnerRow } from '../l2/owners.ts';
import type { Reachable } from '../l2/reachable.ts';
import { l2Objects } from './l2-objects.ts';

const OTHER = {
  type: 'example.com/Ready',
  status: 'True',
  reason: 'Other',
  message: 'of somebody else',
  lastTransitionTime: '2026-01-01T00:00:00Z',
};

const addressOf = (service: string): OwnerRow => ({
  ip: ip('192.168.0.220'),
  services: [service],
  balanced: true,
  policies: [],
  owner: 'node1',
  interfaces: [],
  why: '',
  epoch: 1,
  held: undefined,
  probes: undefined,
  rivals: [],
  candidates: [],
});

test('conditions say what is so, leave those of others alone, and go with the last address', async (context) => {
  const { api, port } = await startTestServer(context);
  const { store } = api;
  for (const one of await definitions()) store.create('customresourcedefinitions.apiextensions.k8s.io', one);
  const servers = () => [{ url: `https://127.0.0.1:${port}`, name: undefined }];
  const credentials = () => ({ token: TOKEN, ca: api.caPem, cert: undefined, key: undefined });
  const client = kubeClient({ access: { servers, insecure: false, namespace: undefined, credentials } });
  const conditions = table<string, readonly PolicyCondition[]>('conditions');
  const reachable = table<string, Reachable>('reachable');
  const owners = table<string, OwnerRow>('owners', { indexes: { service: ({ services: names }) => names } });
  const [policies, services, addresses] = [conditions.writer('test'), reachable.writer('test'), owners.writer('test')];
  store.create('ciliuml2announcementpolicies.cilium.io', {
    apiVersion: 'cilium.io/v2alpha1',
    kind: 'CiliumL2AnnouncementPolicy',
    metadata: { name: 'bad' },
    spec: { loadBalancerIPs: true, interfaces: ['['] },
  });
  const metadata = { namespace: 'default', name: 'web' };
  store.create('services', {
    apiVersion: 'v1',
    kind: 'Service',
    metadata,
    spec: { clusterIP: '10.96.0.10', clusterIPs: ['10.96.0.10'], ports: [{ port: 80 }] },
  });
  store.patchStatus('services', metadata, { conditions: [OTHER] });
  policies.put('bad', [{ type: 'io.cilium/bad-interface-regex', status: 'True', reason: 'error', message: 'it is no regular expression' }]);
  addresses.put('192.168.0.220', addressOf('default/web'));
  services.put('default/web', { status: 'Unknown', reason: 'NobodyAsks', message: 'nobody asks' });
  for (const one of [policies, services]) one.complete();
  const stop = new AbortController();
  const loops = l2Objects(client, { conditions, reachable, owners });
  const done = Promise.all(loops.map((one) => one.run(stop.signal)));
  context.after(async () => {
    stop.abort();
    await done;
    client.close();
  });
  const told = (object: Json): readonly string[] =>
    (object?.status?.conditions ?? []).map(({ type, status }: Json) => `${type} ${status}`).toSorted();
  const ofPolicy = () => told(store.get('ciliuml2announcementpolicies.cilium.io', { name: 'bad' }) as Json);
  const ofService = () => told(store.get('services', metadata) as Json);
  await until(() => ofPolicy().join() === 'io.cilium/bad-interface-regex True');
  await until(() => ofService().join() === 'example.com/Ready True,stentor.dev/Reachable Unknown');
  services.put('default/web', { status: 'True', reason: 'Found', message: 'found' });
  for (const one of loops) one.wake();
  await until(() => ofService().join() === 'example.com/Ready True,stentor.dev/Reachable True');
  services.delete('default/web');
  for (const one of loops) one.wake();
  await until(() => loops.every((one) => one.status.error === undefined));
  assert.deepEqual(ofService(), ['example.com/Ready True', 'stentor.dev/Reachable True'], 'another node tells it from now on');

  services.put('default/web', { status: 'True', reason: 'Found', message: 'found again' });
  for (const one of loops) one.wake();
  await until(() => loops.every(({ status: { pending } }) => pending === 0));
  addresses.delete('192.168.0.220');
  services.delete('default/web');
  for (const one of loops) one.wake();
  await until(() => ofService().join() === 'example.com/Ready True');
});
