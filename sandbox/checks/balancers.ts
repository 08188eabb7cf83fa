// SPDX-License-Identifier: Apache-2.0
// Load balancers get addresses of the seed's pool, and keep them.
import type { Json } from '../api/json.ts';
import { kubectlIn } from '../kubectl.ts';
import { run } from '../run.ts';
import { until } from '../until.ts';
import { expect } from './check.ts';
import type { Check, CheckContext } from './check.ts';
import { agentOn } from './agents.ts';
import { killLeader } from './operators.ts';
import { NAMESPACE } from './places.ts';
import { httpGet, udpWho, url } from './traffic.ts';

const PATIENCE_MS = 15_000;
const SERVED = ['balanced', 'balanced-together', 'balanced-together-too'] as const;
const POOLS = 'ciliumloadbalancerippools.cilium.io';

const serviceNamed = ({ cluster: { store } }: CheckContext, name: string): Json => store.get('services', { namespace: NAMESPACE, name });

const addressOf = (context: CheckContext, name: string): string =>
  (serviceNamed(context, name)?.status?.loadBalancer?.ingress ?? []).map(({ ip }: Json) => ip).join();

async function addressWithin(context: CheckContext, name: string): Promise<string> {
  await until(`an address of ${name}`, PATIENCE_MS, () => addressOf(context, name) !== '', context.signal);
  return addressOf(context, name);
}

export async function kubectl({ cluster }: CheckContext, args: readonly string[]): Promise<string> {
  const ran = await run([kubectlIn(cluster.layout.checkout), ...args], {
    timeoutMs: 15_000,
    env: { ...process.env, KUBECONFIG: cluster.kubeconfig },
  });
  expect(ran.code === 0, `kubectl ${args.join(' ')}: ${ran.stderr.trim()}`);
  return ran.stdout;
}

async function asked(context: CheckContext): Promise<string> {
  const { places } = context;
  const address = await addressWithin(context, 'balanced');
  expect(address === '192.168.0.225', `The Service balanced has ${address}, wanted 192.168.0.225`);
  const listed = await kubectl(context, ['-n', NAMESPACE, 'get', 'service', 'balanced']);
  expect(/ LoadBalancer +\S+ +192\.168\.0\.225 /.test(listed), `kubectl get service shows ${listed}`);
  for (const from of [places.client, places.bypass, places.node('node2')])
    await until(`${from.name} to reach it`, 5_000, () => httpGet(from, url(address, 80)).then(Boolean, () => false), context.signal);
  return `pods and nodes reach ${(await udpWho(places.client, address, 80)).pod} at it`;
}

async function together(context: CheckContext): Promise<string> {
  const [one, other] = [await addressWithin(context, 'balanced-together'), await addressWithin(context, 'balanced-together-too')];
  expect(one === other, `They have ${one} and ${other}, wanted one address`);
  const { pod } = await httpGet(context.places.client, url(one, 81));
  expect(pod === 'client', `Port 81 leads to ${pod}, wanted client`);
  return `${one}, port 80 and port 81`;
}

async function inVain(context: CheckContext): Promise<string> {
  const condition = (): Json =>
    serviceNamed(context, 'balanced-in-vain').status?.conditions?.find(({ type }: Json) => type === 'cilium.io/IPAMRequestSatisfied');
  await until('the reason', PATIENCE_MS, () => condition()?.status === 'False', context.signal);
  const { reason, message } = condition();
  expect(reason === 'already_allocated', `The reason is ${reason}, wanted already_allocated`);
  const eventsOf = () => kubectl(context, ['-n', NAMESPACE, 'events', '--for', 'service/balanced-in-vain']);
  await until('the Event', PATIENCE_MS, async () => (await eventsOf()).includes('AddressTaken'), context.signal);
  expect(addressOf(context, 'balanced-in-vain') === '', 'It has an address all the same');
  return message;
}

async function columns(context: CheckContext): Promise<string> {
  const available = () => kubectl(context, ['get', 'ciliumloadbalancerippools']);
  const wanted = /\npool +false +False +17 +3 +Ready +192\.168\.0\.220-192\.168\.0\.239 /;
  await until('the figures of the pool', PATIENCE_MS, async () => wanted.test(await available()), context.signal);
  return (await available()).split('\n')[1]?.trim().replaceAll(/ +/g, ' ') ?? '';
}

