// SPDX-License-Identifier: Apache-2.0
// What the agent is told on its command line and by its pod's environment; all else is in the values file.

import { hostname } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

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
};

const BUILD = fileURLToPath(new URL('../../build', import.meta.url));

/** Throws TypeError for options that do not exist. */
export function agentOptions(args: readonly string[]): AgentOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      values: { type: 'string', default: '/etc/stentor/values.yaml' },
      node: { type: 'string', default: process.env['K8S_NODE_NAME'] ?? hostname() },
      kubeconfig: { type: 'string' },
      build: { type: 'string', default: BUILD },
      state: { type: 'string', default: '/var/run/cilium/state' },
    },
  });
  return { ...values, kubeconfig: values.kubeconfig };
}
