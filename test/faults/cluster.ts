// SPDX-License-Identifier: Apache-2.0
// A sandbox for the tests of one file, with agents that the test itself starts and ends on a node.
//
//   test ──▶ up() ──▶ three nodes, shop and check pods ──▶ adopt(node): the kubelet's agent goes, the test's own comes

import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';
import type { DifferenceRow, EndpointRow, ProblemRow, StatusReport } from '../../src/agent/api-types.ts';
import { ask } from '../../src/cli/client.ts';
import { placesOf } from '../../sandbox/checks/places.ts';
import type { Places } from '../../sandbox/checks/places.ts';
import type { Cluster } from '../../sandbox/cluster.ts';
import { layoutFor } from '../../sandbox/layout.ts';
import type { SandboxNode } from '../../sandbox/node.ts';
import type { Pod } from '../../sandbox/objects.ts';
import { podsIn } from '../../sandbox/objects.ts';
import { removeRemains } from '../../sandbox/remains.ts';
import { MissingRequirement, requireMachine } from '../../sandbox/requirements.ts';
import { exitCodeOf } from '../../sandbox/run.ts';
import { until } from '../../sandbox/until.ts';
import { up } from '../../sandbox/up.ts';

export const checkout = join(import.meta.dirname, '..', '..');
export const seedValues = join(checkout, 'sandbox', 'seed', 'values.yaml');

/** An agent that the test runs as a process of the node. */
export type Agent = {
  readonly pid: number;
  readonly exited: Promise<number>;
  /** What it has logged so far. */
  log(): string;
  signal(name: NodeJS.Signals): void;
};

export type AgentOptions = {
  readonly values?: string;
  readonly args?: readonly string[];
  /** Goes before the agent's command line, as `setpriv …` does. */
  readonly within?: readonly string[];
};

export type Faulty = {
  readonly cluster: Cluster;
  readonly places: Places;
  /** A directory of the test's own; removed in the end. */
  readonly scratch: string;
  node(name: string): SandboxNode;
  pod(name: string, namespace?: string): Pod;
  /** A program inside a pod, with its input and output. */
  within(pod: Pod, command: readonly string[]): ChildProcess;
  start(node: SandboxNode, options?: AgentOptions): Agent;
  /** Ends the kubelets' agents for good; the nodes go on without any. */
  dismissAgents(): Promise<void>;
};

/** Why the tests of this directory cannot run here; false when they can. */
export const skip: string | false = await requireMachine().then(
  () => false as const,
  (error: unknown) => {
    if (error instanceof MissingRequirement) return error.message;
    throw error;
  },
);

/** Brings a sandbox up before the tests of a file, and takes it away after them. */
export function faultyCluster(name: string): () => Faulty {
  const stack = new AsyncDisposableStack();
  let faulty: Faulty | undefined;
  before(async () => {
    if (skip === false) faulty = await bringUp(name, stack);
  });
  after(() => stack.disposeAsync());
  return () => {
    if (faulty === undefined) throw new Error('Cannot use the sandbox before it is up');
    return faulty;
  };
}

/** The same for others than tests: it goes with the stack. */
export async function bringUp(name: string, stack: AsyncDisposableStack): Promise<Faulty> {
  const layout = layoutFor(checkout, name);
  await removeRemains(layout);
  stack.defer(async () => void (await removeRemains(layout)));
  const quiet = { line: () => undefined, step: <T>(_title: string, action: () => Promise<T>) => action() };
  const scratch = await mkdtemp(join(tmpdir(), 'stentor-faults-'));
  stack.defer(() => rm(scratch, { recursive: true, force: true }));
  return of(await up({ layout, cni: 'agent', progress: quiet, stack, signal: new AbortController().signal }), scratch);
}

