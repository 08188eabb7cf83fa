// SPDX-License-Identifier: Apache-2.0
// Addresses for Services against the API of the sandbox: statuses, conditions, Events, and what another term keeps.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import type { Json } from '../../sandbox/api/json.ts';
import type { Faults } from '../../sandbox/api/faults.ts';
import { startTestServer, TOKEN } from '../../sandbox/api/server-fixture.ts';
import { definitions } from '../../sandbox/manifests.ts';
import { systemClock } from '../base/clock.ts';
import { logTo } from '../base/log.ts';
import { port as portOf } from '../base/ip.ts';
import { metricsOf, metricsText } from '../base/metrics.ts';
import { until } from '../base/until.ts';
import { kubeClient } from '../kube/client.ts';
import { readReport } from '../kube/problem-report.ts';
import { leaseHolder } from '../kube/lease.ts';
import { lbipamMetrics } from './lbipam.ts';
import { serveTerm } from './term.ts';
import type { Counts } from './term.ts';

const POOLS = 'ciliumloadbalancerippools.cilium.io';
const POLICIES = 'ciliuml2announcementpolicies.cilium.io';
const CONDITION = 'cilium.io/IPAMRequestSatisfied';
const often = { durationMs: 600_000, renewMs: 500_000, retryMs: 50 };
const never = { identityInterval: 0, identityGrace: 1, endpointInterval: 0, endpointGrace: 1 };

/** A cluster's API, and operators for it, one after the other. */
async function cluster(context: TestContext, { announced }: { readonly announced: boolean } = { announced: true }) {
  const faults: Faults = {};
  const { api, port } = await startTestServer(context, { faults });
  const { store } = api;
  for (const one of await definitions()) store.create('customresourcedefinitions.apiextensions.k8s.io', one);
  store.create('namespaces', { metadata: { name: 'shop' } });
  const announce = () => store.create(POLICIES, { metadata: { name: 'policy' }, spec: { loadBalancerIPs: true } });
  if (announced) announce();
  const access = {
    servers: () => [{ url: `https://127.0.0.1:${port}`, name: undefined }],
    insecure: false,
    namespace: undefined,
    credentials: () => ({ token: TOKEN, ca: api.caPem, cert: undefined, key: undefined }),
  };
  let terms = 0;
  const operator = () => {
    const client = kubeClient({ access });
    const stop = new AbortController();
    const identity = `operator-${terms++}`;
    const lease = leaseHolder({ client, namespace: 'default', name: 'lock', identity, clock: systemClock, ...often });
    const counts: Counts = { passes: 0, passesLate: 0, identities: 0, identitiesDeleted: 0, endpointsDeleted: 0, endpointsFailed: 0 };
    const leases = { leaseDuration: often.durationMs, leaseRenew: often.renewMs, leaseRetry: often.retryMs };
    const place = { kubeconfig: undefined, namespace: 'kube-system', apiServers: [], healthPort: portOf(1), metricsPort: portOf(2) };
    const options = {
      ...never,
      ...leases,
      ...place,
      certificatesFor: undefined,
      identity,
      lbClasses: { unnamed: true, named: ['io.cilium/l2-announcer'] },
    };
    const done = lease.run((term) => serveTerm({ client, options, clock: systemClock, counts, log: logTo(() => {}) }, term), stop.signal);
    const end = async () => {
      stop.abort();
      await done;
      client.close();
    };
    context.after(end);
    return { end, metrics: () => metricsText(metricsOf(lbipamMetrics, { counts })) };
  };
  const get = (name: string): Json => store.get('services', { namespace: 'shop', name });
  return {
    store,
    faults,
    access,
    announce,
    operator,
    service: (name: string, annotations: Record<string, string> = {}, spec: Json = {}): Json =>
      store.create('services', {
        metadata: { name, namespace: 'shop', annotations },
        spec: { type: 'LoadBalancer', selector: { app: name }, ports: [{ port: 80 }], ...spec },
      }),
    pool: (name: string, spec: Json): Json => store.create(POOLS, { metadata: { name }, spec }),
    edit: (name: string, spec: Json): Json => store.patch(POOLS, { name }, { spec }),
    get,
    ips: (name: string): string => (get(name)?.status?.loadBalancer?.ingress ?? []).map(({ ip }: Json) => ip).join(),
    condition: (name: string): Json => get(name)?.status?.conditions?.find(({ type }: Json) => type === CONDITION) ?? {},
    poolSays: (name: string, type: string): Json =>
      store.get(POOLS, { name })?.['status']?.conditions?.find((one: Json) => one.type === type) ?? {},
    events: (name: string): readonly string[] =>
      store
        .list('events')
        .map((one: Json) => one)
        .filter(({ involvedObject, regarding }) => (regarding ?? involvedObject)?.name === name)
        .map(({ reason }) => reason),
  };
}

