// SPDX-License-Identifier: Apache-2.0
// A sandbox for measurements: three nodes and pods that make load; no shop and no checks beside them.
//
//   node1: client, bypass (no socket hook sees it), near     node2: client2, near2     node3: far
import { StentorError } from '../src/base/errors.ts';
import { startCluster } from '../sandbox/cluster.ts';
import type { Cluster } from '../sandbox/cluster.ts';
import { CLIENT, LAN, layoutFor } from '../sandbox/layout.ts';
import type { Layout } from '../sandbox/layout.ts';
import { inNetns } from '../sandbox/network.ts';
import { takeLock } from '../sandbox/lock.ts';
import { createAll, definitions, manifest, valuesConfigMaps } from '../sandbox/manifests.ts';
import { podsIn, servicesIn } from '../sandbox/objects.ts';
import type { Pod } from '../sandbox/objects.ts';
import { removeRemains } from '../sandbox/remains.ts';
import { run } from '../sandbox/run.ts';
import { nodesReady, podsReady } from '../sandbox/readiness.ts';
import { installBridgeCni } from './bridge-cni.ts';
import { CHECKOUT } from './checkout.ts';
import { LOAD, LOAD_CPU, Loader, PORT } from './loader.ts';

/** Who connects the pods: our agents, or the CNI project's bridge plugin; nobody: nodes alone. */
export type Network = 'stentor' | 'bridge' | 'nobody';

export type Bench = AsyncDisposable & {
  readonly cluster: Cluster;
  /** A load generator in a pod; it ends with the sandbox. */
  loaderIn(pod: string): Loader;
  /** The same outside of the cluster, on the LAN. */
  loaderOutside(): Loader;
  podIp(pod: string): string;
  /** The IPv4 address of the service that has the pod of the same name behind it. */
  serviceIp(name: string): string;
  agentPid(node: string): number;
};

export const NAMESPACE = 'bench';
export const VALUES = `${CHECKOUT}/sandbox/seed/values.yaml`;

/** Starts a sandbox; of those of one network each needs a name of its own. Throws StentorError BENCH_RUNS when another process has it. */
export async function startBench(network: Network, name = network === 'stentor' ? '' : network, values = VALUES): Promise<Bench> {
  const layout = layoutFor(CHECKOUT, `bench${name}`);
  const lock = await takeLock(layout);
  if (lock === undefined) throw new StentorError('BENCH_RUNS', `Cannot start the sandbox '${layout.name}': another process runs it`);
  const stack = new AsyncDisposableStack();
  const end = async () => {
    await stack.disposeAsync();
    await removeRemains(layout);
    lock.release();
  };
  try {
    await removeRemains(layout);
    const cluster = await startCluster(layout, stack, () => undefined);
    await makeSwitch(layout);
    if (network !== 'nobody') await fill(cluster, network, values);
    const loaders = stack.use(new DisposableStack());
    return { ...accessTo(cluster, loaders), cluster, [Symbol.asyncDispose]: end };
  } catch (error) {
    await end();
    throw error;
  }
}

/** The LAN is a switch: no packet filter of this machine looks at what crosses it. */
async function makeSwitch(layout: Layout): Promise<void> {
  const off = 'for filter in iptables ip6tables arptables; do echo 0 >/proc/sys/net/bridge/bridge-nf-call-$filter; done';
  await run([...inNetns(layout, LAN), 'sh', '-c', off]); // fails where the kernel has no such filter
}

const PODS = { client: 'node1', bypass: 'node1', near: 'node1', client2: 'node2', near2: 'node2', far: 'node3' } as const;

async function fill(cluster: Cluster, network: Network, values: string): Promise<void> {
  const { store } = cluster;
  if (network === 'stentor')
    createAll(store, [...(await definitions()), ...(await valuesConfigMaps(values)), ...(await manifest('agent.yaml'))]);
  else await installBridgeCni(cluster);
  const { signal } = new AbortController();
  await nodesReady(cluster, signal);
  store.create('namespaces', { metadata: { name: NAMESPACE } });
  for (const [name, nodeName] of Object.entries(PODS)) {
    store.create('pods', pod(name, nodeName));
    store.create('services', service(name));
  }
  await podsReady(cluster, signal);
}

const pod = (name: string, nodeName: string): object => ({
  metadata: {
    name,
    namespace: NAMESPACE,
    labels: { app: name },
    ...(name === 'bypass' && { annotations: { 'sandbox.stentor.dev/outside-node-cgroup': 'true' } }),
  },
  spec: {
    nodeName,
    terminationGracePeriodSeconds: 0,
    containers: [
      { name: 'load', image: 'stentor.dev/bench/load', command: [LOAD, 'serve', `${PORT}`], env: [{ name: 'LOAD_CPU', value: LOAD_CPU }] },
    ],
  },
});

const service = (name: string): object => ({
  metadata: { name, namespace: NAMESPACE },
  spec: {
    selector: { app: name },
    ports: [
      { name: 'tcp', port: PORT, protocol: 'TCP' },
      { name: 'stream', port: PORT + 1, protocol: 'TCP' },
      { name: 'udp', port: PORT, protocol: 'UDP' },
      { name: 'burst', port: PORT + 1, protocol: 'UDP' },
    ],
  },
});

function accessTo(cluster: Cluster, loaders: DisposableStack): Omit<Bench, 'cluster' | typeof Symbol.asyncDispose> {
  const { store } = cluster;
  const podNamed = (name: string): Pod => {
    const found = podsIn(store, { namespace: NAMESPACE, fieldSelector: `metadata.name=${name}` })[0];
    if (found === undefined) throw new StentorError('NO_POD', `There is no pod ${name}`);
    return found;
  };
  return {
    podIp: (name) => podNamed(name).status?.podIP ?? '',
    loaderIn(name) {
      const process = processOf(cluster, podNamed(name));
      return loaders.use(new Loader(process.enter([LOAD]), process.environment));
    },
    loaderOutside: () => loaders.use(new Loader([...inNetns(cluster.layout, CLIENT.name), LOAD])),
    serviceIp: (name) => servicesIn(store, { namespace: NAMESPACE }).find(({ metadata }) => metadata.name === name)?.spec.clusterIP ?? '',
    agentPid(node) {
      const found = podsIn(store, { namespace: 'kube-system', fieldSelector: `spec.nodeName=${node}`, labelSelector: 'k8s-app=cilium' })[0];
      if (found === undefined) throw new StentorError('NO_AGENT', `There is no agent on ${node}`);
      return processOf(cluster, found).pid;
    },
  };
}

function processOf({ kubelets }: Cluster, { metadata, spec }: Pod) {
  const process = kubelets
    .find(({ node }) => node.name === spec.nodeName)
    ?.worker(metadata.uid)
    ?.container(undefined)
    ?.process();
  if (process === undefined) throw new StentorError('NO_POD', `The pod ${metadata.name} does not run`);
  return process;
}