function of(cluster: Cluster, scratch: string): Faulty {
  const { store, kubelets, nodes } = cluster;
  const found = <T>(what: string, value: T | undefined): T => {
    if (value === undefined) throw new Error(`Cannot find ${what} in the sandbox`);
    return value;
  };
  return {
    cluster,
    scratch,
    places: placesOf(cluster),
    node: (name) =>
      found(
        name,
        nodes.find((node) => node.name === name),
      ),
    pod: (name, namespace = 'checks') => found(name, podsIn(store, { namespace, fieldSelector: `metadata.name=${name}` })[0]),
    within(pod, command) {
      const process = found(
        `a process of ${pod.metadata.name}`,
        kubelets.map((kubelet) => kubelet.worker(pod.metadata.uid)?.container(undefined)?.process()).find((one) => one !== undefined),
      );
      const [program = '', ...rest] = process.enter(command);
      return spawn(program, rest, { env: { ...process.environment }, stdio: ['pipe', 'pipe', 'inherit'] });
    },
    start: (node, options) => startAgent(cluster, node, options),
    async dismissAgents() {
      store.delete('daemonsets.apps', { namespace: 'kube-system', name: 'cilium' }, { propagationPolicy: 'Background' });
      const agents = () => podsIn(store, { namespace: 'kube-system', labelSelector: 'k8s-app=cilium' });
      for (const agent of agents()) store.delete('pods', agent.metadata, { gracePeriodSeconds: 1 });
      await until('the agents to be gone', 10_000, () => agents().length === 0);
    },
  };
}

function startAgent({ layout }: Cluster, node: SandboxNode, { values = seedValues, args = [], within = [] }: AgentOptions = {}): Agent {
  const command = [
    ...within,
    join(checkout, 'bin', 'stentor'),
    'agent',
    '--values',
    values,
    '--node',
    node.name,
    '--kubeconfig',
    join(layout.stateDir, 'kubeconfig'),
    ...args,
  ];
  const [program = '', ...rest] = node.command(command);
  const child = spawn(program, rest, { stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
  const { promise: exited, resolve } = Promise.withResolvers<number>();
  child.on('close', (code, signal) => resolve(exitCodeOf(code, signal)));
  child.on('error', () => resolve(127));
  return { pid: child.pid ?? 0, exited, log: () => text, signal: (name) => child.kill(name) };
}

const socketOf = (node: SandboxNode): string => node.path('/run/cilium/cilium.sock');
export const problemsOn = (node: SandboxNode): Promise<readonly ProblemRow[]> => ask(socketOf(node), '/problems');
export const endpointsOn = (node: SandboxNode): Promise<readonly EndpointRow[]> => ask(socketOf(node), '/endpoints');
export const differencesOn = (node: SandboxNode): Promise<readonly DifferenceRow[]> => ask(socketOf(node), '/maps/diff');
export const statusOn = (node: SandboxNode): Promise<StatusReport> => ask(socketOf(node), '/status');

/** Waits for the agent of a node to be well and its targets to equal its tables; the milliseconds that it took. */
export async function agentReady(node: SandboxNode, agent?: Agent): Promise<number> {
  const started = performance.now();
  let last: unknown;
  const well = async () => {
    const { agent: health } = await statusOn(node);
    const differences = await differencesOn(node);
    last = { health, differences };
    return health.ok && differences.length === 0;
  };
  let dead: number | undefined;
  void agent?.exited.then((code) => (dead = code));
  const told = () => `${JSON.stringify(last)}\n${agent?.log() ?? ''}`;
  await until(`the agent of ${node.name}`, 60_000, () => {
    if (dead !== undefined) throw new Error(`Cannot wait for the agent of ${node.name}: it ended with ${dead}\n${told()}`);
    return well().catch(() => false);
  }).catch((error: unknown) => {
    throw new Error(`Cannot wait for the agent of ${node.name} any longer: ${told()}`, { cause: error });
  });
  return performance.now() - started;
}

/** The text of a values file with more lines, on a path that all nodes see. */
export async function valuesFile(faulty: Faulty, name: string, text: string): Promise<string> {
  const path = join(faulty.scratch, name);
  await mkdir(faulty.scratch, { recursive: true });
  await writeFile(path, text);
  return path;
}