test(
  'a Service gets the address that it asks for, with a condition and an Event; the next operator leaves it',
  { timeout: 60_000 },
  async (context) => {
    const it = await cluster(context);
    it.pool('pool', { blocks: [{ start: '192.168.0.220', stop: '192.168.0.222' }] });
    it.service('first');
    it.service('pinned', { 'lbipam.cilium.io/ips': '192.168.0.222' });
    it.store.patchStatus('services', { namespace: 'shop', name: 'pinned' }, { conditions: [{ type: 'stentor.dev/Reachable', status: 'True', reason: 'x', message: '', lastTransitionTime: '2026-01-01T00:00:00Z' }] }); // prettier-ignore
    const one = it.operator();
    await until(() => it.ips('pinned') === '192.168.0.222' && it.ips('first') === '192.168.0.220');
    const { status, reason, message } = it.condition('pinned');
    assert.deepEqual([status, reason, message], ['True', 'satisfied', '']);
    assert.deepEqual(
      it
        .get('pinned')
        .status.conditions.map(({ type }: Json) => type)
        .toSorted(),
      [CONDITION, 'stentor.dev/Reachable'],
    );
    await until(() => it.events('pinned').includes('AddressAllocated'));
    await until(() => it.poolSays('pool', 'cilium.io/IPsAvailable').message === '1');
    assert.equal(it.poolSays('pool', 'stentor.dev/Ranges').message, '192.168.0.220-192.168.0.222');
    assert.equal(it.poolSays('pool', 'stentor.dev/Ready').reason, 'Ready');
    it.service('late', { 'lbipam.cilium.io/ips': '192.168.0.222' });
    await until(() => it.condition('late').reason === 'already_allocated');
    assert.match(it.condition('late').message, /192\.168\.0\.222 is taken by Service shop\/pinned\. Ask for another address/);
    await until(() => it.events('late').includes('AddressTaken'));
    await until(() => /services_unsatisfied 1\n/.test(one.metrics()) && /ips_used\{pool="pool"\} 2\n/.test(one.metrics()));
    const before = ['pinned', 'first', 'late'].map((name) => it.get(name).metadata.resourceVersion);
    await one.end();
    assert.equal(one.metrics().includes('pool="pool"'), false);
    it.operator();
    it.service('after');
    await until(() => it.ips('after') === '192.168.0.221');
    assert.deepEqual(
      ['pinned', 'first', 'late'].map((name) => it.get(name).metadata.resourceVersion),
      before,
    );
    it.store.delete('services', { namespace: 'shop', name: 'pinned' });
    await until(() => it.ips('late') === '192.168.0.222' && it.condition('late').status === 'True');
  },
);

test('a pool edit that would move a Service says so and moves it when somebody agrees', { timeout: 60_000 }, async (context) => {
  const it = await cluster(context);
  it.pool('pool', { blocks: [{ start: '192.168.0.220' }] });
  it.service('cart');
  it.operator();
  await until(() => it.ips('cart') === '192.168.0.220');
  it.edit('pool', { blocks: [{ start: '192.168.0.230', stop: '192.168.0.231' }] });
  await until(() => it.poolSays('pool', 'stentor.dev/Ready').reason === 'MovesWait');
  const { message } = it.poolSays('pool', 'stentor.dev/Ready');
  assert.match(message, /1 address would move: Service shop\/cart from 192\.168\.0\.220 to 192\.168\.0\.230 \(no pool has it any more\)/);
  await until(() => it.condition('cart').message?.startsWith('192.168.0.220 is kept, although no pool has it any more'));
  await until(() => it.events('pool').includes('MovesWait') && it.events('cart').includes('AddressKept'));
  assert.equal(it.ips('cart'), '192.168.0.220');
  const [, annotation = '', addresses = ''] =
    /annotate --overwrite ciliumloadbalancerippool pool (\S+)=(192\.168\.0\.220)\./.exec(message) ?? [];
  it.store.patch(POOLS, { name: 'pool' }, { metadata: { annotations: { [annotation]: addresses } } });
  await until(() => it.ips('cart') === '192.168.0.230');
  await until(() => it.events('cart').includes('AddressMoved'));
  await until(() => it.poolSays('pool', 'stentor.dev/Ready').reason === 'Ready');
});

