// SPDX-License-Identifier: Apache-2.0
// From nothing to a cluster with a demo shop, one printed step after the other.
import { join } from 'node:path';
import { spawn } from 'node:child_process';
import { inCgroup, createCgroup, sandboxCgroup } from './cgroup.ts';
import { imageEnvironment, startCluster } from './cluster.ts';
import type { Cluster } from './cluster.ts';
import { gatewayObjects } from './gateway.ts';
import { CLIENT, HOST_DNS, INTERNET, ROUTER } from './layout.ts';
import type { Layout } from './layout.ts';
import { createAll, definitions, manifest, seed, valuesConfigMaps } from './manifests.ts';
import { inNetns } from './network.ts';
import type { Progress } from './progress.ts';
import { nodesReady, podsReady } from './readiness.ts';
import { installReferenceCni } from './reference-cni.ts';

/** Who connects the pods: the agent of this repository, or the CNI project's plugins. */
export type Cni = 'agent' | 'reference';

export type UpOptions = {
  readonly layout: Layout;
  readonly cni: Cni;
  readonly progress: Progress;
  readonly stack: AsyncDisposableStack;
  readonly signal: AbortSignal;
};

/** Brings everything up. Throws NotReady with what is missing and why. */
export async function up({ layout, cni, progress, stack, signal }: UpOptions): Promise<Cluster> {
  const cluster = await progress.step('API server, LAN and three nodes', () => startCluster(layout, stack, progress.line));
  signal.throwIfAborted();
  const { store } = cluster;
  await startOutside(layout);
  await progress.step(cni === 'agent' ? 'Stentor agent on every node' : 'Reference CNI plugins on every node', async () => {
    if (cni === 'agent')
      createAll(store, [
        ...(await definitions()),
        ...(await valuesConfigMaps(join(import.meta.dirname, 'seed', 'values.yaml'))),
        ...(await manifest('agent.yaml')),
      ]);
    else await installReferenceCni(cluster);
    await nodesReady(cluster, signal);
    await podsReady(cluster, signal);
  });
  await progress.step('Operators, relay, web page and a gateway before it, DNS, demo shop and check pods', async () => {
    const files =
      cni === 'agent'
        ? [
            'operator.yaml',
            'relay.yaml',
            'hubble-ui.yaml',
            'dns.yaml',
            'shop.yaml',
            'checks.yaml',
            'wire.yaml',
            'balancers.yaml',
            'load-balancer-ips.yaml',
            'placement.yaml',
          ]
        : ['checks.yaml'];
    if (cni === 'agent') createAll(store, await seed('cilium-l2.yaml'));
    for (const file of files) createAll(store, await manifest(file));
    if (cni === 'agent') createAll(store, await gatewayObjects(layout));
    await podsReady(cluster, signal);
  });
  return cluster;
}

/** Servers that are no part of the cluster: on the internet, on the client, at a node's own address. They die with the sandbox's cgroup. */
async function startOutside(layout: Layout): Promise<void> {
  const cgroup = join(await sandboxCgroup(layout), 'hosts');
  await createCgroup(cgroup);
  const servers = [
    { machine: ROUTER.name, hosts: [INTERNET.ipv4, INTERNET.ipv6], port: INTERNET.port },
    { machine: CLIENT.name, hosts: [CLIENT.ipv4, CLIENT.ipv6], port: INTERNET.port },
    { machine: HOST_DNS.node, hosts: [HOST_DNS.ipv4], port: HOST_DNS.port },
  ];
  for (const { machine, hosts, port } of servers) {
    const echo = [process.execPath, '--max-old-space-size=48', join(import.meta.dirname, 'apps', 'echo.ts')];
    const [program = '', ...parameters] = inCgroup(cgroup, [...inNetns(layout, machine), ...echo]);
    const env = { ...imageEnvironment(layout.checkout), HOSTS: hosts.join(','), PORT: `${port}`, POD_NAME: machine };
    spawn(program, parameters, { env, stdio: 'ignore' }).unref();
  }
}
