// SPDX-License-Identifier: Apache-2.0
// A container is one process tree in a cgroup of its own. Its output goes straight into a file.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdir, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createCgroup, inCgroup, removeCgroup } from '../cgroup.ts';
import type { SandboxNode } from '../node.ts';
import { exitCodeOf } from '../run.ts';
import type { Mount } from './volumes.ts';

export type ContainerOptions = {
  readonly node: SandboxNode;
  /** As the node sees it; undefined for a pod in the node's network. */
  readonly netns: string | undefined;
  readonly cgroup: string;
  readonly hostname: string;
  readonly directory: string;
  readonly mounts: readonly Mount[];
  readonly environment: Readonly<Record<string, string>>;
  readonly command: readonly string[];
  readonly logFile: string;
};

export type ContainerProcess = {
  readonly pid: number;
  /** Resolves when the main process has ended and the rest of its tree is gone. */
  readonly exited: Promise<number>;
  terminate(): void;
  /** Ends everything in the container's cgroup. */
  kill(): Promise<void>;
  /** A command that runs inside the container. */
  enter(command: readonly string[]): string[];
  readonly environment: Readonly<Record<string, string>>;
};

const SCRIPT = join(import.meta.dirname, 'container.sh');

/** Starts a container. Throws when its first process cannot be made; a bad command is exit code 127 and a log line. */
export async function startProcess(options: ContainerOptions): Promise<ContainerProcess> {
  await createCgroup(options.cgroup);
  await mkdir(dirname(options.logFile), { recursive: true });
  const [program = '', ...parameters] = commandLine(options);
  const log = await open(options.logFile, 'a');
  let child: ChildProcess;
  try {
    child = spawn(program, parameters, { stdio: ['ignore', log.fd, log.fd], env: { ...options.environment } });
  } finally {
    await log.close();
  }
  const exited = exitOf(child, options.cgroup);
  const pid = child.pid;
  if (pid === undefined) throw new Error(`Cannot start a container: ${await exited}`);
  return {
    pid,
    exited,
    terminate: () => child.kill('SIGTERM'),
    kill: async () => void (await removeCgroup(options.cgroup)),
    enter: (command) => inCgroup(options.cgroup, ['nsenter', '--target', `${pid}`, '--mount', '--net', '--uts', '--wd', '--', ...command]),
    environment: options.environment,
  };
}

function commandLine({ node, netns, cgroup, hostname, directory, mounts, command }: ContainerOptions): string[] {
  const network = netns === undefined ? ['--net', '--uts'] : [`--net=${node.path(netns)}`];
  const own = netns === undefined ? ['--mount'] : ['--mount', '--uts'];
  const binds = mounts.flatMap(({ source, target, readOnly }) => [source, target, readOnly ? 'ro' : 'rw']);
  const script = ['/bin/sh', SCRIPT, netns === undefined ? '' : hostname, directory, ...binds, '--', ...command];
  return inCgroup(cgroup, node.enter(['unshare', ...own, '--propagation', 'slave', ...script], ['--mount', ...network]));
}

async function exitOf(child: ChildProcess, cgroup: string): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  child.on('exit', (code, signal) => resolve(exitCodeOf(code, signal)));
  child.on('error', () => resolve(127));
  const code = await promise;
  await removeCgroup(cgroup);
  return code;
}
