// SPDX-License-Identifier: Apache-2.0
// Load balancer IPs whose owner the bench chooses: the outside client has a route by a node to each.
import { ip } from '../src/base/ip.ts';
import { lbFrontendCodec } from '../src/datapath/schema.gen.ts';
import { CLIENT } from '../sandbox/layout.ts';
import { inNetns } from '../sandbox/network.ts';
import { isReady, podsIn } from '../sandbox/objects.ts';
import { mustRun } from '../sandbox/run.ts';
import { until } from '../sandbox/until.ts';
import type { Bench } from './cluster.ts';
import { NAMESPACE } from './cluster.ts';
import { PORT } from './loader.ts';
import { pinnedMap } from './pinned-maps.ts';

export type Vip = {
  readonly name: string;
  /** Families are told apart by its colons. */
  readonly address: string;
  /** The node that the client's packets for it go to. */
  readonly owner: string;
  readonly mode: 'snat' | 'dsr';
};

/** Of the pod `far`. */
export const servicePorts = [
  { name: 'tcp', port: PORT, protocol: 'TCP' },
  { name: 'udp', port: PORT, protocol: 'UDP' },
  { name: 'burst', port: PORT + 1, protocol: 'UDP' },
] as const;

/** The client's packets for `prefix` go by a node. */
export async function routeBy({ cluster }: Bench, prefix: string, node: string): Promise<void> {
  const by = cluster.nodes.find(({ name }) => name === node);
  const gateway = prefix.includes(':') ? by?.ipv6 : by?.ipv4;
  await mustRun([...inNetns(cluster.layout, CLIENT.name), 'ip', 'route', 'replace', prefix, 'via', gateway ?? '']);
}

/** Services in front of the pod `far`. Resolves when all nodes serve them. */
export async function createVips(bench: Bench, vips: readonly Vip[]): Promise<void> {
  const { store, nodes } = bench.cluster;
  for (const { name, address, owner, mode } of vips) {
    const metadata = { name, namespace: NAMESPACE, annotations: { 'service.cilium.io/forwarding-mode': mode } };
    const families = { ipFamilies: [address.includes(':') ? 'IPv6' : 'IPv4'] };
    store.create('services', { metadata, spec: { type: 'LoadBalancer', selector: { app: 'far' }, ports: servicePorts, ...families } });
    store.patchStatus('services', metadata, { loadBalancer: { ingress: [{ ip: address }] } });
    await routeBy(bench, `${address}/${address.includes(':') ? 128 : 32}`, owner);
  }
  const maps = nodes.map((node) => pinnedMap(node, 'lb_services'));
  const keys = vips.map(({ address }) => lbFrontendCodec.encode({ address: ip(address), port: PORT, protocol: 6 }));
  const served = () => maps.every((map) => keys.every((key) => (map.lookup(key)?.readUInt32LE(OUTSIDE_BACKENDS_AT) ?? 0) > 0));
  await until('the load balancer IPs on every node', 20_000, served);
}

/** Byte offset in struct lb_service. */
const OUTSIDE_BACKENDS_AT = 16;

/** A new agent on a node, with a change of the values. Those of the others stay as they are. */
export async function restartWith({ cluster: { store } }: Bench, node: string, [from, to]: readonly [string, string]): Promise<void> {
  const key = { namespace: 'kube-system', name: 'stentor-values' };
  const before = String(store.get('configmaps', key)?.['data']['values.yaml']);
  if (!before.includes(from)) throw new RangeError(`Cannot find '${from}' in the values`);
  const agents = () => podsIn(store, { namespace: 'kube-system', labelSelector: 'k8s-app=cilium', fieldSelector: `spec.nodeName=${node}` });
  const old = agents()[0]?.metadata;
  store.patch('configmaps', key, { data: { 'values.yaml': before.replace(from, to) } });
  if (old !== undefined) store.delete('pods', old);
  await until(`a new agent on ${node}`, 30_000, () => agents().some((pod) => pod.metadata.uid !== old?.uid && isReady(pod)));
  store.patch('configmaps', key, { data: { 'values.yaml': before } });
}

/** Frames from a NIC carry their checksums, and generic XDP needs them: those of veth do where it may not leave them out. */
export async function sumInFrames({ cluster }: Bench): Promise<void> {
  const off = ['ethtool', '-K', 'eth0', 'tx', 'off'];
  await mustRun([...inNetns(cluster.layout, CLIENT.name), ...off]);
  for (const node of cluster.nodes) await mustRun(node.enter(off));
}
