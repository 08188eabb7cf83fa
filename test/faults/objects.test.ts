// SPDX-License-Identifier: Apache-2.0
// Objects that no agent should ever see, and an API that fails: one Problem each, and nothing else happens.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { ofFamily } from '../../sandbox/checks/check.ts';
import { httpGet, udpEcho, url } from '../../sandbox/checks/traffic.ts';
import { kubectlIn } from '../../sandbox/kubectl.ts';
import { podsIn } from '../../sandbox/objects.ts';
import { run } from '../../sandbox/run.ts';
import { until } from '../../sandbox/until.ts';
import type { ProblemRow } from '../../src/agent/api-types.ts';
import { agentReady, checkout, differencesOn, faultyCluster, problemsOn, skip, statusOn } from './cluster.ts';

const faulty = faultyCluster('faultso');
const NAMESPACE = 'faults';

type Thing = {
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels?: Readonly<Record<string, string>> };
  readonly [field: string]: unknown;
};
type Bad = {
  readonly what: string;
  readonly resource: 'services' | 'endpointslices.discovery.k8s.io' | 'nodes';
  readonly bad: Thing;
  /** The same object, corrected. */
  readonly good: Thing;
  readonly wants: { readonly object: string; readonly reason: string; readonly message: RegExp };
};

const port = { name: 'http', protocol: 'TCP', port: 80 };
const service = (name: string, spec: object): Thing => ({
  metadata: { name, namespace: NAMESPACE },
  spec: { type: 'ClusterIP', clusterIPs: ['10.96.200.1'], ports: [port], ...spec },
});
const slice = (
  name: string,
  fields: object,
  labels: Readonly<Record<string, string>> = { 'kubernetes.io/service-name': 'any' },
): Thing => ({
  metadata: { name, namespace: NAMESPACE, labels },
  addressType: 'IPv4',
  endpoints: [{ addresses: ['10.244.9.9'], conditions: { ready: true } }],
  ports: [port],
  ...fields,
});
const node = (name: string, spec: object, address = '192.168.0.77'): Thing => ({
  metadata: { name },
  spec,
  status: { addresses: [{ type: 'InternalIP', address }] },
});

