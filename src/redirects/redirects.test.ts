// SPDX-License-Identifier: Apache-2.0
// Policies, pods and Services by hand; redirects, sets and the entries of the maps.
import assert from 'node:assert/strict';
import { describe, it, test } from 'node:test';
import { systemClock } from '../base/clock.ts';
import { engine } from '../base/commit.ts';
import { cidr, ip } from '../base/ip.ts';
import { problemBook } from '../base/problem.ts';
import { randomFrom } from '../base/random.ts';
import { table } from '../base/table.ts';
import { mapKinds } from '../datapath/maps.ts';
import type { EndpointRow } from '../endpoints/endpoint.ts';
import { sink } from '../kube/source.ts';
import type { CiliumLocalRedirectPolicy, EndpointSlice, Pod, Service } from '../kube/types.ts';
import type { NodeAddress } from '../nodes/node-ports.ts';
import { servicesBefore } from '../services/before.ts';
import type { ServicesBefore } from '../services/before.ts';
import { serviceRows, sliceRows } from '../services/service.ts';
import { serviceTables } from '../services/tables.ts';
import { serviceSources } from '../services/sources.ts';
import { usualOptions } from '../services/testdata/options.ts';
import { localPodRows } from './local-pod.ts';
import { policyRows } from './policy.ts';
import { redirectTables, skipTables } from './tables.ts';

function node(before: ServicesBefore = servicesBefore({ services: [], slots: [], backends: [] })) {
  const problems = problemBook();
  const nodeAddresses = table<string, NodeAddress>('node_addresses');
  const ownAddresses = nodeAddresses.writer('test');
  ownAddresses.put('169.254.1.1', { address: ip('169.254.1.1') });
  ownAddresses.complete();
  const endpoints = table<string, EndpointRow>('endpoints', { indexes: { pod: (row) => [`${row.namespace}/${row.pod}`] } });
  const endpointWriter = endpoints.writer('test');
  const sources = serviceSources();
  const redirects = redirectTables(sources, problems);
  const services = serviceTables({ ...usualOptions, self: 'node1', sources, redirected: redirects, before, problems, nodeAddresses });
  for (const one of [services.hostPorts, services.ownNode]) one.writer('test').complete();
  const skips = skipTables(redirects, services, { endpoints, hostCookie: 7n });
  const sinks = {
    service: sink(sources.services.writer('test'), (one: Service) => serviceRows(one, ''), problems),
    slice: sink(sources.slices.writer('test'), (one: EndpointSlice) => sliceRows(one), problems),
    policy: sink(
      redirects.policies.writer('test'),
      (one: CiliumLocalRedirectPolicy) => policyRows(one, [cidr('169.254.0.0/16'), cidr('10.96.0.0/16')]),
      problems,
    ),
    pod: sink(redirects.pods.writer('test'), (one: Pod) => localPodRows(one), problems),
  };
  const derivations = [redirects, services, skips].flatMap((group) => group.derivations);
  const machine = engine({ derivations, walks: [], clock: systemClock });
  return {
    ...services,
    ...skips,
    sinks,
    endpoint: (row: Pick<EndpointRow, 'namespace' | 'pod' | 'interfaceIndex' | 'netnsCookie'>) =>
      endpointWriter.put(row.pod, row as EndpointRow), // as: what is read of it
    reasons: () => Array.from(problems.table.entries(), ([, { object, reason }]) => `${reason} ${object}`).toSorted(),
    async settle(kinds: readonly (keyof typeof sinks)[] = ['service', 'slice', 'policy', 'pod']) {
      for (const kind of kinds) sinks[kind].complete();
      endpointWriter.complete();
      await machine.settled();
    },
    /** 'frontend -> usual backends | redirected to how many'. */
    entries: () =>
      Array.from(services.lbServices.entries(), ([key, { value }]) => `${key} ${value.backends}|${value.redirectBackends}`).toSorted(),
    /** Addresses that a frontend is redirected to. */
    target(frontend: string) {
      const { redirect = 0, redirectBackends = 0 } = services.lbServices.get(frontend)?.value ?? {};
      return Array.from({ length: redirectBackends }, (_, slot) => {
        const id = services.lbSlots.get(mapKinds.lbSlots.text({ service: redirect, slot }))?.value.backend ?? 0;
        return String(services.lbBackends.get(mapKinds.lbBackends.text({ id }))?.value.address);
      }).toSorted((a, b) => (a < b ? -1 : 1));
    },
  };
}

