// SPDX-License-Identifier: Apache-2.0
// What the agent is told on its command line and by its pod's environment; all else is in the values file.

import { hostname } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { StentorError } from '../base/errors.ts';

export type AgentOptions = {
  /** Path of the Helm values file. */
  readonly values: string;
  /** Name of this node's Node object. */
  readonly node: string;
  /** Path of a kubeconfig file; undefined: the credentials of the pod. */
  readonly kubeconfig: string | undefined;
  /** Holds the compiled programs and the CNI plugin: `bpf/*.bpf.o`, `cni/cilium-cni`. */
  readonly build: string;
  /** Where endpoints are kept. */
  readonly state: string;
  /** Where flows are kept: on a disk that outlives the machine's next start. */
  readonly history: string;
  /** Milliseconds in which every target is looked at again. */
  readonly refreshMs: number;
};

/** Not below /var/run, which is memory. */
export const HISTORY = '/var/lib/cilium/history';

const BUILD = fileURLToPath(new URL('../../build', import.meta.url));

/** Throws StentorError for options that do not exist. */
export function agentOptions(args: readonly string[]): AgentOptions {
  const { values } = parsed(args);
  const { refresh, kubeconfig, ...rest } = values;
  const seconds = Number(refresh);
  if (!(seconds >= 1 && seconds <= 86_400))
    throw new StentorError('BadOption', `Cannot start the agent with --refresh ${refresh}, wanted seconds from 1 to 86400`);
  return { ...rest, kubeconfig, refreshMs: seconds * 1000 };
}

function parsed(args: readonly string[]) {
  const config = {
    args: [...args],
    options: {
      values: { type: 'string', default: '/etc/stentor/values.yaml' },
      node: { type: 'string', default: process.env['K8S_NODE_NAME'] ?? hostname() },
      kubeconfig: { type: 'string' },
      build: { type: 'string', default: BUILD },
      state: { type: 'string', default: '/var/run/cilium/state' },
      history: { type: 'string', default: HISTORY },
      refresh: { type: 'string', default: '60' },
    },
  } as const;
  try {
    return parseArgs(config);
  } catch (cause) {
    throw new StentorError('BadOption', 'Cannot start the agent', { cause });
  }
}