const slices = 'endpointslices.discovery.k8s.io';
const goodNode = node('node9', { podCIDR: '10.244.99.0/24', podCIDRs: ['10.244.99.0/24'] });
const objects: readonly Bad[] = [
  {
    what: 'a Service with an address that is none',
    resource: 'services',
    bad: service('bad-ip', { clusterIPs: ['10.96.1.300'] }),
    good: service('bad-ip', {}),
    wants: { object: 'Service faults/bad-ip', reason: 'InvalidField', message: /clusterIPs has 10\.96\.1\.300, wanted an IP address/ },
  },
  {
    what: 'a Service with port 0',
    resource: 'services',
    bad: service('port0', { ports: [{ ...port, port: 0 }] }),
    good: service('port0', {}),
    wants: { object: 'Service faults/port0', reason: 'InvalidField', message: /"port":0.*wanted a port from 1/ },
  },
  {
    what: 'a Service with an unknown protocol',
    resource: 'services',
    bad: service('icmp', { ports: [{ ...port, protocol: 'ICMP' }] }),
    good: service('icmp', {}),
    wants: { object: 'Service faults/icmp', reason: 'InvalidField', message: /ICMP/ },
  },
  {
    what: 'a Service whose ports are no list',
    resource: 'services',
    bad: service('number', { ports: 7 }),
    good: service('number', {}),
    wants: { object: 'Service faults/number', reason: 'UnreadableObject', message: /iterable/ },
  },
  {
    what: 'a slice with an address that is none',
    resource: slices,
    bad: slice('no-ip', { endpoints: [{ addresses: ['10.244.9'] }] }),
    good: slice('no-ip', {}),
    wants: {
      object: 'EndpointSlice faults/no-ip',
      reason: 'InvalidField',
      message: /endpoints has \["10\.244\.9"\], wanted an IPv4 address/,
    },
  },
  {
    what: 'a slice with port 0',
    resource: slices,
    bad: slice('zero', { ports: [{ ...port, port: 0 }] }),
    good: slice('zero', {}),
    wants: { object: 'EndpointSlice faults/zero', reason: 'InvalidField', message: /"port":0/ },
  },
  {
    what: 'a slice with an unknown protocol',
    resource: slices,
    bad: slice('proto', { ports: [{ ...port, protocol: 'tcp' }] }),
    good: slice('proto', {}),
    wants: { object: 'EndpointSlice faults/proto', reason: 'InvalidField', message: /"tcp"/ },
  },
  {
    what: 'a slice without a Service',
    resource: slices,
    bad: slice('nobodys', {}, {}),
    good: slice('nobodys', {}),
    wants: { object: 'EndpointSlice faults/nobodys', reason: 'NoService', message: /label kubernetes\.io\/service-name is missing/ },
  },
  {
    what: 'a slice of names',
    resource: slices,
    bad: slice('fqdn', { addressType: 'FQDN' }),
    good: slice('fqdn', {}),
    wants: { object: 'EndpointSlice faults/fqdn', reason: 'UnsupportedAddressType', message: /FQDN, wanted IPv4 or IPv6/ },
  },
  {
    what: 'a Node with a podCIDR that is none',
    resource: 'nodes',
    bad: node('node9', { podCIDR: '10.244.300.0/24', podCIDRs: ['10.244.300.0/24'] }),
    good: goodNode,
    wants: { object: 'Node node9', reason: 'InvalidPodCidr', message: /10\.244\.300\.0\/24/ },
  },
  {
    what: 'a Node without a podCIDR',
    resource: 'nodes',
    bad: node('node9', { podCIDR: '', podCIDRs: [] }),
    good: goodNode,
    wants: { object: 'Node node9', reason: 'NoPodCidr', message: /spec\.podCIDRs is empty/ },
  },
  {
    what: 'a Node on another segment',
    resource: 'nodes',
    bad: node('node9', { podCIDR: '10.244.99.0/24', podCIDRs: ['10.244.99.0/24'] }, '198.51.100.9'),
    good: goodNode,
    wants: { object: 'Node node9', reason: 'NotOnSegment', message: /no segment in common.*10\.244\.99\.0\/24 behind 198\.51\.100\.9/ },
  },
  {
    what: "a Node whose podCIDR holds the others'",
    resource: 'nodes',
    bad: node('node9', { podCIDR: '10.244.0.0/16', podCIDRs: ['10.244.0.0/16'] }),
    good: goodNode,
    wants: {
      object: 'Node node9',
      reason: 'PodCidrOverlaps',
      message: /10\.244\.0\.0\/16, which overlaps 10\.244\.[123]\.0\/24 of Node node/,
    },
  },
];

const about = async (object: string): Promise<readonly ProblemRow[]> =>
  (await problemsOn(faulty().node('node1'))).filter((row) => row.object === object);

/** The one Problem of an object, which is the wanted one. What is said of its parts comes with several commits: a look between them sees less. */
async function theProblem(object: string, reason: string): Promise<ProblemRow | undefined> {
  let rows: readonly ProblemRow[] = [];
  const only = async () => (rows = await about(object)).length === 1 && rows[0]?.reason === reason;
  await until(`only ${reason} of ${object}`, 3000, only).catch(() => assert.deepEqual(rows, [{ object, reason }]));
  return rows[0];
}

async function othersWork(): Promise<void> {
  const { places } = faulty();
  await httpGet(places.client, url(ofFamily(places.serviceIps('echo'), 'IPv4'), 80));
  await httpGet(places.bypass, url(ofFamily(places.serviceIps('echo'), 'IPv6'), 80));
}

