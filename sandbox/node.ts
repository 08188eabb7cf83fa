// SPDX-License-Identifier: Apache-2.0
// A node: a network namespace, a mount namespace and a cgroup that one sleeping process keeps alive.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { StentorError } from '../src/base/errors.ts';
import { createCgroup, inCgroup } from './cgroup.ts';
import { netnsPath, NODES } from './layout.ts';
import type { Host, Layout } from './layout.ts';

export type SandboxNode = Host & {
  /** The process whose namespaces are the node's. */
  readonly pid: number;
  /** The node's cgroup as the machine sees it; the node sees it as /sys/fs/cgroup. */
  readonly cgroup: string;
  /** Of pods that run outside of the node's cgroup, where socket hooks do not see them. */
  readonly outsideCgroup: string;
  /** A path on the node as the machine sees it. */
  path(onNode: string): string;
  /** A command that runs on the node as one of its own processes. */
  command(command: readonly string[]): string[];
  /** A command that runs in the namespaces of the node but in no cgroup of it; for the kubelet's own helpers. */
  enter(command: readonly string[], namespaces?: readonly string[]): string[];
};

/** Starts a node in a network namespace that exists. Throws with what the node's set-up said. */
export async function startNode(layout: Layout, host: Host, sandboxCgroup: string): Promise<SandboxNode> {
  const cgroup = join(sandboxCgroup, host.name);
  const outsideCgroup = join(sandboxCgroup, 'outside');
  const scratch = join(layout.stateDir, 'nodes', host.name);
  await Promise.all([join(cgroup, 'system'), join(cgroup, 'kubepods'), outsideCgroup].map(createCgroup));
  await mkdir(scratch, { recursive: true });
  const script = join(import.meta.dirname, 'node.sh');
  const namespaces = [`--net=${netnsPath(layout, host.name)}`, 'unshare', '--mount', '--uts', '--propagation', 'slave'];
  const holder = spawn('nsenter', [...namespaces, 'sh', script, host.name, cgroup, scratch, hostsFile()], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  await ready(holder, host.name);
  if (holder.pid === undefined) throw new StentorError('NODE_FAILED', `Cannot start ${host.name}: it has no process`);
  holder.unref();
  return nodeOf(host, holder.pid, cgroup, outsideCgroup);
}

function nodeOf(host: Host, pid: number, cgroup: string, outsideCgroup: string): SandboxNode {
  const enter = (command: readonly string[], namespaces = ['--net', '--mount', '--uts']) => [
    'nsenter',
    '--target',
    `${pid}`,
    ...namespaces,
    '--',
    ...command,
  ];
  return {
    ...host,
    pid,
    cgroup,
    outsideCgroup,
    path: (onNode) => join(`/proc/${pid}/root`, onNode),
    command: (command) => inCgroup(join(cgroup, 'system'), enter(command)),
    enter,
  };
}

async function ready(holder: ChildProcess, name: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let said = '';
  holder.stdout?.on('data', (chunk: Buffer) => chunk.toString().includes('ready') && resolve());
  holder.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()));
  holder.on('error', reject);
  holder.on('exit', (code) => reject(new StentorError('NODE_FAILED', `Cannot start ${name}: exit code ${code}, ${said.trim()}`)));
  await promise;
  holder.stdout?.destroy();
  holder.stderr?.destroy();
}

const hostsFile = (): string =>
  ['127.0.0.1 localhost', '::1 localhost', ...NODES.flatMap(({ name, ipv4, ipv6 }) => [`${ipv4} ${name}`, `${ipv6} ${name}`])].join('\n');
