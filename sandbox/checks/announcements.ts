// SPDX-License-Identifier: Apache-2.0
// Load balancer addresses on the LAN: one node answers for each, and another when that one fails.
import type { Json } from '../api/json.ts';
import { NODES, ROUTER } from '../layout.ts';
import { podsIn } from '../objects.ts';
import { pause, until } from '../until.ts';
import { CheckFailed, expect, inBoth, ofFamily } from './check.ts';
import type { Check, CheckContext, Ipv } from './check.ts';
import { NAMESPACE, podPlace } from './places.ts';
import { httpGet, ping, url } from './traffic.ts';

const VIPS = ['192.168.0.229', 'fd00:192:168::229'];
const NAME = 'announced';

/** Runs `act` while a Service has two addresses, which the seed's policy announces. */
async function announced(context: CheckContext, act: () => Promise<string>): Promise<string> {
  const { store } = context.cluster;
  const pools = 'ciliumloadbalancerippools.cilium.io';
  const blocks = [{ start: 'fd00:192:168::220', stop: 'fd00:192:168::239' }];
  store.create(pools, { apiVersion: 'cilium.io/v2alpha1', kind: 'CiliumLoadBalancerIPPool', metadata: { name: NAME }, spec: { blocks } });
  const service: Json = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { namespace: NAMESPACE, name: NAME, annotations: { 'lbipam.cilium.io/ips': VIPS.join() } },
    spec: { type: 'LoadBalancer', ipFamilyPolicy: 'PreferDualStack', selector: { app: 'echo' }, ports: [{ port: 80, targetPort: 8080 }] },
  };
  store.create('services', service);
  try {
    return await act();
  } finally {
    store.delete('services', { namespace: NAMESPACE, name: NAME });
    store.delete(pools, { name: NAME });
    for (const address of VIPS) await context.places.outsider.run(['ip', 'neigh', 'del', address, 'dev', 'eth0']);
  }
}

/** The node that has the link address under which the client on the LAN finds `address`. */
export async function neighbour({ places, signal }: CheckContext, address: string): Promise<string> {
  let mac: string | undefined;
  await until(
    `${address} to be found on the LAN`,
    10_000,
    async () => {
      await places.outsider.run(['ping', '-c', '1', '-W', '1', address]);
      mac = /lladdr (\S+)/.exec((await places.outsider.run(['ip', 'neigh', 'show', address])).stdout)?.[1];
      return mac !== undefined;
    },
    signal,
  );
  const node = NODES.find((one) => one.mac === mac);
  if (node === undefined) throw new CheckFailed(`${address} is at ${mac}, which is no node's link address`);
  return node.name;
}

type Vip = {
  readonly ip: string;
  readonly owner?: string;
  readonly reachable: readonly { readonly from: string; readonly found: boolean }[];
};

async function vipsOn({ cluster }: CheckContext, node: string): Promise<readonly Vip[]> {
  const agents = podsIn(cluster.store, {
    namespace: 'kube-system',
    labelSelector: 'k8s-app=cilium',
    fieldSelector: `spec.nodeName=${node}`,
  });
  const ran = await podPlace(cluster, agents[0], `cilium on ${node}`).run(['stentor', 'vip', '-o', 'json'], 10_000);
  return JSON.parse(ran.stdout) as readonly Vip[]; // as: what the command prints
}

