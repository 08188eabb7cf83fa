// SPDX-License-Identifier: Apache-2.0
// The agents of the nodes: where commands run, and what dies in some checks.
import type { Cluster } from '../cluster.ts';
import { podsIn } from '../objects.ts';
import type { Pod } from '../objects.ts';
import { CheckFailed, expect } from './check.ts';
import { podPlace } from './places.ts';
import type { Place } from './places.ts';

const podOn = ({ store }: Cluster, node: string): Pod | undefined =>
  podsIn(store, { namespace: 'kube-system', labelSelector: 'k8s-app=cilium', fieldSelector: `spec.nodeName=${node}` })[0];

/** The agent of a node, whose container has the commands. */
export const agentOn = ({ cluster }: { readonly cluster: Cluster }, node: string): Place =>
  podPlace(cluster, podOn(cluster, node), `cilium on ${node}`);

/** What a command says in a container; CheckFailed with its exit code and words if that is not 0. */
export async function said(agent: Place, command: readonly string[]): Promise<string> {
  const ran = await agent.run(command, 15_000);
  expect(ran.code === 0, `'${command.join(' ')}' in ${agent.name}: exit code ${ran.code}, ${(ran.stdout + ran.stderr).trim()}`);
  return ran.stdout;
}

/** Kills a node's agent with SIGKILL; returns what tells whether the next one is ready. */
export function killAgent(cluster: Cluster, node: string): () => boolean {
  const container = () => podOn(cluster, node)?.status?.containerStatuses?.[0];
  const restarts = container()?.restartCount ?? 0;
  const agent = cluster.kubelets
    .find((kubelet) => kubelet.node.name === node)
    ?.worker(podOn(cluster, node)?.metadata.uid ?? '')
    ?.container(undefined)
    ?.process();
  if (agent === undefined) throw new CheckFailed(`There is no agent on ${node}`);
  process.kill(agent.pid, 'SIGKILL');
  return () => container()?.restartCount === restarts + 1 && container()?.ready === true;
}
