// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { EndpointSlice, Service } from '../kube/types.ts';
import { servicesBefore } from './before.ts';
import { cart, cluster, service, slice, values, withCart } from './testdata/cluster.ts';
import type { Endpoint } from './testdata/cluster.ts';

const aged = <T extends Service | EndpointSlice>(object: T, created: string): T => ({
  ...object,
  metadata: { ...object.metadata, creationTimestamp: `2026-01-${created}T00:00:00Z` },
});

describe('objects that contradict one another', () => {
  const orders = [
    ['old', 'young', 'undated'],
    ['undated', 'young', 'old'],
    ['young', 'old', 'undated'],
  ];
  for (const order of orders)
    it(`the oldest of several Services has the address, whoever comes first: ${order.join(', ')}`, async () => {
      const same = { clusterIPs: ['10.96.9.9'], ports: [{ port: 80 }] };
      const all = new Map([
        ['old', aged(service('old', same), '01')],
        ['young', aged(service('young', same), '02')],
        ['undated', service('undated', same)],
      ]);
      const found = cluster();
      for (const name of order) found.put(all.get(name) ?? assert.fail());
      await found.synced();
      const owner = () => found.frontends.get('10.96.9.9:80/TCP')?.service;
      const losers = () => Array.from(found.problems.entries(), ([, { object, message }]) => `${object}: ${message}`).toSorted();
      assert.equal(owner(), 'shop/old');
      assert.deepEqual(losers(), [
        'Service shop/undated: 10.96.9.9:80/TCP belongs to Service shop/old already',
        'Service shop/young: 10.96.9.9:80/TCP belongs to Service shop/old already',
      ]);
      found.forget(all.get('old') ?? assert.fail());
      await found.settled();
      assert.equal(owner(), 'shop/young');
      found.put(all.get('old') ?? assert.fail());
      await found.settled();
      assert.equal(owner(), 'shop/old');
    });

  for (const order of [0, 1])
    it(`an endpoint is used that one of two slices calls ready, and the younger slice has a Problem (${order})`, async () => {
      const slices = [
        aged(slice('a', 'cart', ['10.244.1.5'], { ready: order === 0 }), '01'),
        aged(slice('b', 'cart', ['10.244.1.5', '10.244.1.6'], { ready: order === 1 }), '02'),
      ];
      const found = await withCart(...(order === 0 ? slices : slices.toReversed()));
      assert.ok(found.backends.has('10.244.1.5:8080/TCP'));
      assert.deepEqual(
        Array.from(found.problems.entries(), ([, { object, reason }]) => [object, reason]),
        [['EndpointSlice shop/b', 'SlicesDisagree']],
      );
      found.putSlice(aged(slice('b', 'cart', ['10.244.1.6']), '02'));
      await found.settled();
      assert.equal(found.problems.size, 0);
    });

  it('slices that repeat an endpoint in the same words are no Problem', async () => {
    const found = await withCart(slice('a', 'cart', ['10.244.1.5']), slice('b', 'cart', ['10.244.1.5']));
    assert.equal(found.problems.size, 0);
  });
});

