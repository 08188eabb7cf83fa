// SPDX-License-Identifier: Apache-2.0
// What this node has besides its kernel: interfaces, the Kubernetes API, directories of the container runtime, an agent, tools.

import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { StatusReport } from '../agent/api-types.ts';
import type { Config } from '../agent/config.ts';
import { messageOf } from '../base/errors.ts';
import { interfaces } from '../datapath/network.ts';
import type { InterfaceRow } from '../datapath/network.ts';
import { NetlinkSocket } from '../kernel/socket.ts';
import { kubeClient } from '../kube/client.ts';
import type { KubeClient } from '../kube/client.ts';
import { kubeAccess } from '../kube/config.ts';
import type { Node } from '../kube/types.ts';
import { podMtu } from '../nodes/mtu.ts';
import { nodeRows } from '../nodes/node.ts';
import type { NodeRow } from '../nodes/node.ts';
import { uplinkReason } from '../nodes/uplink-reason.ts';
import { ask } from './client.ts';
import { tried } from './finding.ts';
import type { Finding } from './finding.ts';

export type KnownNode = {
  readonly config: Config;
  /** Its name. */ readonly node: string;
  readonly socket: string;
  readonly kubeconfig: string | undefined;
};

const PATIENCE_MS = 3000;

export async function nodeFindings(known: KnownNode): Promise<Finding[]> {
  const { config } = known;
  const [api, self] = await kubernetesFinding(known);
  return [
    ...interfaceFindings(config, self),
    api,
    ...(config.cni.install
      ? await Promise.all(
          [config.cni.confPath, config.cni.binPath].map((path) =>
            tried({ name: 'CNI directory', necessary: false, gives: 'pods; the agent makes it' }, () => writable(path)),
          ),
        )
      : []),
    await tried({ name: 'agent', necessary: false, gives: 'changes; what is programmed goes on without it' }, () =>
      agentText(known.socket),
    ),
    ...toolFindings(),
  ];
}

/** Every interface with the reason why it is an uplink or not, whether there is one, and the MTU that follows. */
function interfaceFindings({ devices, mtu }: Config, self: NodeRow | undefined): Finding[] {
  const about = { name: 'uplink', necessary: true, gives: 'a way to other nodes and out of the cluster' };
  let rows: readonly InterfaceRow[];
  try {
    using socket = NetlinkSocket.open();
    rows = interfaces(socket);
  } catch (error) {
    return [{ ...about, ok: false, found: messageOf(error) }];
  }
  const judged = rows.map((row) => ({ row, ...uplinkReason(row, self, devices) }));
  const uplinks = judged.filter(({ uplink }) => uplink);
  const lines = judged.map(({ row, uplink, reason }): Finding => ({
    name: `interface ${row.name}`,
    ok: true,
    necessary: false,
    found: `${uplink ? 'an uplink' : 'no uplink'}: ${reason}`,
    gives: '',
  }));
  const pods = podMtu(
    uplinks.map(({ row }) => row),
    mtu,
  );
  return [
    ...lines,
    {
      ...about,
      ok: uplinks.length > 0,
      found:
        uplinks.map(({ row }) => row.name).join(', ') ||
        'no interface has an address of the Node or a default route, or name one in devices',
    },
    { name: 'MTU of pods', ok: true, necessary: false, found: `${pods.mtu}: ${pods.reason}`, gives: '' },
  ];
}

/** Whether the API answers, and this node's object when it does. */
async function kubernetesFinding({ config, node, kubeconfig }: KnownNode): Promise<readonly [Finding, NodeRow | undefined]> {
  let self: NodeRow | undefined;
  const finding = await tried({ name: 'Kubernetes API', necessary: true, gives: 'services, nodes and pods' }, async () => {
    const access = await kubeAccess({
      ...(kubeconfig !== undefined && { kubeconfig }),
      servers: config.apiServers,
    });
    const client = kubeClient({ access });
    try {
      const { gitVersion } = await client.get<{ readonly gitVersion?: string }>('/version', AbortSignal.timeout(PATIENCE_MS));
      self = await nodeRow(client, node);
      return `${gitVersion} at ${client.server}, has Node ${node}`;
    } finally {
      client.close();
    }
  });
  return [finding, self];
}

async function nodeRow(client: KubeClient, name: string): Promise<NodeRow | undefined> {
  const found = await client.get<Node>(`/api/v1/nodes/${encodeURIComponent(name)}`, AbortSignal.timeout(PATIENCE_MS));
  for (const row of nodeRows(found)) if (!('kind' in row)) return row[1];
  return undefined;
}

function writable(path: string): string {
  accessSync(path, constants.W_OK);
  return path;
}

async function agentText(socket: string): Promise<string> {
  const { version, node, agent } = await ask<StatusReport>(socket, '/status');
  if (!agent.ok) throw new Error(`${version} on ${node} is not well: ${agent.message}`);
  return `${version} on ${node} is well`;
}

const tools = {
  ip: 'looking at interfaces and routes by hand',
  bpftool: 'looking at programs and maps by hand',
  kubectl: 'looking at the cluster by hand',
} as const;

function toolFindings(): Finding[] {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  return Object.entries(tools).map(([tool, gives]) => {
    const found = folders.map((folder) => join(folder, tool)).find(isExecutable);
    return { name: tool, ok: found !== undefined, necessary: false, found: found ?? 'is not in PATH', gives };
  });
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