test('a namespace for what is bad', { skip }, () => {
  faulty().cluster.store.create('namespaces', { metadata: { name: NAMESPACE } });
});

for (const { what, resource, bad, good, wants } of objects)
  test(`${what} is one Problem until it is corrected`, { skip }, async () => {
    const { store } = faulty().cluster;
    store.force(resource, bad);
    const row = await theProblem(wants.object, wants.reason);
    assert.match(row?.message ?? '', wants.message);
    assert.ok((row?.advice ?? '').length > 10);
    await othersWork();
    store.force(resource, good);
    await until(`no Problem of ${wants.object}`, 3000, async () => (await about(wants.object)).length === 0);
    store.delete(resource, { name: bad.metadata.name, ...(bad.metadata.namespace !== undefined && { namespace: bad.metadata.namespace }) });
  });

test('two Services with one address: the older has it, the second has a Problem until it gets another', { skip }, async () => {
  const { cluster, places } = faulty();
  const [taken = ''] = places.serviceIps('echo');
  cluster.store.force('services', service('thief', { clusterIPs: [taken] }));
  const row = await theProblem('Service faults/thief', 'FrontendTaken');
  assert.match(row?.message ?? '', /:80\/TCP belongs to Service checks\/echo already/);
  await othersWork();
  cluster.store.force('services', service('thief', { clusterIPs: ['10.96.200.9'] }));
  await until('no Problem', 3000, async () => (await about('Service faults/thief')).length === 0);
  cluster.store.delete('services', { name: 'thief', namespace: NAMESPACE });
  await othersWork();
});

test('two pods with one address: the older has it on every node, and the younger a Problem', { skip }, async () => {
  const { cluster } = faulty();
  const echo = faulty().places.echoOn('node2');
  const named = { name: 'twin', namespace: NAMESPACE };
  cluster.store.force('ciliumendpoints.cilium.io', {
    metadata: { ...named, labels: { 'stentor.dev/node': 'node9' }, creationTimestamp: '2999-01-01T00:00:00Z' },
    status: { identity: { id: 300 }, networking: { addressing: [{ ipv4: ofFamily(echo.ips, 'IPv4') }], node: '192.168.0.13' } },
  });
  for (const name of ['node1', 'node3'])
    await until(`the Problem on ${name}`, 3000, async () =>
      (await problemsOn(faulty().node(name))).some((row) => row.object === 'Pod faults/twin' && row.reason === 'SameAddress'),
    );
  await httpGet(faulty().places.client, url(ofFamily(echo.ips, 'IPv4'), 8080));
  cluster.store.delete('ciliumendpoints.cilium.io', named);
  await until('no Problem', 3000, async () => (await about('Pod faults/twin')).length === 0);
});

test('kubectl get events and kubectl describe show a Problem with its object', { skip }, async () => {
  const { cluster } = faulty();
  cluster.store.force('services', service('seen', { clusterIPs: ['nonsense'] }));
  const kubectl = [kubectlIn(checkout), '--kubeconfig', cluster.kubeconfig, '-n', NAMESPACE, 'get', 'events', '-o', 'wide'];
  let text = '';
  await until('the Event', 5000, async () => (text = (await run(kubectl)).stdout).includes('service/seen'));
  const line = text.split('\n').find((one) => one.includes('service/seen')) ?? '';
  assert.match(
    line,
    /Warning +InvalidField +service\/seen .*spec\.clusterIPs has nonsense, wanted an IP address\. Correct spec\.clusterIPs/,
  );
  const described = await run([kubectlIn(checkout), '--kubeconfig', cluster.kubeconfig, '-n', NAMESPACE, 'describe', 'service', 'seen']);
  assert.match(described.stdout, /Events:[^]*Warning +InvalidField .*spec\.clusterIPs has nonsense/);
  cluster.store.delete('services', { name: 'seen', namespace: NAMESPACE });
});

