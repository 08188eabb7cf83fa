// SPDX-License-Identifier: Apache-2.0
// What of a Service reaches the wire, as rows of the maps.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LbServiceFlag } from '../datapath/schema.gen.ts';
import type { Service } from '../kube/types.ts';
import { cluster, slice, values } from './testdata/cluster.ts';

type Spec = Service['spec'] & object;

const ingress = { status: { loadBalancer: { ingress: [{ ip: '192.0.2.217' }, { ip: '2001:db8::217' }] } } };

/** Service shop/cart of type LoadBalancer with a load balancer IP of each family. */
function balanced(spec: Partial<Spec>, annotations: Readonly<Record<string, string>> = {}): Service {
  const ports = [{ name: 'http', port: 80, nodePort: 30_080 }];
  const clusterIPs = ['10.96.4.7', 'fd00:10:96::7'];
  return {
    metadata: { namespace: 'shop', name: 'cart', annotations },
    spec: { type: 'LoadBalancer', clusterIPs, ports, externalIPs: ['192.0.2.9'], ...spec },
    ...ingress,
  };
}

async function tablesOf(one: Service, options: Parameters<typeof cluster>[1] = {}) {
  const found = cluster(undefined, options);
  found.put(one);
  found.putSlice(slice('a', 'cart', ['10.244.1.5']));
  await found.synced();
  return found;
}

const { sourceRanges, sourceRangesDeny } = LbServiceFlag;

describe('loadBalancerSourceRanges', () => {
  const checked = async (...given: Parameters<typeof tablesOf>) => {
    const found = await tablesOf(...given);
    const flags = Object.entries(values(found.lbServices)).map(([key, value]) => [key, value.flags & (sourceRanges | sourceRangesDeny)]);
    return { found, flags: Object.fromEntries(flags.filter(([, value]) => value !== 0)) };
  };
  const both = { loadBalancerSourceRanges: ['203.0.113.0/24', ' 198.51.100.7/32 ', '2001:db8:ffff::/48'] };

  it('is asked of load balancer IPs alone, in both families, by prefixes of each', async () => {
    const { found, flags } = await checked(balanced(both));
    assert.deepEqual(flags, { '192.0.2.217:80/TCP': sourceRanges, '[2001:db8::217]:80/TCP': sourceRanges });
    const idOf = (key: string) => found.lbServices.get(key)?.value.outside;
    const [v4, v6] = [idOf('192.0.2.217:80/TCP'), idOf('[2001:db8::217]:80/TCP')];
    assert.deepEqual(Object.keys(values(found.lbSourceRanges)).toSorted(), [
      `${v4} 198.51.100.7/128`,
      `${v4} 203.0.113.0/120`,
      `${v6} 2001:db8:ffff::/48`,
    ]);
    assert.equal(found.problems.size, 0);
  });

  it('is asked of node ports and external IPs, too, with bpf.lbSourceRangeAllTypes', async () => {
    const { flags } = await checked(balanced(both), { rangesOfAllTypes: true });
    assert.deepEqual(Object.keys(flags).toSorted(), [
      '0.0.0.0:30080/TCP',
      '192.0.2.217:80/TCP',
      '192.0.2.9:80/TCP',
      '[2001:db8::217]:80/TCP',
      '[::]:30080/TCP',
    ]);
  });

  it('is turned round by the annotation src-ranges-policy: deny', async () => {
    const { flags } = await checked(balanced(both, { 'service.cilium.io/src-ranges-policy': 'deny' }));
    assert.equal(flags['192.0.2.217:80/TCP'], sourceRanges | sourceRangesDeny);
  });

  it('holds for clients of the set that the wire has, which externalTrafficPolicy: Local makes another one', async () => {
    const { found } = await checked(balanced({ ...both, externalTrafficPolicy: 'Local' }));
    const { id, outside } = found.lbServices.get('192.0.2.217:80/TCP')?.value ?? {};
    assert.notEqual(id, outside);
    assert.ok(found.lbSourceRanges.has(`${outside} 203.0.113.0/120`) && !found.lbSourceRanges.has(`${id} 203.0.113.0/120`));
  });

  it('lets nobody in by a prefix or a policy that cannot be read, and says so', async () => {
    const { found, flags } = await checked(balanced({ loadBalancerSourceRanges: ['203.0.113.0/33'] }));
    const word = await checked(balanced(both, { 'service.cilium.io/src-ranges-policy': 'block' }));
    for (const one of [flags, word.flags]) assert.equal(one['192.0.2.217:80/TCP'], sourceRanges, 'they are asked all the same');
    assert.equal(found.lbSourceRanges.size, 0);
    const texts = [found, word.found].flatMap(({ problems }) =>
      Array.from(problems.entries(), ([, { reason, message }]) => `${reason}: ${message}`),
    );
    assert.deepEqual(texts, [
      'InvalidField: spec.loadBalancerSourceRanges has 203.0.113.0/33, wanted a prefix such as 192.168.0.0/16',
      'InvalidField: annotation service.cilium.io/src-ranges-policy has block, wanted allow or deny (allow is in effect)',
    ]);
  });

  it('is nothing to a Service that is not of type LoadBalancer, or names none', async () => {
    for (const spec of [{ ...both, type: 'NodePort' }, { loadBalancerSourceRanges: [] }])
      assert.deepEqual((await checked(balanced(spec))).flags, {});
  });

  it('goes with its Service, and takes no prefix of another along', async () => {
    const { found } = await checked(balanced(both));
    const before = found.lbSourceRanges.size;
    found.put({
      ...balanced({ ...both, clusterIPs: ['10.96.4.8'], externalIPs: [] }),
      metadata: { namespace: 'shop', name: 'other' },
      status: { loadBalancer: { ingress: [{ ip: '192.0.2.218' }] } },
    });
    await found.settled();
    assert.ok(found.lbSourceRanges.size > before);
    found.forget(balanced(both));
    await found.settled();
    const id = found.lbServices.get('192.0.2.218:80/TCP')?.value.outside;
    assert.deepEqual(Object.keys(values(found.lbSourceRanges)).toSorted(), [`${id} 198.51.100.7/128`, `${id} 203.0.113.0/120`]);
  });
});