describe('frontends and backends of a Service', () => {
  it('every address and port is a frontend; families do not mix', async () => {
    const { lbServices, lbBackends } = await withCart(
      slice('a', 'cart', ['10.244.1.5', '10.244.2.6']),
      slice('b', 'cart', ['fd00:10:244:1::5']),
    );
    assert.deepEqual(
      Object.entries(values(lbServices)).map(([key, { backends }]) => [key, backends]),
      [
        ['10.96.4.7:80/TCP', 2],
        ['[fd00:10:96::7]:80/TCP', 1],
      ],
    );
    assert.equal(lbBackends.size, 3);
  });

  const conditions: readonly { name: string; conditions: readonly (Endpoint['conditions'] | undefined)[]; selected: number }[] = [
    { name: 'an endpoint without conditions is ready', conditions: [undefined], selected: 1 },
    { name: 'one that is not ready is not selected', conditions: [{ ready: false }], selected: 0 },
    {
      name: 'one that terminates is not selected while another is ready',
      conditions: [{ ready: true }, { ready: false, serving: true, terminating: true }],
      selected: 1,
    },
    {
      name: 'one that terminates and serves is selected when nobody is ready',
      conditions: [{ ready: false, serving: true, terminating: true }],
      selected: 1,
    },
    {
      name: 'one that terminates and does not serve is never selected',
      conditions: [{ ready: false, serving: false, terminating: true }],
      selected: 0,
    },
    {
      name: 'ready and terminating (publishNotReadyAddresses) is selected',
      conditions: [{ ready: true, serving: true, terminating: true }],
      selected: 1,
    },
  ];
  for (const { name, conditions: list, selected } of conditions) {
    // covers: terminating, unready
    it(`endpoints by their conditions: ${name}`, async () => {
      const { lbSlots } = await withCart(...list.map((one, i) => slice(`s${i}`, 'cart', [`10.244.1.${i + 1}`], one)));
      assert.equal(lbSlots.size, selected);
    });
  }

  // covers: draining
  it('one that terminates and serves beside a ready one drains: it is known, and no slot leads to it', async () => {
    const draining = { ready: false, serving: true, terminating: true };
    const { lbBackends, lbSlots, sets } = await withCart(slice('a', 'cart', ['10.244.1.1']), slice('b', 'cart', ['10.244.1.2'], draining));
    assert.equal(lbSlots.size, 1);
    assert.equal(lbBackends.size, 2);
    assert.deepEqual(
      sets.get('shop/cart/http/TCP/IPv4')?.draining.map(({ address }) => address),
      ['10.244.1.2'],
    );
  });

  const local = service('cart', { ...cart.spec, internalTrafficPolicy: 'Local' });
  const onNodes = (...nodeNames: readonly string[]): EndpointSlice => ({
    ...slice('a', 'cart', []),
    endpoints: nodeNames.map((nodeName, i) => ({ addresses: [`10.244.1.${i + 1}`], nodeName })),
  });

  it('internalTrafficPolicy: Local leads to the backends of this node, and to nobody where it has none', async () => {
    const found = cluster();
    found.put(local);
    found.putSlice(onNodes('node2', 'node1', 'node3'));
    await found.synced();
    assert.deepEqual(
      [...found.backends.entries()].map(([key]) => key),
      ['10.244.1.2:8080/TCP'],
    );
    found.putSlice(onNodes('node2', 'node3'));
    await found.settled();
    assert.equal(found.lbServices.get('10.96.4.7:80/TCP')?.value.backends, 0);
    found.put(cart);
    await found.settled();
    assert.equal(found.lbServices.get('10.96.4.7:80/TCP')?.value.backends, 2);
  });

  const sticky = (timeoutSeconds?: number): Service =>
    service('cart', {
      ...cart.spec,
      sessionAffinity: 'ClientIP',
      ...(timeoutSeconds !== undefined && { sessionAffinityConfig: { clientIP: { timeoutSeconds } } }),
    });
  const affinities: readonly { name: string; service: Service; seconds: number; problems: number }[] = [
    { name: 'none is 0', service: cart, seconds: 0, problems: 0 },
    { name: 'ClientIP without a time is three hours', service: sticky(), seconds: 10_800, problems: 0 },
    { name: 'ClientIP with a time', service: sticky(60), seconds: 60, problems: 0 },
    { name: 'a day at most', service: sticky(86_401), seconds: 10_800, problems: 1 },
    { name: 'a second at least', service: sticky(0), seconds: 10_800, problems: 1 },
  ];
  for (const { name, service: one, seconds, problems } of affinities)
    it(`session affinity: ${name}`, async () => {
      const found = cluster();
      found.put(one);
      found.putSlice(slice('a', 'cart', ['10.244.1.5']));
      await found.synced();
      assert.equal(found.lbServices.get('10.96.4.7:80/TCP')?.value.affinity, seconds);
      assert.equal(found.lbMembers.size, seconds === 0 ? 0 : 1);
      assert.equal(found.problems.size, problems);
    });

  it('a port finds its target by name and protocol', async () => {
    const found = cluster();
    found.put(
      service('dns', {
        clusterIPs: ['10.96.0.10'],
        ports: [
          { name: 'dns', port: 53, protocol: 'UDP' },
          { name: 'dns-tcp', port: 53, protocol: 'TCP' },
        ],
      }),
    );
    found.putSlice({
      ...slice('d', 'dns', ['10.244.1.2']),
      ports: [
        { name: 'dns-tcp', port: 1053, protocol: 'TCP' },
        { name: 'dns', port: 2053, protocol: 'UDP' },
      ],
    });
    await found.synced();
    assert.deepEqual([...found.backends.entries()].map(([key]) => key).toSorted(), ['10.244.1.2:1053/TCP', '10.244.1.2:2053/UDP']);
  });

  const without: readonly { name: string; service: Service }[] = [
    { name: 'headless', service: service('a', { clusterIP: 'None', clusterIPs: ['None'], ports: [{ port: 80 }] }) },
    { name: 'ExternalName', service: service('a', { type: 'ExternalName', externalName: 'example.org' }) },
    {
      name: 'of another proxy',
      service: {
        metadata: { namespace: 'shop', name: 'a', labels: { 'service.kubernetes.io/service-proxy-name': 'other' } },
        spec: { clusterIPs: ['10.96.1.1'], ports: [{ port: 80 }] },
      },
    },
  ];
  for (const { name, service: one } of without) {
    it(`a Service that is ${name} has no frontend`, async () => {
      const found = cluster();
      found.put(one);
      await found.synced();
      assert.equal(found.frontends.size, 0);
      assert.equal(found.problems.size, 0);
    });
  }

  it('two Services with one address: the first keeps it, the second is a Problem, and gets it when the first goes', async () => {
    const other = service('other', { clusterIPs: ['10.96.4.7'], ports: [{ name: 'x', port: 80, protocol: 'TCP' }] });
    const found = await withCart();
    found.put(other);
    await found.settled();
    assert.equal(found.frontends.get('10.96.4.7:80/TCP')?.service, 'shop/cart');
    assert.deepEqual(
      [...found.problems.entries()].map(([, { object, reason }]) => [object, reason]),
      [['Service shop/other', 'FrontendTaken']],
    );
    found.forget(cart);
    await found.settled();
    assert.equal(found.frontends.get('10.96.4.7:80/TCP')?.service, 'shop/other');
    assert.equal(found.problems.size, 0);
  });

  it('what cannot be read of a Service is a Problem, and the rest of it is served', async () => {
    const found = cluster();
    found.put(
      service('bad', {
        clusterIPs: ['10.96.1.300', '10.96.1.3'],
        ports: [{ port: 0 }, { name: 'ok', port: 81 }, { name: 'x', port: 82, protocol: 'DCCP' }],
      }),
    );
    await found.synced();
    assert.deepEqual(
      [...found.frontends.entries()].map(([key]) => key),
      ['10.96.1.3:81/TCP'],
    );
    assert.match([...found.problems.entries()].map(([, { message }]) => message).join('\n'), /10\.96\.1\.300|"port":0|DCCP/);
  });
});