const dns = { name: 'dns', port: 53, protocol: 'UDP' } as const;
const dnsTcp = { name: 'dns-tcp', port: 53, protocol: 'TCP' } as const;
const kubeDns: Service = {
  metadata: { namespace: 'kube-system', name: 'kube-dns' },
  spec: { clusterIPs: ['10.96.0.10', 'fd00:10:96::10'], ports: [dns, dnsTcp, { name: 'metrics', port: 9153, protocol: 'TCP' }] },
};
/** At port 53 of each address of the node. */
const onNodes: Service = {
  metadata: { namespace: 'shop', name: 'on-nodes' },
  spec: { type: 'NodePort', clusterIPs: ['10.96.0.11'], ports: [{ ...dns, nodePort: 53 }] },
};
const coredns: EndpointSlice = {
  metadata: { namespace: 'kube-system', name: 'kube-dns-1', labels: { 'kubernetes.io/service-name': 'kube-dns' } },
  addressType: 'IPv4',
  ports: [dns, dnsTcp],
  endpoints: [{ addresses: ['10.244.2.9'] }],
};
type Spec = NonNullable<CiliumLocalRedirectPolicy['spec']>;
const ports = [
  { name: 'dns', port: '53', protocol: 'UDP' },
  { name: 'DNS-TCP', port: '53', protocol: 'TCP' },
];
const cacheSelector = { matchLabels: { app: 'cache' } };
const toKubeDns: Spec = {
  redirectFrontend: { serviceMatcher: { serviceName: 'kube-dns', namespace: 'kube-system' } },
  redirectBackend: { localEndpointSelector: cacheSelector, toPorts: ports },
  skipRedirectFromBackend: true,
};
const toAddress = (address: string, ...more: readonly object[]): Spec => ({
  redirectFrontend: { addressMatcher: { ip: address, toPorts: [{ port: '53', protocol: 'UDP' }, ...more] } },
  redirectBackend: { localEndpointSelector: cacheSelector, toPorts: [{ port: '53', protocol: 'UDP' }] },
});
const policy = (name: string, spec: Spec, creationTimestamp = '2030-01-01T00:00:00Z'): CiliumLocalRedirectPolicy => ({
  metadata: { namespace: 'kube-system', name, creationTimestamp },
  spec,
});

type State = 'ready' | 'not ready' | 'ending' | 'done';
function cache(name: string, address: string, state: State = 'ready', declared = ['UDP', 'TCP']): Pod {
  return {
    metadata: {
      namespace: 'kube-system',
      name,
      labels: { app: 'cache' },
      ...(state === 'ending' && { deletionTimestamp: '2030-01-01T00:00:00Z' }),
    },
    spec: { containers: [{ name: 'cache', ports: declared.map((protocol) => ({ containerPort: 53, protocol })) }] },
    status: {
      phase: state === 'done' ? 'Succeeded' : 'Running',
      podIPs: [{ ip: address }],
      conditions: [{ type: 'Ready', status: state === 'not ready' ? 'False' : 'True' }],
    },
  };
}

async function withCache(spec: Spec, pods: readonly Pod[] = [cache('cache-1', '10.244.1.5')]) {
  const found = node();
  found.sinks.service.read(kubeDns)('kube-dns');
  found.sinks.slice.read(coredns)('coredns');
  found.sinks.policy.read(policy('local', spec))('local');
  for (const pod of pods) found.sinks.pod.read(pod)(pod.metadata.name);
  await found.settle();
  return found;
}