const served = (context: CheckContext, family: Ipv): Promise<string> =>
  announced(context, async () => {
    const { outsider } = context.places;
    const address = ofFamily(VIPS, family);
    const owner = await neighbour(context, address);
    await ping(outsider, address);
    const { peer } = await httpGet(outsider, url(address, 80));
    expect(peer === ofFamily(outsider.ips, family), `The pod saw ${peer}, wanted the client's address`);
    await pause(1000, context.signal);
    expect((await neighbour(context, address)) === owner, `${address} moved from ${owner} without a reason`);
    for (const { name } of NODES) {
      const row = (await vipsOn(context, name)).find(({ ip }) => ip === address);
      expect(row?.owner === owner, `'stentor vip' on ${name} says that ${row?.owner} answers for ${address}, wanted ${owner}`);
    }
    const sights = async () => (await vipsOn(context, owner)).find(({ ip }) => ip === address)?.reachable ?? [];
    await until(
      'two other nodes to find it',
      10_000,
      async () => (await sights()).filter(({ found }) => found).length === 2,
      context.signal,
    );
    const conditions = (): Json => context.cluster.store.get('services', { namespace: NAMESPACE, name: NAME })?.status?.conditions ?? [];
    const isTold = () => conditions().some(({ type, status }: Json) => type === 'stentor.dev/Reachable' && status === 'True');
    await until('the Service to say that it is reachable', 5000, isTold, context.signal);
    return `${owner} answers, and the other two find it, as the Service says`;
  });

/** Kills the agent of the node that answers, and looks who answers then. */
const movesOn = (context: CheckContext): Promise<string> =>
  announced(context, async () => {
    const { cluster, places, signal } = context;
    const address = ofFamily(VIPS, 'IPv4');
    const owner = await neighbour(context, address);
    const agent = podsIn(cluster.store, {
      namespace: 'kube-system',
      labelSelector: 'k8s-app=cilium',
      fieldSelector: `spec.nodeName=${owner}`,
    })[0];
    const worker = cluster.kubelets.find(({ node }) => node.name === owner)?.worker(agent?.metadata.uid ?? '');
    const process = worker?.container(undefined)?.process();
    if (process === undefined) throw new CheckFailed(`There is no agent on ${owner}`);
    globalThis.process.kill(process.pid, 'SIGKILL');
    const killed = performance.now();
    let heir = owner;
    await until('another node to answer', 5000, async () => (heir = await neighbour(context, address)) !== owner, signal);
    const ms = performance.now() - killed;
    await httpGet(places.outsider, url(address, 80));
    return `from ${owner} to ${heir}, which the client knew after ${ms.toFixed(0)} ms`;
  });

/** Another machine uses the address, as one to which somebody gave it by hand. */
const foreign = (context: CheckContext): Promise<string> =>
  announced(context, async () => {
    const { places, cluster, signal } = context;
    const address = ofFamily(VIPS, 'IPv4');
    const owner = await neighbour(context, address);
    const client = ofFamily(places.outsider.ips, 'IPv4');
    await places.router.run(['ip', 'addr', 'add', `${address}/32`, 'dev', 'eth0']);
    await places.router.run(['ip', 'neigh', 'del', client, 'dev', 'eth0']);
    await places.router.run(['ping', '-c', '1', '-W', '1', '-I', address, client]); // first it asks everybody for the client, in this name
    await places.router.run(['ip', 'addr', 'del', `${address}/32`, 'dev', 'eth0']);
    const agents = podsIn(cluster.store, {
      namespace: 'kube-system',
      labelSelector: 'k8s-app=cilium',
      fieldSelector: `spec.nodeName=${owner}`,
    });
    const told = async () => (await podPlace(cluster, agents[0], `cilium on ${owner}`).run(['stentor', 'problems'], 10_000)).stdout;
    await until(
      'a Problem that names the link address',
      5000,
      async () => (await told()).includes(`${ROUTER.mac} says that ${address} is his`),
      signal,
    );
    await until(
      `${address} to be at ${owner} again`,
      5000,
      async () => (await neighbour(context, address).catch(() => undefined)) === owner,
      signal,
    );
    return `${owner} names ${ROUTER.mac}`;
  });

export const announcementChecks: readonly Check[] = [
  ...inBoth('A load balancer address that a policy announces is found on the LAN: ping and TCP', 'agent', served),
  { name: 'An address that another machine uses, too, is told of, with its link address, and defended', needs: 'agent', run: foreign },
  { name: 'The address moves when the agent of the node that answers is killed, and serves on', needs: 'agent', run: movesOn },
];