describe('health checks for balancers outside', () => {
  const local = { externalTrafficPolicy: 'Local', healthCheckNodePort: 31_090 };
  const here = { nodeName: 'node1' };
  const checked = async (spec: Partial<Spec>, endpoints: readonly object[], options: Parameters<typeof cluster>[1] = {}) => {
    const found = cluster(undefined, options);
    found.put(balanced(spec));
    found.putSlice({ ...slice('a', 'cart', []), endpoints: endpoints.map((one, i) => ({ addresses: [`10.244.1.${i + 1}`], ...one })) });
    await found.synced();
    return Array.from(found.healthChecks.entries(), ([key, { service, endpoints: count }]) => [key, service, count]);
  };

  it('are at the node addresses and count ready endpoints of this node', async () => {
    const unready = { ...here, conditions: { ready: false, serving: true, terminating: true } };
    assert.deepEqual(await checked(local, [here, here, unready, { nodeName: 'node2' }]), [['192.168.0.11:31090', 'shop/cart', 2]]);
  });

  it('are there without endpoints, node ports and addresses, too: somebody asks before there are any', async () => {
    assert.deepEqual(await checked({ ...local, externalIPs: [], ports: [{ name: 'http', port: 80 }] }, []), [
      ['192.168.0.11:31090', 'shop/cart', 0],
    ]);
  });

  it('are asked at load balancer IPs, too, with nodePort.enableHealthCheckLoadBalancerIP: whoever has the address answers for itself', async () => {
    const ranged = { loadBalancerSourceRanges: ['203.0.113.0/24'] };
    const asked = async (spec: Partial<Spec>, options: Parameters<typeof cluster>[1]) => {
      const found = await tablesOf(balanced(spec), options);
      const backends = Array.from(found.frontends.entries())
        .filter(([, { port }]) => port === 31_090)
        .map(([key, { outside }]) => [
          key,
          ...(found.sets.get(outside ?? '')?.backends ?? []).map(({ address, port }) => `${address}:${port}`),
        ]);
      return {
        backends,
        flags: found.lbServices.get('192.0.2.217:31090/TCP')?.value.flags ?? 0,
        guards: found.lbAddresses.get('192.0.2.217')?.value.guards,
      };
    };
    const on = await asked({ ...local, ...ranged }, { healthOnVips: true });
    assert.deepEqual(on.backends, [['192.0.2.217:31090/TCP', '192.168.0.11:31090']]);
    assert.ok(on.flags & sourceRanges, 'source ranges hold there, too');
    assert.ok((on.guards?.[0] ?? 0) > 0 && on.guards?.[1] === 0, 'and for the address as a whole as before');
    assert.deepEqual((await asked(local, {})).backends, []);
    assert.deepEqual((await asked(local, { healthOnVips: true, answersHealthChecks: false })).backends, []);
    assert.deepEqual((await asked({ ...local, externalTrafficPolicy: 'Cluster' }, { healthOnVips: true })).backends, []);
    const own = { ...local, ports: [{ name: 'http', port: 31_090 }] };
    const [taken] = (await asked(own, { healthOnVips: true })).backends.filter(([key]) => key?.startsWith('192.0.2.217'));
    assert.deepEqual(taken, ['192.0.2.217:31090/TCP'], 'a port of the Service goes before it');
  });

  it('are none with externalTrafficPolicy: Cluster, or where nodePort.enableHealthCheck is false', async () => {
    assert.deepEqual(await checked({ ...local, externalTrafficPolicy: 'Cluster' }, [here]), []);
    assert.deepEqual(await checked(local, [here], { answersHealthChecks: false }), []);
  });
});