describe('a policy of a Service', () => {
  it('redirects the ports that its own have a name for, in the families that the pod has', async () => {
    const found = await withCache(toKubeDns);
    assert.deepEqual(found.entries(), [
      '10.96.0.10:53/TCP 1|1',
      '10.96.0.10:53/UDP 1|1',
      '10.96.0.10:9153/TCP 0|0',
      '[fd00:10:96::10]:53/TCP 0|0',
      '[fd00:10:96::10]:53/UDP 0|0',
      '[fd00:10:96::10]:9153/TCP 0|0',
    ]);
    assert.deepEqual(found.target('10.96.0.10:53/UDP'), ['10.244.1.5']);
    assert.deepEqual(found.reasons(), []);
  });

  const states: readonly [state: State, redirected: number, draining: number][] = [
    ['ready', 1, 0],
    ['not ready', 0, 0],
    ['ending', 0, 1],
    ['done', 0, 0],
  ];
  for (const [state, redirected, draining] of states)
    it(`leads to ${redirected} pods and lets ${draining} finish where the only one is ${state}`, async () => {
      const found = await withCache(toKubeDns, [cache('cache-1', '10.244.1.5', state)]);
      assert.equal(found.target('10.96.0.10:53/UDP').length, redirected);
      assert.equal(found.sets.get('kube-system/local:local-redirect/53/UDP/IPv4')?.draining.length, draining);
      assert.equal(found.lbServices.get('10.96.0.10:53/UDP')?.value.backends, 1);
    });

  it('gives a replacement what the pod that ends had, and nothing before it is ready', async () => {
    const found = await withCache(toKubeDns);
    const put = async (pod: Pod) => {
      found.sinks.pod.read(pod)(pod.metadata.name);
      await found.settle();
      return found.target('10.96.0.10:53/UDP');
    };
    const id = found.lbServices.get('10.96.0.10:53/UDP')?.value.redirect;
    assert.deepEqual(await put(cache('cache-2', '10.244.1.6', 'not ready')), ['10.244.1.5']);
    assert.deepEqual(await put(cache('cache-1', '10.244.1.5', 'ending')), []);
    assert.deepEqual(await put(cache('cache-2', '10.244.1.6')), ['10.244.1.6']);
    assert.equal(found.lbServices.get('10.96.0.10:53/UDP')?.value.redirect, id);
  });

  it('exempts its pods by namespace and interface, ready or not, where it says so', async () => {
    const found = await withCache(toKubeDns, [cache('cache-1', '10.244.1.5', 'not ready')]);
    found.endpoint({ namespace: 'kube-system', pod: 'cache-1', interfaceIndex: 21, netnsCookie: '4711' });
    found.endpoint({ namespace: 'kube-system', pod: 'other', interfaceIndex: 22, netnsCookie: '4712' });
    await found.settle();
    const clients = Array.from(found.lbSkips.entries(), ([key]) => key.slice(0, key.lastIndexOf('/')));
    assert.deepEqual([...new Set(clients)].toSorted(), ['INTERFACE/21', 'NETNS/4711']);
    const ids = Array.from(found.lbSkips.entries(), ([, { key }]) => key.service);
    assert.ok(ids.includes(found.lbServices.get('10.96.0.10:53/UDP')?.value.redirect ?? -1));
    found.sinks.policy.forget('local');
    await found.settle();
    assert.equal(found.lbSkips.size, 0);
    assert.deepEqual(found.entries()[0], '10.96.0.10:53/TCP 1|0');
  });

  it('of a Service that comes and goes comes and goes with it', async () => {
    const found = await withCache(toKubeDns);
    found.sinks.service.forget('kube-dns');
    await found.settle();
    assert.deepEqual(found.entries(), []);
    assert.deepEqual(found.reasons(), ['NoService CiliumLocalRedirectPolicy kube-system/local']);
    found.sinks.service.read(kubeDns)('kube-dns');
    await found.settle();
    assert.equal(found.target('10.96.0.10:53/TCP').length, 1);
    assert.deepEqual(found.reasons(), []);
  });
});

describe('a policy of an address', () => {
  it("serves its port there while a pod is ready, and marks the address as somebody else's", async () => {
    const found = await withCache(toAddress('169.254.20.10'));
    assert.deepEqual(found.target('169.254.20.10:53/UDP'), ['10.244.1.5']);
    assert.equal(found.lbAddresses.get('169.254.20.10')?.value.flags, 8);
    const pod = cache('cache-1', '10.244.1.5', 'not ready');
    found.sinks.pod.read(pod)('cache-1');
    await found.settle();
    assert.equal(found.lbServices.has('169.254.20.10:53/UDP'), false);
  });

  it('loses against a Service that has the address and port, and gets them when that goes', async () => {
    const found = await withCache(toAddress('169.254.20.10'));
    const owner: Service = { metadata: { namespace: 'shop', name: 'owner' }, spec: { clusterIPs: ['169.254.20.10'], ports: [dns] } };
    found.sinks.service.read(owner)('owner');
    await found.settle();
    assert.deepEqual(found.reasons(), ['FrontendTaken CiliumLocalRedirectPolicy kube-system/local']);
    assert.equal(found.lbServices.get('169.254.20.10:53/UDP')?.value.redirectBackends, 0);
    assert.equal(found.lbAddresses.get('169.254.20.10')?.value.flags, 1);
    found.sinks.service.forget('owner');
    await found.settle();
    assert.deepEqual(found.reasons(), []);
    assert.deepEqual(found.target('169.254.20.10:53/UDP'), ['10.244.1.5']);
    assert.equal(found.lbAddresses.get('169.254.20.10')?.value.flags, 8);
  });

  it('loses against a node port where the address is one of the node, and gets it when that goes', async () => {
    const found = await withCache(toAddress('169.254.1.1'));
    assert.deepEqual(found.target('169.254.1.1:53/UDP'), ['10.244.1.5']);
    found.sinks.service.read(onNodes)('on-nodes');
    await found.settle();
    assert.deepEqual(found.reasons(), ['FrontendTaken CiliumLocalRedirectPolicy kube-system/local']);
    assert.equal(found.lbServices.has('169.254.1.1:53/UDP'), false);
    found.sinks.service.forget('on-nodes');
    await found.settle();
    assert.deepEqual(found.reasons(), []);
    assert.deepEqual(found.target('169.254.1.1:53/UDP'), ['10.244.1.5']);
  });

  it('gives way to an older policy of the same frontend, whichever was heard of first', async () => {
    const found = await withCache(toAddress('169.254.20.10'));
    found.sinks.policy.read(policy('older', toAddress('169.254.20.10'), '2029-01-01T00:00:00Z'))('older');
    await found.settle();
    assert.deepEqual(found.reasons(), ['RedirectTaken CiliumLocalRedirectPolicy kube-system/local']);
    assert.equal(found.redirects.get('169.254.20.10:53/UDP')?.policy, 'kube-system/older');
    found.sinks.policy.forget('older');
    await found.settle();
    assert.equal(found.redirects.get('169.254.20.10:53/UDP')?.policy, 'kube-system/local');
    assert.deepEqual(found.target('169.254.20.10:53/UDP'), ['10.244.1.5']);
  });
});

