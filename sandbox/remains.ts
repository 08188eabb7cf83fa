// SPDX-License-Identifier: Apache-2.0
// Removes a sandbox without knowing how far it came: what `down` does, and what `up` does first after a crash.
import { rm, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { removeCgroup, sandboxCgroup } from './cgroup.ts';
import type { Layout } from './layout.ts';
import { removeNetwork } from './network.ts';

export type RemoveOptions = {
  /** Logs of pods stay in the state directory. */
  readonly keepLogs?: boolean;
};

/** Ends the sandbox's processes, then its cgroups, namespaces and files. True if there was anything. */
export async function removeRemains(layout: Layout, { keepLogs = false }: RemoveOptions = {}): Promise<boolean> {
  const cgroup = await sandboxCgroup(layout);
  const hadProcesses = await removeCgroup(cgroup);
  await rmdir(dirname(cgroup)).catch(() => undefined); // another sandbox may be in it
  const namespaces = await removeNetwork(layout);
  const kept = keepLogs ? ['nodes', 'kubeconfig', 'api', 'api.sock'].map((name) => join(layout.stateDir, name)) : await ownFiles(layout);
  await Promise.all(kept.map((path) => rm(path, { recursive: true, force: true })));
  return hadProcesses || namespaces > 0;
}

/** The unnamed sandbox shares its directory with the named ones. */
async function ownFiles({ name, stateDir }: Layout): Promise<string[]> {
  if (name !== '') return [stateDir];
  return ['nodes', 'kubeconfig', 'api', 'api.sock', 'pods'].map((entry) => join(stateDir, entry));
}
