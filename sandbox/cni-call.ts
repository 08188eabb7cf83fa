// SPDX-License-Identifier: Apache-2.0
// The node's plugin, called as a container runtime calls it.
import type { SandboxNode } from './node.ts';
import { run } from './run.ts';
import type { Ran } from './run.ts';

export type CniCall = {
  readonly command?: string;
  readonly container: string;
  readonly netns?: string;
  readonly pod?: string;
  readonly interfaceName?: string;
  readonly input?: string | Buffer;
  readonly env?: Readonly<Record<string, string>>;
};

export const networkConfig = JSON.stringify({ cniVersion: '1.0.0', name: 'cilium', type: 'cilium-cni' });

/** Standard output is CNI's answer, also when the exit code is not 0. */
export function cni(
  node: SandboxNode,
  { command = 'ADD', container, netns = '', pod = container, interfaceName = 'eth0', input = networkConfig, env = {} }: CniCall,
): Promise<Ran> {
  const variables = {
    CNI_COMMAND: command,
    CNI_CONTAINERID: container,
    CNI_NETNS: netns,
    CNI_IFNAME: interfaceName,
    CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=faults;K8S_POD_NAME=${pod}`,
    CNI_PATH: '/opt/cni/bin',
    ...env,
  };
  return run(node.enter(['/opt/cni/bin/cilium-cni'], ['--net', '--mount']), {
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', ...variables },
    input: input.toString(),
    timeoutMs: 20_000,
  });
}
