// SPDX-License-Identifier: Apache-2.0
// The sandbox's part of the cgroup2 tree. Every process of a sandbox is in it, so what a crash left is found here.
//
//   <cgroup2>/stentor-sandbox/<name>/node1/system          the node's own processes
//                                   /node1/kubepods/pod<uid>/<container>
//                                   /outside/pod<uid>/<container>      pods that bypass the socket hooks
import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf, StentorError } from '../src/base/errors.ts';
import type { Layout } from './layout.ts';
import { until } from './until.ts';

/** Where cgroup2 is mounted, from the text of /proc/mounts; works on v1 with a unified part and on v2 hosts. */
export const cgroup2Mount = (mounts: string): string | undefined =>
  mounts
    .split('\n')
    .map((line) => line.split(' '))
    .find(([, , type]) => type === 'cgroup2')?.[1];

/** The directory of a sandbox in the cgroup2 tree. Throws when cgroup2 is not mounted. */
export async function sandboxCgroup(layout: Layout): Promise<string> {
  const mount = cgroup2Mount(await readFile('/proc/mounts', 'utf8'));
  if (mount === undefined)
    throw new StentorError('NO_CGROUP2', 'Cannot find a cgroup2 file system in /proc/mounts, wanted one at /sys/fs/cgroup or below');
  return join(mount, 'stentor-sandbox', layout.name === '' ? 'default' : layout.name);
}

/** The shell's way into a cgroup: the command is started there. */
export const inCgroup = (cgroup: string, command: readonly string[]): string[] => [
  '/bin/sh',
  '-c',
  'echo 0 >"$0/cgroup.procs" && exec "$@"',
  cgroup,
  ...command,
];

export const createCgroup = (path: string): Promise<unknown> => mkdir(path, { recursive: true });

/** Kills what is in a cgroup and below. More may come in afterwards: a container that was just starting. False when it is gone. */
async function killOnce(path: string): Promise<boolean> {
  try {
    await writeFile(join(path, 'cgroup.kill'), '1');
    return true;
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENODEV') return false;
    throw error;
  }
}

/** Kills all processes in a cgroup and below, and waits until they are gone. */
async function killCgroup(path: string): Promise<void> {
  const ended = async () => !(await isPopulated(path)) || !(await killOnce(path));
  await until(`processes in ${path} to end`, 10_000, ended);
}

/** Kills what runs in a cgroup and removes it with everything below. True if it existed. */
export async function removeCgroup(path: string): Promise<boolean> {
  await killCgroup(path);
  return removeTree(path);
}

async function removeTree(path: string): Promise<boolean> {
  try {
    const entries = await readdir(path, { withFileTypes: true });
    for (const entry of entries) if (entry.isDirectory()) await removeTree(join(path, entry.name));
    await until(`cgroup ${path} to be empty`, 5_000, () => removedDirectory(path));
    return true;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false;
    throw error;
  }
}

async function removedDirectory(path: string): Promise<boolean> {
  try {
    await rmdir(path);
    return true;
  } catch (error) {
    if (codeOf(error) !== 'EBUSY') throw error;
    return !(await killOnce(path)); // a process came in after the others were killed
  }
}

async function isPopulated(path: string): Promise<boolean> {
  try {
    return (await readFile(join(path, 'cgroup.events'), 'utf8')).includes('populated 1');
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENODEV') return false;
    throw error;
  }
}
