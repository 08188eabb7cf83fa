// SPDX-License-Identifier: Apache-2.0
// What the machine must offer before anything is created, and one sentence for whatever it does not.
import { readFile } from 'node:fs/promises';
import { StentorError } from '../src/base/errors.ts';
import { cgroup2Mount } from './cgroup.ts';
import { run } from './run.ts';

/** The sandbox cannot run on this machine. */
export class MissingRequirement extends StentorError {
  constructor(sentence: string) {
    super('MISSING_REQUIREMENT', sentence);
  }
}

const PROGRAMS: Readonly<Record<string, string>> = {
  ip: 'iproute2',
  nsenter: 'util-linux',
  unshare: 'util-linux',
  script: 'bsdutils',
  socat: 'socat',
  curl: 'curl',
  ethtool: 'ethtool',
  ping: 'iputils-ping',
  tcpdump: 'tcpdump',
};

const FILE_SYSTEMS = ['overlay', 'tmpfs', 'sysfs', 'bpf'] as const;

/** Throws MissingRequirement for the first thing that is missing. */
export async function requireMachine(): Promise<void> {
  if (process.getuid?.() !== 0) throw new MissingRequirement('The sandbox makes network namespaces and mounts, so it must run as root');
  const [mounts, fileSystems] = await Promise.all([readFile('/proc/mounts', 'utf8'), readFile('/proc/filesystems', 'utf8')]);
  if (cgroup2Mount(mounts) === undefined)
    throw new MissingRequirement('No cgroup2 file system is mounted, wanted one at /sys/fs/cgroup or /sys/fs/cgroup/unified');
  for (const name of FILE_SYSTEMS)
    if (!fileSystems.split(/\s+/).includes(name))
      throw new MissingRequirement(`The kernel has no file system of type ${name}, and each node needs one`);
  for (const [program, debianPackage] of Object.entries(PROGRAMS))
    if ((await run(['sh', '-c', `command -v ${program}`])).code !== 0)
      throw new MissingRequirement(`The program ${program} is missing, which Debian has in the package ${debianPackage}`);
  const tried = await run([
    'unshare',
    '--net',
    '--mount',
    '--uts',
    'sh',
    '-c',
    'mount -t sysfs sysfs /sys && mount -t bpf bpf /sys/fs/bpf',
  ]);
  if (tried.code !== 0) throw new MissingRequirement(`This machine refuses namespaces and mounts (CAP_SYS_ADMIN): ${tried.stderr.trim()}`);
}