/** The block of the address goes, and comes again. */
async function keeps(context: CheckContext): Promise<string> {
  const { store } = context.cluster;
  const before = store.get(POOLS, { name: 'pool' })?.['spec'].blocks;
  const says = (name: string): string =>
    serviceNamed(context, name).status.conditions.find(({ type }: Json) => type === 'cilium.io/IPAMRequestSatisfied')?.message;
  store.patch(POOLS, { name: 'pool' }, { spec: { blocks: [{ start: '192.168.0.230', stop: '192.168.0.239' }] } });
  try {
    await until('the Service to say so', PATIENCE_MS, () => says('balanced').startsWith('192.168.0.225 is kept'), context.signal);
    const wide = await kubectl(context, ['get', 'ippools', '-o', 'wide']);
    expect(wide.includes('MovesWait') && wide.includes('balanced-together'), `kubectl get ippools -o wide shows ${wide}`);
    await httpGet(context.places.client, url(addressOf(context, 'balanced'), 80));
  } finally {
    store.patch(POOLS, { name: 'pool' }, { spec: { blocks: before } });
  }
  await until('the Services to be content', PATIENCE_MS, () => SERVED.every((name) => says(name) === ''), context.signal);
  return 'until the pool has it again';
}

/** A typing error in the third number, and a node's own address. */
async function comparesWithNodes(context: CheckContext): Promise<string> {
  const { store } = context.cluster;
  const wrong = { 'pool-elsewhere': ['192.168.11.220', 'NoSubnet'], 'pool-of-nodes': ['192.168.0.12', 'OverlapsNodes'] } as const;
  const ready = (name: string): Json =>
    store.get(POOLS, { name })?.['status']?.conditions?.find(({ type }: Json) => type === 'stentor.dev/Ready') ?? {};
  for (const [name, [start]] of Object.entries(wrong)) store.create(POOLS, { metadata: { name }, spec: { blocks: [{ start }] } });
  try {
    for (const [name, [, reason]] of Object.entries(wrong))
      await until(`${name} to be ${reason}`, PATIENCE_MS, () => ready(name).reason === reason, context.signal);
    const told = (await agentOn(context, 'node1').run(['stentor', 'problems'], 10_000)).stdout;
    for (const [name, [, reason]] of Object.entries(wrong))
      expect(told.includes(`CiliumLoadBalancerIPPool ${name}: ${reason}`), `stentor problems on node1 does not have ${name}:\n${told}`);
    const { reason } = ready('pool');
    expect(reason === 'Ready', `The seed's pool is ${reason}, wanted Ready`);
    return ready('pool-elsewhere').message.split('; ')[0];
  } finally {
    for (const name of Object.keys(wrong)) store.delete(POOLS, { name });
  }
}

async function survives(context: CheckContext): Promise<string> {
  const { store } = context.cluster;
  const seen = () => SERVED.map((name) => [addressOf(context, name), serviceNamed(context, name).metadata.resourceVersion].join(' '));
  const before = seen();
  await killLeader(context);
  const name = 'balanced-later';
  store.create('services', { metadata: { name, namespace: NAMESPACE }, spec: { type: 'LoadBalancer', ports: [{ port: 80 }] } });
  try {
    const address = await addressWithin(context, name);
    expect(!before.some((one) => one.startsWith(`${address} `)), `The new Service has ${address}, which another one has`);
    expect(seen().join() === before.join(), `They had ${before.join(', ')}, and have ${seen().join(', ')}`);
    return `a new Service got ${address}`;
  } finally {
    store.delete('services', { namespace: NAMESPACE, name });
  }
}

export const balancerChecks: readonly Check[] = [
  { name: 'A Service gets the load balancer address that it asks for, and answers there', needs: 'agent', run: asked },
  { name: 'Two Services with one sharing key have one load balancer address', needs: 'agent', run: together },
  { name: 'A Service that asks for an address which is taken is told by whom', needs: 'agent', run: inVain },
  { name: 'kubectl get ciliumloadbalancerippools shows what a pool has and what is left', needs: 'agent', run: columns },
  { name: 'A pool edit moves no address: it is kept, and said where it would move', needs: 'agent', run: keeps },
  { name: 'A pool that no node can announce, or with an address of a node, says so', needs: 'agent', run: comparesWithNodes },
  { name: 'Load balancer addresses stay when the operator that leads is killed', needs: 'agent', run: survives },
];