test('what is wrong with a pool stands in its status and in an Event', { timeout: 60_000 }, async (context) => {
  const it = await cluster(context);
  it.store.create('nodes', { metadata: { name: 'node1' }, status: { addresses: [{ type: 'InternalIP', address: '192.168.0.11' }] } });
  it.store.create('ciliumnodes.cilium.io', {
    metadata: { name: 'node1', annotations: { 'stentor.dev/subnets': '192.168.0.0/24' } },
    spec: {},
  });
  const pools: Record<string, readonly [reason: string, blocks: readonly Json[]]> = {
    'a-good': ['Ready', [{ start: '192.168.0.220', stop: '192.168.0.239' }]],
    'b-reversed': ['InvalidBlock', [{ start: '192.168.0.19', stop: '192.168.0.15' }]],
    'c-overlaps': ['PoolConflict', [{ start: '192.168.0.239', stop: '192.168.0.240' }]],
    'd-node': ['OverlapsNodes', [{ start: '192.168.0.10', stop: '192.168.0.12' }]],
    'e-elsewhere': ['NoSubnet', [{ cidr: '192.168.11.0/28' }]],
    'f-inside': ['BlockNotAtItsStart', [{ cidr: '192.168.0.200/28' }]],
    'g-empty': ['NoBlocks', []],
  };
  for (const [name, [, blocks]] of Object.entries(pools)) it.pool(name, { blocks });
  it.operator();
  for (const [name, [reason]] of Object.entries(pools)) {
    await until(() => it.poolSays(name, 'stentor.dev/Ready').reason !== undefined);
    assert.equal(it.poolSays(name, 'stentor.dev/Ready').reason, reason, name);
    if (reason !== 'Ready') await until(() => it.events(name).includes(reason));
  }
  assert.equal(it.poolSays('c-overlaps', 'cilium.io/PoolConflict').status, 'True');
  it.edit('c-overlaps', { blocks: [{ start: '192.168.0.240' }] });
  await until(() => it.poolSays('c-overlaps', 'cilium.io/PoolConflict').status === 'False');
  await until(() => it.poolSays('c-overlaps', 'stentor.dev/Ready').reason === 'Ready');
});

test('a Service that is no load balancer any more, or another class from the start', { timeout: 60_000 }, async (context) => {
  const it = await cluster(context);
  it.pool('pool', { blocks: [{ start: '192.168.0.220', stop: '192.168.0.221' }] });
  it.service('ours', {}, { loadBalancerClass: 'io.cilium/l2-announcer' });
  it.service('theirs', {}, { loadBalancerClass: 'metallb.io/metallb' });
  it.service('plain');
  it.operator();
  await until(() => it.ips('ours') !== '' && it.ips('plain') !== '');
  assert.deepEqual([it.ips('theirs'), it.condition('theirs')], ['', {}]);
  it.store.patch('services', { namespace: 'shop', name: 'plain' }, { spec: { type: 'ClusterIP' } });
  await until(() => it.ips('plain') === '' && it.condition('plain').type === undefined);
  assert.notEqual(it.ips('ours'), '');
});

test('an API that refuses every third request: addresses and Events come late, and each once', { timeout: 240_000 }, async (context) => {
  const it = await cluster(context);
  it.pool('pool', { blocks: [{ cidr: '192.0.2.0/27' }] });
  it.operator();
  it.service('first');
  await until(() => it.ips('first') !== '');
  Object.assign(it.faults, { refuse: 0.3, cutWatch: 0.05 });
  const names = Array.from({ length: 10 }, (_, i) => `s${i}`);
  for (const name of names) it.service(name);
  await until(() => names.every((name) => it.ips(name) !== ''), 100_000);
  Object.assign(it.faults, { refuse: 0, cutWatch: 0 });
  assert.equal(new Set([...names, 'first'].map((name) => it.ips(name))).size, 11);
  await until(() => names.every((name) => it.events(name).join() === 'AddressAllocated'), 100_000);
});

test('what somebody has to repair is reported where every agent finds it, until it is repaired', { timeout: 60_000 }, async (context) => {
  const it = await cluster(context, { announced: false });
  const client = kubeClient({ access: it.access });
  context.after(() => client.close());
  const report = () => readReport(client, 'kube-system', AbortSignal.timeout(5000));
  const said = async () => (await report()).map(({ object, reason }) => `${object}: ${reason}`);
  assert.deepEqual(await said(), [], 'no operator has ever said anything');
  it.pool('pool', { blocks: [{ start: '192.168.0.220', stop: '192.168.0.222' }] });
  it.pool('reversed', { blocks: [{ start: '192.168.1.9', stop: '192.168.1.1' }] });
  it.pool('twice', { blocks: [{ start: '192.168.0.222', stop: '192.168.0.230' }] });
  const shared = (key: string) => ({ 'lbipam.cilium.io/ips': '192.168.0.220', 'lbipam.cilium.io/sharing-key': key });
  it.service('first', shared('a'));
  const one = it.operator();
  await until(() => it.ips('first') === '192.168.0.220');
  it.service('second', shared('b'));
  const pool = 'CiliumLoadBalancerIPPool';
  const wanted = [
    `${pool} pool: NotAnnounced`,
    `${pool} reversed: InvalidBlock`,
    `${pool} twice: NotAnnounced`,
    `${pool} twice: PoolConflict`,
    'Service shop/second: SharingRefused',
  ];
  await until(async () => (await said()).join() === wanted.join());
  assert.equal(it.poolSays('pool', 'stentor.dev/Ready').reason, 'NotAnnounced');
  await until(() => it.events('pool').includes('NotAnnounced') && it.events('twice').includes('PoolConflict'));
  const times = /event_processing_time_seconds_count\{event="upsert",resource="(pool|service)"\} [1-9]/g;
  assert.equal([...one.metrics().matchAll(times)].length, 2);
  it.announce();
  for (const name of ['reversed', 'twice']) it.store.delete(POOLS, { name });
  it.store.delete('services', { namespace: 'shop', name: 'second' });
  await until(async () => (await said()).length === 0);
});
