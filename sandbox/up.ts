// SPDX-License-Identifier: Apache-2.0
// From nothing to a cluster with a demo shop, one printed step after the other.
import { join } from 'node:path';
import { spawn } from 'node:child_process';
import type { Store } from './api/store.ts';
import { inCgroup, createCgroup, sandboxCgroup } from './cgroup.ts';
import { startCluster } from './cluster.ts';
import type { Cluster } from './cluster.ts';
import { CLIENT, INTERNET, ROUTER } from './layout.ts';
import type { Layout } from './layout.ts';
import { createAll, manifest, valuesConfigMap } from './manifests.ts';
import { inNetns } from './network.ts';
import { conditionIs, isReady, keyText, nodesIn, podsIn } from './objects.ts';
import type { Progress } from './progress.ts';
import { installReferenceCni } from './reference-cni.ts';
import { until, WaitTimeout } from './until.ts';

/** Who connects the pods: the agent of this repository, or the CNI project's plugins. */
export type Cni = 'agent' | 'reference';

export type UpOptions = {
  readonly layout: Layout;
  readonly cni: Cni;
  readonly progress: Progress;
  readonly stack: AsyncDisposableStack;
  readonly signal: AbortSignal;
};

const READY_MS = 60_000;

/** Brings everything up. Throws WaitTimeout with what is not ready and why. */
export async function up({ layout, cni, progress, stack, signal }: UpOptions): Promise<Cluster> {
  const cluster = await progress.step('API server, LAN and three nodes', () => startCluster(layout, stack, progress.line));
  signal.throwIfAborted();
  const { store } = cluster;
  await startOutside(layout);
  await progress.step(cni === 'agent' ? 'Stentor agent on every node' : 'Reference CNI plugins on every node', async () => {
    if (cni === 'agent') createAll(store, [await valuesConfigMap(join(import.meta.dirname, 'seed', 'values.yaml')), ...(await manifest('agent.yaml'))]);
    else await installReferenceCni(cluster);
    await nodesReady(store, signal);
    await podsReady(store, signal);
  });
  await progress.step('DNS, demo shop and check pods', async () => {
    const files = cni === 'agent' ? ['dns.yaml', 'shop.yaml', 'checks.yaml'] : ['checks.yaml'];
    for (const file of files) createAll(store, await manifest(file));
    await podsReady(store, signal);
  });
  return cluster;
}

/** Servers that are no part of the cluster: one on the internet, one on the client. They die with the sandbox's cgroup. */
async function startOutside(layout: Layout): Promise<void> {
  const cgroup = join(await sandboxCgroup(layout), 'hosts');
  await createCgroup(cgroup);
  const servers = [
    { machine: ROUTER.name, hosts: [INTERNET.ipv4, INTERNET.ipv6] },
    { machine: CLIENT.name, hosts: [CLIENT.ipv4, CLIENT.ipv6] },
  ];
  for (const { machine, hosts } of servers) {
    const echo = [process.execPath, '--max-old-space-size=48', join(import.meta.dirname, 'apps', 'echo.ts')];
    const [program = '', ...parameters] = inCgroup(cgroup, [...inNetns(layout, machine), ...echo]);
    const env = { ...process.env, HOSTS: hosts.join(','), PORT: `${INTERNET.port}`, POD_NAME: machine };
    spawn(program, parameters, { env, stdio: 'ignore' }).unref();
  }
}

/** Waits for all nodes. Throws WaitTimeout with the reason that the first one gives. */
async function nodesReady(store: Store, signal: AbortSignal): Promise<void> {
  const unready = () => nodesIn(store).filter(({ status }) => !conditionIs(status?.conditions, 'Ready', 'True'));
  await explained(
    () => unready().map(({ metadata, status }) => `node ${metadata.name}: ${status?.conditions?.find(({ type }) => type === 'Ready')?.message}`),
    until('nodes to be ready', READY_MS, () => unready().length === 0, signal),
    store,
  );
}

/** Waits for all pods, and for as many as their owners want. Throws WaitTimeout with what the first few wait for. */
export async function podsReady(store: Store, signal: AbortSignal): Promise<void> {
  const waiting = () => [
    ...podsIn(store).filter((pod) => !isReady(pod)).map(({ metadata }) => `pod ${keyText(metadata)}`),
    ...store.list('deployments.apps').filter(({ spec, status }) => status?.readyReplicas !== spec.replicas).map(({ metadata }) => `deployment ${keyText(metadata)}`),
    ...store.list('daemonsets.apps').filter(({ status }) => status?.numberReady !== nodesIn(store).length).map(({ metadata }) => `daemon set ${keyText(metadata)}`),
  ];
  await explained(waiting, until('pods to be ready', READY_MS, () => waiting().length === 0, signal), store);
}

/** Adds to a timeout what is waited for and the latest warnings of the cluster. */
async function explained(waiting: () => readonly string[], wait: Promise<void>, store: Store): Promise<void> {
  try {
    await wait;
  } catch (error) {
    if (!(error instanceof WaitTimeout)) throw error;
    const warnings = store.list('events').filter(({ type }) => type === 'Warning').slice(-5);
    const reasons = warnings.map(({ involvedObject, message }) => `  ${involvedObject.kind} ${involvedObject.name}: ${message}`);
    throw new Error([`${error.message}; still waiting for ${waiting().slice(0, 5).join(', ')}`, ...reasons].join('\n'), { cause: error });
  }
}