describe('service.cilium.io annotations', () => {
  const typed = async (type: string) => {
    const found = await tablesOf(balanced({}, { 'service.cilium.io/type': type }));
    const kinds = new Set(Array.from(found.frontends.entries(), ([, row]) => row.type));
    return { kinds: [...kinds].toSorted(), problems: found.problems.size };
  };
  const cases: readonly [type: string, kinds: readonly string[], problems?: number][] = [
    ['ClusterIP', ['ClusterIP', 'ExternalIPs']],
    ['NodePort', ['ExternalIPs', 'NodePort']],
    ['LoadBalancer', ['ExternalIPs', 'LoadBalancer']],
    ['ClusterIP, LoadBalancer', ['ClusterIP', 'ExternalIPs', 'LoadBalancer']],
    ['LoadBalancer,Nodeport', ['ExternalIPs', 'LoadBalancer'], 1],
  ];
  for (const [type, kinds, problems = 0] of cases)
    it(`type ${type} leaves ${kinds.join(', ')}${problems > 0 ? ', and a Problem' : ''}`, async () => {
      assert.deepEqual(await typed(type), { kinds, problems });
    });

  it('that say nothing here are a Problem, and those that do are none', async () => {
    const read = {
      'service.cilium.io/forwarding-mode': 'snat',
      'service.cilium.io/lb-algorithm': 'random',
      'example.com/lb-l7': 'enabled',
    };
    assert.equal((await tablesOf(balanced({}, read))).problems.size, 0);
    const idle = ['lb-l7: disabled', 'global: false', 'shared: true', 'affinity: none'].map((one) => one.split(': '));
    const quiet = Object.fromEntries(idle.map(([key, value]) => [`service.cilium.io/${key}`, value ?? '']));
    assert.equal((await tablesOf(balanced({}, quiet))).problems.size, 0);
    const asked = { 'service.cilium.io/lb-l7': 'enabled', 'service.cilium.io/nodes': 'edge', 'service.cilium.io/global': 'true' };
    const found = await tablesOf(balanced({}, { ...read, ...asked }));
    assert.deepEqual(
      Array.from(found.problems.entries(), ([, { reason, message }]) => [reason, ...message.split('; ')]),
      [
        [
          'AnnotationWithoutEffect',
          'service.cilium.io/global: true is about several clusters, and there is but this one',
          'service.cilium.io/lb-l7: enabled wants requests to be balanced, which only a proxy can: connections are',
          'service.cilium.io/nodes: edge is unknown here, or misspelt',
        ],
      ],
    );
  });

  it('proxy-delegation marks what the wire reaches, and a word that is none is a Problem', async () => {
    const delegated = async (word: string) => {
      const found = await tablesOf(balanced({}, { 'service.cilium.io/proxy-delegation': word }));
      const all = Array.from(found.lbServices.entries()).filter(([, { value }]) => (value.flags & LbServiceFlag.delegate) !== 0);
      return [all.map(([key]) => key).toSorted(), found.problems.size];
    };
    const outside = ['0.0.0.0:30080/TCP', '192.0.2.217:80/TCP', '192.0.2.9:80/TCP', '[2001:db8::217]:80/TCP', '[::]:30080/TCP'];
    assert.deepEqual(await delegated('delegate-if-local'), [outside, 0]);
    assert.deepEqual(await delegated('none'), [[], 0]);
    assert.deepEqual(await delegated('always'), [[], 1]);
  });
});