const wrong: readonly [what: string, spec: Spec, reason: string][] = [
  ['no frontend', { redirectBackend: toKubeDns.redirectBackend ?? {} }, 'InvalidField'],
  ['an address that is none', toAddress('169.254.20'), 'InvalidField'],
  ['a loopback address', toAddress('127.0.0.1'), 'InvalidField'],
  ['an address outside addressMatcherCIDRs', toAddress('192.0.2.1'), 'InvalidField'],
  [
    'another namespace',
    { ...toKubeDns, redirectFrontend: { serviceMatcher: { serviceName: 'kube-dns', namespace: 'shop' } } },
    'InvalidField',
  ],
  [
    'no such Service',
    { ...toKubeDns, redirectFrontend: { serviceMatcher: { serviceName: 'dns', namespace: 'kube-system' } } },
    'NoService',
  ],
  ['several ports without names', toAddress('169.254.20.10', { port: '54', protocol: 'UDP' }), 'InvalidField'],
  [
    'a port that is none',
    { ...toKubeDns, redirectBackend: { localEndpointSelector: cacheSelector, toPorts: [{ port: '0', protocol: 'TCP' }] } },
    'InvalidField',
  ],
  [
    'a selector that is none',
    { ...toKubeDns, redirectBackend: { localEndpointSelector: { matchLabels: { 'a b': '' } }, toPorts: ports } },
    'InvalidField',
  ],
  ['no selector', { ...toKubeDns, redirectBackend: { toPorts: ports } }, 'InvalidField'],
  [
    'two protocols',
    {
      ...toAddress('169.254.20.10'),
      redirectBackend: { localEndpointSelector: cacheSelector, toPorts: [{ port: '53', protocol: 'TCP' }] },
    },
    'UnpairedPorts',
  ],
  [
    'a port that the Service does not have',
    {
      ...toKubeDns,
      redirectFrontend: {
        serviceMatcher: { serviceName: 'kube-dns', namespace: 'kube-system', toPorts: [{ port: '54', protocol: 'UDP' }] },
      },
    },
    'NoServicePort',
  ],
];
for (const [what, spec, reason] of wrong)
  test(`a policy with ${what} is a Problem and redirects nothing`, async () => {
    const found = await withCache(spec);
    assert.deepEqual(found.reasons(), [`${reason} CiliumLocalRedirectPolicy kube-system/local`]);
    assert.equal(found.redirects.size, 0);
    assert.ok(found.entries().every((entry) => entry.endsWith('|0')));
  });

test('a pod that does not declare the port is a Problem, and nobody is led to it', async () => {
  const found = await withCache(toKubeDns, [cache('cache-1', '10.244.1.5', 'ready', ['UDP'])]);
  assert.deepEqual(found.reasons(), ['PortNotDeclared CiliumLocalRedirectPolicy kube-system/local']);
  assert.deepEqual([found.target('10.96.0.10:53/UDP').length, found.target('10.96.0.10:53/TCP').length], [1, 0]);
});