/** Replicas of the deployment behind checks/scaled, and that the service leads to all of them and to nobody else. */
async function scaleTo(replicas: number): Promise<void> {
  const { store } = faulty().cluster;
  store.patch('deployments.apps', { namespace: 'checks', name: 'scaled' }, { spec: { replicas } });
  await until(
    `${replicas} pods`,
    20_000,
    () =>
      store.get('deployments.apps', { namespace: 'checks', name: 'scaled' })?.['status']?.readyReplicas === replicas &&
      podsIn(store, { namespace: 'checks', labelSelector: 'app=scaled' }).length === replicas,
  );
}

/** Every agent knows every slice of the API, and its maps say so. */
async function agentsFollow(timeoutMs: number): Promise<number> {
  const { store, nodes } = faulty().cluster;
  const started = performance.now();
  const wanted = () =>
    podsIn(store, { namespace: 'checks', labelSelector: 'app=scaled' })
      .map(({ status }) => `${status?.podIP}:8080/TCP`)
      .toSorted()
      .join();
  for (const one of nodes)
    await until(`the agent of ${one.name} to follow`, timeoutMs, async () => {
      const ran = await run(one.command([`${checkout}/bin/stentor`, 'tables', 'backends']));
      const known = [...ran.stdout.matchAll(/10\.244\.\d+\.\d+:8080\/TCP/g)].map(([text]) => text);
      return (
        wanted()
          .split(',')
          .every((address) => known.includes(address)) && (await differencesOn(one)).length === 0
      );
    });
  return performance.now() - started;
}

/** Of the check pods' manifest: it wants an address that another has, and is told so for as long as it lives. */
const IN_VAIN = 'Service checks/balanced-in-vain';

test('an API that refuses half of all requests and cuts half of all watch events in the middle', { skip }, async (t) => {
  const { cluster } = faulty();
  Object.assign(cluster.faults, { refuse: 0.5, cutWatch: 0.5 });
  for (const replicas of [3, 1, 2]) {
    await scaleTo(replicas);
    await othersWork();
  }
  const ms = await agentsFollow(120_000); // waits between tries grow to 30 s when luck is bad
  Object.assign(cluster.faults, { refuse: 0, cutWatch: 0 });
  t.diagnostic(`all agents followed after ${ms.toFixed(0)} ms, with the faults still on`);
  // one that follows may wait up to 30 s before it tries again; an address is asked every 30 s, and said to be well in the round after
  for (const one of cluster.nodes) {
    let left: readonly ProblemRow[] = [];
    const isWell = async () =>
      (left = (await problemsOn(one)).filter(({ object }) => !object.startsWith('Config ') && object !== IN_VAIN)).length === 0;
    await until(`${one.name} to have no Problem`, 120_000, isWell).catch(() => assert.deepEqual(left, []));
  }
});

test('an API that is gone for 20 s while endpoints change: pods come and go, traffic goes on, agents catch up', { skip }, async (t) => {
  const { cluster, places } = faulty();
  Object.assign(cluster.faults, { refuse: 1, cutWatch: 1 });
  const gone = performance.now();
  await scaleTo(3);
  await scaleTo(1);
  while (performance.now() - gone < 20_000) {
    await othersWork();
    await udpEcho(places.client, ofFamily(places.serviceIps('echo'), 'IPv4'), 80);
    await delay(500);
  }
  const said = (await statusOn(faulty().node('node2'))).controllers.filter(
    ({ name, message }) => name.startsWith('watch-') && message !== undefined,
  );
  assert.ok(said.length > 0, 'no watch says that it is out of date');
  await scaleTo(2);
  Object.assign(cluster.faults, { refuse: 0, cutWatch: 0 });
  t.diagnostic(
    `caught up ${(await agentsFollow(40_000)).toFixed(0)} ms after the API was back; out of date before: ${said.map(({ name }) => name).join(', ')}`,
  );
  for (const one of cluster.nodes) await agentReady(one);
});
