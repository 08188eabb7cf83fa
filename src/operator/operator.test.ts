// SPDX-License-Identifier: Apache-2.0
// Two operators against the API of the sandbox, which refuses half of all requests for a while.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startTestServer, TOKEN } from '../../sandbox/api/server-fixture.ts';
import type { Faults } from '../../sandbox/api/faults.ts';
import { definitions } from '../../sandbox/manifests.ts';
import { systemClock } from '../base/clock.ts';
import { logTo } from '../base/log.ts';
import { port as portOf } from '../base/ip.ts';
import { until } from '../base/until.ts';
import { kubeClient } from '../kube/client.ts';
import { leaseHolder } from '../kube/lease.ts';
import { serveTerm } from './term.ts';

const IDENTITIES = 'ciliumidentities.cilium.io';
const ENDPOINTS = 'ciliumendpoints.cilium.io';
const times = { identityInterval: 100, identityGrace: 300, endpointInterval: 100, endpointGrace: 300 };

test('one leads, what nobody uses goes, what is used stays; the other takes over', { timeout: 180_000 }, async (context) => {
  const faults: Faults = {};
  const { api, port } = await startTestServer(context, { faults });
  const { store } = api;
  for (const one of await definitions()) store.create('customresourcedefinitions.apiextensions.k8s.io', one);
  const identity = (name: string) => store.create(IDENTITIES, { metadata: { name }, 'security-labels': { 'k8s:app': `a${name}` } });
  const has = (name: string) => store.get(IDENTITIES, { name }) !== undefined;
  const pod = store.create('pods', { metadata: { name: 'cart', namespace: 'default' }, spec: { containers: [{ name: 'c', image: 'i' }] } });
  const endpoint = (name: string, uid: string, id: number) =>
    store.create(ENDPOINTS, {
      metadata: { name, namespace: 'default', ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name, uid }] },
      status: { identity: { id } },
    });
  for (const name of ['300', '301']) identity(name);
  endpoint('cart', pod.metadata.uid, 300);
  const access = {
    servers: () => [{ url: `https://127.0.0.1:${port}`, name: undefined }],
    insecure: false,
    namespace: undefined,
    credentials: () => ({ token: TOKEN, ca: api.caPem, cert: undefined, key: undefined }),
  };
  const working = new Set<string>();
  const start = (name: string) => {
    const client = kubeClient({ access });
    const stop = new AbortController();
    const lease = leaseHolder({ client, namespace: 'default', name: 'lock', identity: name, clock: systemClock, durationMs: 600_000, renewMs: 500_000, retryMs: 100 }); // prettier-ignore
    const counts = { passes: 0, passesLate: 0, identities: 0, identitiesDeleted: 0, endpointsDeleted: 0, endpointsFailed: 0 };
    const options = { ...times, kubeconfig: undefined, namespace: '', identity: name, apiServers: [], healthPort: portOf(1), metricsPort: portOf(2), lbClasses: undefined, certificatesFor: undefined, leaseDuration: 600_000, leaseRenew: 500_000, leaseRetry: 100 }; // prettier-ignore
    const done = lease.run(async (term) => {
      working.add(name);
      assert.equal(working.size, 1);
      await serveTerm({ client, options, clock: systemClock, counts, log: logTo(() => {}) }, term);
      working.delete(name);
    }, stop.signal);
    const end = async () => {
      stop.abort();
      await done;
      client.close();
    };
    context.after(end);
    return { lease, end };
  };
  const first = start('first');
  await until(() => first.lease.status.leads);
  const second = start('second');
  await until(() => !has('301'));
  assert.deepEqual([has('300'), second.lease.status.leads], [true, false]);
  identity('302');
  await first.end();
  await until(() => second.lease.status.leads, 60_000); // it was given back: nobody else may take it for ten minutes
  await until(() => !has('302'));
  Object.assign(faults, { refuse: 0.5 });
  identity('303');
  await until(() => !has('303'), 40_000);
  assert.deepEqual([has('300'), store.get(ENDPOINTS, { namespace: 'default', name: 'cart' }) !== undefined], [true, true]);
  Object.assign(faults, { refuse: 0 });
});
