// SPDX-License-Identifier: Apache-2.0
// A cluster without workloads: the API, the LAN, the nodes, controllers and kubelets. Everything that it starts ends with
// the AsyncDisposableStack that it is given, and removeRemains() sweeps up the rest.
//
//   kubectl ─▶ 127.0.0.1:<port> ─┐
//   agents ─▶ nodeN 127.0.0.1:7445 ─▶ API server ◀─▶ Store ◀─▶ controllers, kubelets ─▶ CNI plugin, containers
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createApiServer } from './api/server.ts';
import type { ApiServer, RequestRecord } from './api/server.ts';
import type { Faults } from './api/faults.ts';
import type { Store } from './api/store.ts';
import { createCgroup, sandboxCgroup } from './cgroup.ts';
import { admitService } from './controllers/cluster-ips.ts';
import { runController } from './controllers/controller.ts';
import { daemonSetController } from './controllers/daemon-sets.ts';
import { deploymentController } from './controllers/deployments.ts';
import { endpointSliceController } from './controllers/endpoint-slices.ts';
import { nodeController } from './controllers/nodes.ts';
import { replicaSetController } from './controllers/replica-sets.ts';
import { scheduler } from './controllers/scheduler.ts';
import { newAccounts, writeKubeconfig } from './credentials.ts';
import { startKubelet } from './kubelet/kubelet.ts';
import type { Kubelet } from './kubelet/kubelet.ts';
import { execIn, logsOf } from './kubelet/streams.ts';
import { CLUSTER, netnsPath, NODES } from './layout.ts';
import type { Layout } from './layout.ts';
import { forwardPorts } from './listeners.ts';
import type { Port } from './listeners.ts';
import { createNetwork } from './network.ts';
import { startNode } from './node.ts';
import type { SandboxNode } from './node.ts';
import { servicesIn } from './objects.ts';

export type Cluster = {
  readonly layout: Layout;
  readonly store: Store;
  /** Change it to make the API misbehave; controllers and kubelets do not notice. */
  readonly faults: Faults;
  /** Each is told of every request to the API; controllers and kubelets make none. */
  readonly listeners: Set<(request: RequestRecord) => void>;
  readonly nodes: readonly SandboxNode[];
  readonly kubelets: readonly Kubelet[];
  readonly kubeconfig: string;
  readonly ca: string;
  /** Milliseconds of each CNI ADD so far. */
  readonly networkAdds: readonly number[];
};

/** Starts everything; nodes are not ready before somebody installs a CNI configuration. */
export async function startCluster(layout: Layout, stack: AsyncDisposableStack, report: (message: string) => void): Promise<Cluster> {
  const stopping = new AbortController();
  const podsDir = join(layout.stateDir, 'pods');
  await mkdir(podsDir, { recursive: true });
  const kubelets: Kubelet[] = [];
  const accounts = newAccounts();
  const streams = { store: (): Store => api.store, kubelets: () => kubelets, podsDir };
  const faults: Faults = {};
  const listeners: Cluster['listeners'] = new Set();
  const starting = startApi(layout, { tokens: accounts.tokens, faults, streams, listeners });
  const [api, nodes] = await Promise.all([starting, startMachines(layout)]);
  stack.defer(() => api.close());
  await openApi(layout, api, accounts.adminToken);
  stack.use(await nodePorts(layout, nodes));
  stack.defer(async () => {
    stopping.abort();
    await Promise.all(kubelets.map((kubelet) => kubelet.close()));
  });
  const { signal } = stopping;
  const networkAdds: number[] = [];

  const context = { store: api.store, signal, report };
  const controllers = [nodeController, scheduler, endpointSliceController, replicaSetController, deploymentController, daemonSetController];
  for (const controller of controllers) runController(controller(api.store), context);
  createKubernetesService(api.store);
  const credentialsFor = (namespace: string, account: string) => ({ token: accounts.tokenFor(namespace, account), ca: api.caPem });
  const environment = imageEnvironment(layout.checkout);
  for (const node of nodes) {
    const onNetworkAdded = (milliseconds: number) => networkAdds.push(milliseconds);
    kubelets.push(
      startKubelet({ store: api.store, node, environment, checkout: layout.checkout, podsDir, signal, credentialsFor, onNetworkAdded }),
    );
  }
  const kubeconfig = join(layout.stateDir, 'kubeconfig');
  return { layout, store: api.store, faults, listeners, nodes, kubelets, kubeconfig, ca: api.caPem, networkAdds };
}

