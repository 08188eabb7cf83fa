// SPDX-License-Identifier: Apache-2.0
// Every command by its name. One is imported when it is called: `status` does not pay for `agent`.

import type { Run } from './command.ts';

export type Command = {
  readonly name: string;
  readonly does: string;
  /** `options`: those that the help does not name one by one. */
  readonly load: () => Promise<{ readonly run: Run; readonly help: string; readonly options?: readonly string[] }>;
};

const commands: readonly Command[] = [
  { name: 'status', does: 'how the agent of this node is', load: () => import('./status.ts') },
  { name: 'doctor', does: 'whether this node has what is needed, and what is missing', load: () => import('./doctor.ts') },
  { name: 'trace', does: 'what becomes of a packet, and why, without sending one', load: () => import('./trace.ts') },
  { name: 'service', does: 'service list: every frontend with its backends; service get ID', load: () => import('./service.ts') },
  { name: 'lrp', does: 'lrp list: what is redirected to pods of this node', load: () => import('./lrp.ts') },
  { name: 'vip', does: 'who answers for load balancer addresses on the LAN; vip why ADDRESS', load: () => import('./vip.ts') },
  { name: 'endpoint', does: 'endpoint list: every pod of this node; endpoint get ID|POD', load: () => import('./endpoint.ts') },
  { name: 'node', does: 'node list: every node of the cluster', load: () => import('./node.ts') },
  { name: 'ip', does: 'ip list: who is behind an address', load: () => import('./ip.ts') },
  { name: 'problems', does: 'what somebody has to repair, and how', load: () => import('./problems.ts') },
  { name: 'drops', does: 'packets that were dropped, and why; -f goes on', load: () => import('./drops.ts') },
  { name: 'observe', does: 'flows of the whole cluster, as hubble shows them', load: () => import('./hubble/observe.ts') },
  { name: 'bpf', does: 'bpf lb list, ct list global, nat list: what the kernel has', load: () => import('./bpf.ts') },
  { name: 'tables', does: 'what the agent knows', load: () => import('./tables.ts') },
  { name: 'shell', does: 'shell -- db/show l2-announce: a table by the name that Cilium gives it', load: () => import('./shell.ts') },
  { name: 'maps', does: 'maps --diff: where the kernel differs from it', load: () => import('./maps.ts') },
  { name: 'uninstall', does: 'uninstall --node: take everything of ours from this node', load: () => import('./uninstall.ts') },
  { name: 'agent', does: 'be the agent of this node', load: () => import('./agent.ts') },
  { name: 'operator', does: 'be one of the operators of the cluster', load: () => import('./operator.ts') },
  { name: 'relay', does: 'be a relay: the flows of all nodes at one address', load: () => import('./relay.ts') },
  { name: 'hubble-ui', does: 'serve the web page', load: () => import('./hubble-ui.ts') },
  { name: 'completion', does: 'a script that makes bash or zsh complete all this', load: () => import('./completion.ts') },
  { name: 'version', does: 'the version of this program', load: () => import('./version.ts') },
];

/** Those that the program has under the name by which the user called it. */
export async function commandsOf(name: string): Promise<readonly Command[]> {
  return name === 'hubble' ? (await import('./hubble-commands.ts')).hubbleCommands : commands;
}
