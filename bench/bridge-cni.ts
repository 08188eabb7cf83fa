// SPDX-License-Identifier: Apache-2.0
// What a user would have without us: the CNI project's bridge and host-local plugins (Debian: containernetworking-plugins)
// and a static route to each other node's pods.
import { copyFile, writeFile } from 'node:fs/promises';
import type { Cluster } from '../sandbox/cluster.ts';
import { nodesIn } from '../sandbox/objects.ts';
import { mustRun } from '../sandbox/run.ts';
import { until } from '../sandbox/until.ts';

const PLUGINS = '/usr/lib/cni';

/** Gives every node a configuration, the programs, and routes to the other nodes' pods. */
export async function installBridgeCni({ store, nodes }: Cluster): Promise<void> {
  await until('pod ranges', 5_000, () => nodesIn(store).every(({ spec }) => spec.podCIDRs !== undefined));
  const ranges = new Map(
    nodesIn(store).map(({ metadata, spec }) => [metadata.name, spec.podCIDRs?.find((range) => !range.includes(':')) ?? '']),
  );
  for (const node of nodes) {
    const routes = nodes.filter((other) => other !== node).map((other) => `route add ${ranges.get(other.name)} via ${other.ipv4}`);
    await mustRun(node.enter(['ip', '-batch', '-']), { input: `${routes.join('\n')}\n` });
    for (const plugin of ['bridge', 'host-local']) await copyFile(`${PLUGINS}/${plugin}`, node.path(`/opt/cni/bin/${plugin}`));
    await writeFile(node.path('/etc/cni/net.d/10-bridge.conflist'), JSON.stringify(bridgeList(ranges.get(node.name) ?? '')));
  }
}

/** As kubeadm's users write it; hairpin mode lets a pod reach itself through a service. */
export const bridgeList = (subnet: string): object => ({
  cniVersion: '1.0.0',
  name: 'bridge',
  plugins: [
    {
      type: 'bridge',
      bridge: 'cni0',
      isGateway: true,
      hairpinMode: true,
      ipam: { type: 'host-local', ranges: [[{ subnet }]], routes: [{ dst: '0.0.0.0/0' }] },
    },
  ],
});
