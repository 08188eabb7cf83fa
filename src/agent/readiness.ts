// SPDX-License-Identifier: Apache-2.0
// When the agent can serve, and whether it is well. Once it can serve, it says so to the container runtime by its conflist.

import { join } from 'node:path';
import { setTimeout as after } from 'node:timers/promises';
import { messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { AsyncReconciler } from '../base/reconcile-async.ts';
import type { Reconciler } from '../base/reconcile.ts';
import type { KubeClient } from '../kube/client.ts';
import type { Source } from '../kube/source.ts';
import type { NodeTables } from '../nodes/tables.ts';
import type { Health } from './api-types.ts';
import { confDirOf, CONFLIST, installConflist, installPlugin, watchDirectories } from './cni-install.ts';
import type { Config } from './config.ts';
import type { AgentHealth } from './healthz.ts';
import { podRanges } from './pod-network.ts';

export type ReadinessOptions = {
  readonly sources: readonly Source[];
  readonly walks: readonly (readonly Reconciler[])[];
  readonly attachments: AsyncReconciler;
  readonly nodes: NodeTables;
  readonly self: string;
  readonly config: Config;
  readonly build: string;
  readonly log: Log;
};

export type Readiness = {
  health(): AgentHealth;
  cni(): Health;
  kubernetes(client: KubeClient): Promise<Health>;
  /** Installs the plugin and the conflist as soon as the agent can serve. */
  run(signal: AbortSignal): Promise<void>;
};

const LOOK_MS = 50;
const RETRY_MS = 5000;
/** Between looks at what is installed, where no watch tells of a change. */
const CALM_MS = 60_000;
const VERSION_DEADLINE_MS = 3000;

export function readinessOf(options: ReadinessOptions): Readiness {
  const { config, log } = options;
  let cni: Health = config.cni.install
    ? { ok: false, message: 'not installed yet' }
    : { ok: true, message: 'not installed, as cni.install says' };
  let lastUpdated = 0;
  const health = (): AgentHealth => {
    const reason = missing(options) ?? (cni.ok ? undefined : `CNI: ${cni.message}`);
    const currentTime = Date.now();
    if (reason === undefined) lastUpdated = currentTime;
    return { healthy: reason === undefined, lastUpdated, currentTime, reason };
  };
  return {
    health,
    cni: () => cni,
    kubernetes: (client) => versionOf(client),
    async run(signal) {
      while (!signal.aborted && !cni.ok) {
        const reason = missing(options);
        if (reason === undefined) cni = install(options);
        if (cni.ok) log.info('Agent is ready', { cni: cni.message });
        else if (reason === undefined) log.error('Cannot install the CNI plugin', { error: cni.message });
        await after(reason === undefined && !cni.ok ? RETRY_MS : LOOK_MS, undefined, { signal }).catch(() => {});
      }
      if (!config.cni.install) return;
      const again = () => void (cni = install(options));
      watchDirectories([confDirOf(config.cni.confPath), config.cni.binPath], again, signal);
      while (!signal.aborted) {
        await after(cni.ok ? CALM_MS : RETRY_MS, undefined, { signal }).catch(() => {});
        if (!signal.aborted) again();
      }
    },
  };
}

/** What is missing before pods can be served, or what fails. */
function missing({ sources, walks, attachments, nodes, self, config }: ReadinessOptions): string | undefined {
  const unsynced = sources.find((source) => !source.status.synced);
  if (unsynced)
    return `${unsynced.name} of the Kubernetes API are not known yet${unsynced.status.error === undefined ? '' : `: ${unsynced.status.error}`}`;
  const ranges = podRanges(nodes, self, config);
  if (typeof ranges === 'string') return ranges;
  if (!nodes.uplinks.complete) return `the interfaces of Node ${self} are not known yet`;
  if (nodes.uplinks.size === 0) return `No interface has an address of Node ${self} or a default route, wanted an uplink`;
  const { error, pending } = attachments.status;
  if (error !== undefined) return `Cannot attach programs: ${error}`;
  if (pending > 0) return 'programs are not attached yet';
  const failing = walks.flat().find((one) => one.status.error !== undefined);
  return failing && `${failing.name}: ${failing.status.error}`;
}

/** Idempotent: what is there is left as it is. */
function install({ config, build, log }: ReadinessOptions): Health {
  const directory = confDirOf(config.cni.confPath);
  try {
    installPlugin(join(build, 'cni', 'cilium-cni'), config.cni.binPath);
    const others = installConflist(directory, config.cni.exclusive);
    if (others.length > 0) log.info('Put other network configurations aside, as cni.exclusive says', { directory, files: others });
    return { ok: true, message: join(directory, CONFLIST) };
  } catch (error) {
    return { ok: false, message: messageOf(error) };
  }
}

/** '1.33 (v1.33.1) [linux/amd64]'. */
async function versionOf(client: KubeClient): Promise<Health> {
  try {
    const found = await client.get<{ major?: string; minor?: string; gitVersion?: string; platform?: string }>(
      '/version',
      AbortSignal.timeout(VERSION_DEADLINE_MS),
    );
    return { ok: true, message: `${found.major}.${found.minor} (${found.gitVersion}) [${found.platform}] at ${client.server}` };
  } catch (error) {
    return { ok: false, message: messageOf(error) };
  }
}