describe('numbers and slots', () => {
  it('one endpoint less moves at most one slot, whatever the size of the service', async () => {
    const addresses = Array.from({ length: 100 }, (_, i) => `10.244.1.${i + 1}`);
    const found = await withCart(slice('a', 'cart', addresses));
    const before = values(found.lbSlots);
    found.putSlice(slice('a', 'cart', addresses.toSpliced(7, 1)));
    await found.settled();
    const after = values(found.lbSlots);
    assert.equal(found.lbSlots.size, 99);
    assert.equal(Object.entries(after).filter(([key, { backend }]) => before[key]?.backend !== backend).length, 1);
  });

  it('an agent that starts again gives every frontend, backend and slot the numbers that the maps hold', async () => {
    const slices = [slice('a', 'cart', ['10.244.1.5', '10.244.2.6', '10.244.3.7'])];
    const first = await withCart(...slices);
    first.putSlice(slice('a', 'cart', ['10.244.2.6', '10.244.3.7']));
    await first.settled();
    const again = cluster(
      servicesBefore({ services: first.lbServices.entries(), slots: first.lbSlots.entries(), backends: first.lbBackends.entries() }),
    );
    again.put(service('newcomer', { clusterIPs: ['10.96.9.9'], ports: [{ name: 'http', port: 80 }] })); // seen first, gets a number of its own
    again.put(cart);
    again.putSlice(slice('a', 'cart', ['10.244.3.7', '10.244.2.6']));
    await again.synced();
    assert.deepEqual(values(again.lbBackends), values(first.lbBackends));
    assert.deepEqual(values(again.lbSlots), values(first.lbSlots));
    assert.deepEqual(again.lbServices.get('10.96.4.7:80/TCP'), first.lbServices.get('10.96.4.7:80/TCP'));
    assert.equal(new Set(Object.values(values(again.lbServices)).map(({ id }) => id)).size, again.lbServices.size);
  });

  it('before all EndpointSlices are known no service is said to have fewer backends than the kernel knows', async () => {
    const found = cluster();
    found.put(cart);
    await found.settled();
    assert.equal(found.lbServices.size, 0);
    assert.equal(found.lbServices.complete, false);
  });
});
