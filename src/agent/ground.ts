// SPDX-License-Identifier: Apache-2.0
// What everything else of the agent stands on: its configuration, the loaded data plane, and the ways to the kernel and to Kubernetes.

import { dirname, join } from 'node:path';
import { logTo } from '../base/log.ts';
import type { Log } from '../base/log.ts';
import { problemBook } from '../base/problem.ts';
import type { ProblemBook } from '../base/problem.ts';
import { loadDatapath } from '../datapath/programs.ts';
import type { Datapath } from '../datapath/programs.ts';
import type { Config as Knobs } from '../datapath/schema.gen.ts';
import { NetlinkSocket } from '../kernel/socket.ts';
import { kubeClient } from '../kube/client.ts';
import type { KubeClient } from '../kube/client.ts';
import { kubeAccess } from '../kube/config.ts';
import { learnedServers } from './api-servers.ts';
import type { LearnedServers } from './api-servers.ts';
import { API_SOCKET } from './api-types.ts';
import { readConfig } from './config.ts';
import type { Config } from './config.ts';
import { agentOptions } from './options.ts';
import type { AgentOptions } from './options.ts';
import { requireNode } from './requirements.ts';
import { requireNobodyAt } from './unix-socket.ts';

export type Ground = {
  readonly options: AgentOptions;
  readonly config: Config;
  /** Name of this node's Node object. */
  readonly self: string;
  readonly log: Log;
  readonly problems: ProblemBook;
  readonly client: KubeClient;
  /** Where else the Kubernetes API is. */
  readonly learned: LearnedServers;
  readonly datapath: Datapath;
  readonly netlink: NetlinkSocket;
  /** Directory of pinned links. */
  readonly links: string;
  readonly signal: AbortSignal;
};

/** What is opened is closed by `end`. Throws, in one sentence each, what keeps an agent from running here. */
export async function groundOf(args: readonly string[], end: AsyncDisposableStack, signal: AbortSignal): Promise<Ground> {
  const options = agentOptions(args);
  const { config, warnings, planned } = readConfig(options.values);
  const self = options.node;
  const log = logTo((line) => process.stderr.write(line), { node: self });
  requireNode(config);
  await requireNobodyAt(API_SOCKET);
  const { kubeconfig } = options;
  const learned = learnedServers(join(dirname(options.state), 'api-servers.json'));
  const given = { servers: config.apiServers, learned: learned.urls };
  const access = await kubeAccess({ ...(kubeconfig !== undefined && { kubeconfig }), ...given });
  const client = end.adopt(kubeClient({ access }), (one) => one.close());
  signal.addEventListener('abort', () => client.close()); // a call that a silent server has had for long would hold up the end
  const pins = join(config.bpfRoot, 'stentor');
  const netlink = end.use(NetlinkSocket.open());
  const objects = { objectDirectory: join(options.build, 'bpf'), pinDirectory: join(pins, 'maps'), config: knobs(config, netlink) };
  const datapath = end.use(await loadDatapath(objects));
  const problems = problemBook();
  problems.report('values', warnings);
  if (planned.length > 0) log.info('Values without effect in this version', { values: planned });
  return { options, config, self, log, problems, client, learned, datapath, netlink, links: join(pins, 'links'), signal };
}

function knobs(config: Config, { netnsCookie }: NetlinkSocket): Partial<Knobs> {
  return {
    masqueradeIpv4: Number(config.masquerade.ipv4),
    masqueradeIpv6: Number(config.masquerade.ipv6),
    socketLbHostOnly: Number(config.socketLbHostOnly),
    hostNetnsCookie: netnsCookie,
    natPortFirst: config.nodePort.last + 1,
    maglevSeed: config.loadBalancer.balance.seed,
    watchFlows: Number(config.hubble.enabled),
    dsrGeneve: Number(config.loadBalancer.dispatch === 'geneve'),
    noBackendReject: Number(config.loadBalancer.noBackendResponse === 'reject'),
  };
}