test('an agent that has not heard of policies and pods yet leaves what is redirected, and keeps its number', async () => {
  const key = { address: ip('10.96.0.10'), port: 53, protocol: 17 };
  const value = { id: 3, backends: 1, affinity: 0, outside: 0, outsideBackends: 0, flags: 0, redirect: 9, redirectBackends: 1 };
  const before = servicesBefore({ services: [['', { key, value }]], slots: [], backends: [] });
  const found = node(before);
  found.sinks.service.read(kubeDns)('kube-dns');
  found.sinks.slice.read(coredns)('coredns');
  await found.settle(['service', 'slice']);
  assert.equal(found.lbServices.has('10.96.0.10:53/UDP'), false);
  assert.equal(found.lbServices.has('10.96.0.10:53/TCP'), true);
  assert.equal(found.lbServices.complete || found.lbSlots.complete, false);
  found.sinks.policy.read(policy('local', toKubeDns))('local');
  await found.settle(['policy']);
  assert.equal(found.lbServices.has('10.96.0.10:53/UDP'), false);
  const pod = cache('cache-1', '10.244.1.5');
  found.sinks.pod.read(pod)('cache-1');
  await found.settle(['pod']);
  const entry = found.lbServices.get('10.96.0.10:53/UDP')?.value;
  assert.deepEqual([entry?.redirect, entry?.redirectBackends], [9, 1]);
  assert.ok(found.lbServices.complete && found.lbSlots.complete && found.lbSkips.complete);
});

test('what was redirected and is not any more is served as usual once that is known; without policies nobody waits for pods', async () => {
  const key = { address: ip('10.96.0.10'), port: 53, protocol: 17 };
  const value = { id: 3, backends: 1, affinity: 0, outside: 0, outsideBackends: 0, flags: 0, redirect: 9, redirectBackends: 1 };
  const found = node(servicesBefore({ services: [['', { key, value }]], slots: [], backends: [] }));
  found.sinks.service.read(kubeDns)('kube-dns');
  await found.settle(['service', 'slice', 'policy']);
  assert.equal(found.lbServices.get('10.96.0.10:53/UDP')?.value.redirect, 0);
  assert.ok(found.lbServices.complete && found.lbSlots.complete);
});

test('whatever comes and goes in whatever order, the tables are those of an agent that begins with the end', async () => {
  const random = randomFrom(Number(process.env['STENTOR_SEED'] ?? 42));
  const pods = [
    ['a', '10.244.1.5'],
    ['b', '10.244.1.6'],
    ['c', '10.244.1.7'],
  ] as const;
  let redirected = 0;
  const specs = [
    toKubeDns,
    toAddress('169.254.20.10'),
    toAddress('169.254.20.11'),
    toAddress('10.96.0.10'),
    toAddress('169.254.1.1'),
  ] as const;
  for (let round = 0; round < 60; round++) {
    const [worn, objects] = [node(), new Map<string, (fresh: ReturnType<typeof node>) => void>()];
    for (let step = 0; step < 40; step++) {
      const kind = random.pick(['service', 'policy', 'pod', 'pod'] as const);
      const [name, address] = random.pick<readonly [string, string]>(pods);
      const [spec, state, created] = [
        random.pick(specs),
        random.pick(['ready', 'not ready', 'ending', 'done'] as const),
        random.pick([1, 2, 3]),
      ];
      const one = random.pick([kubeDns, onNodes]);
      const id = kind === 'service' ? one.metadata.name : name;
      const put = (of: ReturnType<typeof node>) => {
        if (kind === 'service') of.sinks.service.read(one)(id);
        else if (kind === 'policy') of.sinks.policy.read(policy(name, spec, `203${created}-01-01T00:00:00Z`))(id);
        else of.sinks.pod.read(cache(name, address, state))(id);
      };
      if (random.chance(0.3)) {
        objects.delete(`${kind} ${id}`);
        worn.sinks[kind].forget(id);
      } else {
        objects.set(`${kind} ${id}`, put);
        put(worn);
      }
      if (random.chance(0.3)) await worn.settle();
    }
    await worn.settle();
    const fresh = node();
    for (const put of objects.values()) put(fresh);
    await fresh.settle();
    const flags = (of: typeof fresh) => Object.fromEntries(Array.from(of.lbAddresses.entries(), ([key, { value }]) => [key, value.flags]));
    const frontends = (of: typeof fresh) => of.entries().map((entry) => [entry, of.target(entry.slice(0, entry.indexOf(' '))).join()]);
    assert.deepEqual(frontends(worn), frontends(fresh), `round ${round}`);
    assert.deepEqual(worn.reasons(), fresh.reasons(), `round ${round}`);
    assert.deepEqual(flags(worn), flags(fresh), `round ${round}`);
    redirected += fresh.entries().filter((entry) => !entry.endsWith('|0')).length;
  }
  assert.ok(redirected > 20, `${redirected} frontends were redirected in the end`);
});
