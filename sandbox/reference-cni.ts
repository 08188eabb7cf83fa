// SPDX-License-Identifier: Apache-2.0
// The CNI project's own plugins instead of the agent (Debian: containernetworking-plugins): pods reach pods, and that is
// all. For work on the sandbox itself, and to tell whose fault something is.
import { copyFile, writeFile } from 'node:fs/promises';
import { nodesIn } from './objects.ts';
import type { Cluster } from './cluster.ts';
import { mustRun } from './run.ts';
import { until } from './until.ts';

const PLUGINS = '/usr/lib/cni';

/** Gives every node a configuration, the programs, and routes to the other nodes' pods. */
export async function installReferenceCni({ store, nodes }: Cluster): Promise<void> {
  await until('pod ranges', 5_000, () => nodesIn(store).every(({ spec }) => spec.podCIDRs !== undefined));
  const ranges = new Map(nodesIn(store).map(({ metadata, spec }) => [metadata.name, spec.podCIDRs ?? []]));
  for (const node of nodes) {
    const routes = nodes
      .filter((other) => other !== node)
      .flatMap((other) =>
        (ranges.get(other.name) ?? []).map((range) => `route add ${range} via ${range.includes(':') ? other.ipv6 : other.ipv4}`),
      );
    await mustRun(node.enter(['ip', '-batch', '-']), { input: `${routes.join('\n')}\n` });
    for (const plugin of ['ptp', 'host-local']) await copyFile(`${PLUGINS}/${plugin}`, node.path(`/opt/cni/bin/${plugin}`));
    const ipam = {
      type: 'host-local',
      ranges: (ranges.get(node.name) ?? []).map((subnet) => [{ subnet }]),
      routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }],
    };
    const list = { cniVersion: '1.0.0', name: 'reference', plugins: [{ type: 'ptp', ipam }] };
    await writeFile(node.path('/etc/cni/net.d/10-reference.conflist'), JSON.stringify(list));
  }
}