/** What containers find when they start, in place of an image: the machine's programs and those of this checkout. */
export const imageEnvironment = (checkout: string): Readonly<Record<string, string>> => ({
  PATH: `${checkout}/bin:${checkout}/node_modules/.bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`,
  NODE_COMPILE_CACHE: join(checkout, 'build', 'node'), // a quarter less memory for each small program
});

type Streams = Parameters<typeof execIn>[0];

type Inside = Pick<Cluster, 'faults' | 'listeners'> & { readonly tokens: ReadonlyMap<string, string>; readonly streams: Streams };

function startApi(layout: Layout, { tokens, faults, listeners, streams }: Inside): Promise<ApiServer> {
  const service = 'kubernetes.default.svc';
  const names = ['kubernetes', 'kubernetes.default', service, `${service}.${CLUSTER.domain}`, 'localhost'];
  return createApiServer({
    tokens,
    faults,
    sans: [...names, '127.0.0.1', '::1', ...CLUSTER.kubernetesIps, ...NODES.flatMap(({ ipv4, ipv6 }) => [ipv4, ipv6])],
    dir: join(layout.stateDir, 'api'),
    onRequest: (request) => listeners.forEach((listener) => listener(request)),
    admit: (request) => (request.resource === 'services' ? admitService(request, servicesIn(streams.store())) : request.object),
    streams: { exec: (target) => execIn(streams, target), logs: (target, signal) => logsOf(streams, target, signal) },
  });
}

async function startMachines(layout: Layout): Promise<readonly SandboxNode[]> {
  const cgroup = await sandboxCgroup(layout);
  await createCgroup(cgroup);
  await createNetwork(layout);
  return Promise.all(NODES.map((host) => startNode(layout, host, cgroup)));
}

const socketOf = ({ stateDir }: Layout): string => join(stateDir, 'api.sock');

async function openApi(layout: Layout, api: ApiServer, token: string): Promise<void> {
  await api.listen({ path: socketOf(layout) });
  const address = await api.listen({ host: '127.0.0.1', port: 0 });
  const port = typeof address === 'string' ? 0 : address.port;
  await writeKubeconfig(join(layout.stateDir, 'kubeconfig'), { server: `https://127.0.0.1:${port}`, ca: api.caPem, token });
}

/** The API on every node's loopback, and where the `kubernetes` service points to. */
async function nodePorts(layout: Layout, nodes: readonly SandboxNode[]): Promise<Disposable> {
  const close = await Promise.all(
    nodes.map(({ name, ipv4, ipv6 }, index) => {
      const loopback: Port = { host: '127.0.0.1', port: CLUSTER.nodeApiPort };
      const real: readonly Port[] = [ipv4, ipv6].map((host) => ({ host, port: CLUSTER.apiPort }));
      return forwardPorts(netnsPath(layout, name), index === 0 ? [loopback, ...real] : [loopback], socketOf(layout));
    }),
  );
  return { [Symbol.dispose]: () => close.forEach((one) => one()) };
}

function createKubernetesService(store: Store): void {
  const name = 'kubernetes';
  const metadata = { name, namespace: 'default', labels: { component: 'apiserver', provider: name } };
  const port = { name: 'https', port: 443, targetPort: CLUSTER.apiPort, protocol: 'TCP' };
  store.create('services', { metadata, spec: { clusterIP: CLUSTER.kubernetesIps[0], ports: [port] } });
  store.create('endpointslices.discovery.k8s.io', {
    metadata: { name, namespace: 'default', labels: { 'kubernetes.io/service-name': name } },
    addressType: 'IPv4',
    endpoints: [{ addresses: [NODES[0]?.ipv4], conditions: { ready: true } }],
    ports: [{ name: 'https', port: CLUSTER.apiPort, protocol: 'TCP' }],
  });
}
