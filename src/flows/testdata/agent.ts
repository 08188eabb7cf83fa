// SPDX-License-Identifier: Apache-2.0
// What an agent knows of a small cluster: a pod of its own, one of another node, a service, two interfaces.

import { cidr, ip, macFromBytes } from '../../base/ip.ts';
import { table } from '../../base/table.ts';
import type { Writer } from '../../base/table.ts';
import type { Numbered } from '../../base/assign.ts';
import type { InterfaceRow } from '../../datapath/network.ts';
import type { EndpointRow } from '../../endpoints/endpoint.ts';
import type { EndpointIdentity } from '../../identities/endpoints.ts';
import type { IdentityRow, PodRow, RemotePod } from '../../identities/facts.ts';
import { labelsIn } from '../../identities/labels.ts';
import type { Labels } from '../../identities/labels.ts';
import { identity } from '../../identities/numbers.ts';
import type { NodeRow } from '../../nodes/node.ts';
import type { BackendSet, Frontend } from '../../services/frontends.ts';
import type { Records } from '../decoder.ts';
import type { DirectoryTables } from '../directory.ts';
import type { Flow } from '../flow.ts';

export const cartIp = ip('10.244.1.5');
export const farIp = ip('10.244.2.7');
export const nodeIp = ip('192.168.0.11');
export const otherNodeIp = ip('192.168.0.12');
export const worldIp = ip('203.0.113.80');
export const serviceIp = ip('10.96.0.10');
export const NETNS = 4242;
export const CART = 300;
export const FAR = 301;
export const SERVICE = 9;

const labelsOf = (app: string): Labels => {
  const labels = labelsIn({ 'k8s:app': app, 'k8s:io.kubernetes.pod.namespace': 'shop' });
  if (labels === undefined) throw new Error('no labels');
  return labels;
};

const cart: EndpointRow = {
  hostInterface: 'lxc0123456789ab',
  id: 17,
  interfaceIndex: 0x100011,
  containerId: 'c',
  interfaceName: 'eth0',
  netns: '/run/netns/c',
  netnsCookie: String(NETNS),
  namespace: 'shop',
  pod: 'cart-7d4-x',
  uid: 'u',
  addresses: [cartIp, ip('fd00:244:1::5')],
  mac: macFromBytes(Buffer.from('020000000005', 'hex')),
  mtu: 1500,
};

/** Tables, and writers of those that tests change. */
export function smallCluster() {
  const endpoints = table<string, EndpointRow>('endpoints', {
    indexes: { address: ({ addresses }) => addresses, netns: ({ netnsCookie }) => [netnsCookie] },
  });
  const endpointIdentities = table<string, EndpointIdentity>('endpoint_identities');
  const pods = table<string, PodRow>('pods');
  const remotePods = table<string, RemotePod>('remote_pods');
  const identities = table<string, IdentityRow>('cilium_identities');
  const interfaces = table<string, InterfaceRow>('interfaces');
  const nodes = table<string, NodeRow>('nodes');
  const frontends = table<string, Frontend>('frontends');
  const sets = table<string, BackendSet>('backend_sets');
  const setIds = table<string, Numbered>('backend_set_ids');
  const write = {
    endpoints: endpoints.writer('test'),
    pods: pods.writer('test'),
    remotePods: remotePods.writer('test'),
    frontends: frontends.writer('test'),
    nodes: nodes.writer('test'),
  };
  write.endpoints.put(cart.hostInterface, cart);
  endpointIdentities.writer('test').put(cart.hostInterface, { identity: identity(CART), labels: labelsOf('cart'), agreed: true });
  const workload = { name: 'cart', kind: 'Deployment' };
  write.pods.put('shop/cart-7d4-x', { namespace: 'shop', name: 'cart-7d4-x', uid: 'u', labels: {}, serviceAccount: 'default', workload });
  write.remotePods.put('shop/far', {
    identity: identity(FAR),
    addresses: [farIp],
    node: otherNodeIp,
    workload: { name: 'far', kind: 'StatefulSet' },
  });
  identities.writer('test').put(String(FAR), { id: identity(FAR), labels: labelsOf('far'), created: '', retired: false });
  writeNodes(interfaces.writer('test'), write.nodes);
  writeService(write.frontends, sets.writer('test'), setIds.writer('test'));
  const services = { frontends, sets, setIds };
  const tables: DirectoryTables = {
    endpoints,
    endpointIdentities,
    pods,
    remotePods,
    identities,
    interfaces,
    nodes,
    self: 'node1',
    services,
    clusterName: 'default',
  };
  return { tables, write };
}

function writeService(frontends: Writer<string, Frontend>, sets: Writer<string, BackendSet>, setIds: Writer<string, Numbered>): void {
  const set = 'shop/stock/http/TCP/IPv4';
  const at = { address: serviceIp, port: 80, protocol: 'TCP', service: 'shop/stock' } as const;
  frontends.put(`${serviceIp}:80/TCP`, at as unknown as Frontend); // as: only what is looked at
  sets.put(set, { service: 'shop/stock' } as BackendSet); // as: only what is looked at
  setIds.put(set, { id: SERVICE });
}

function writeNodes(interfaces: Writer<string, InterfaceRow>, nodes: Writer<string, NodeRow>): void {
  const addresses = [{ ip: nodeIp, bits: 24 }];
  interfaces.put('eth0', { index: 2, name: 'eth0', addresses } as unknown as InterfaceRow); // as: only what is looked at
  nodes.put('node1', { name: 'node1', addresses: [nodeIp], podCidrs: [cidr('10.244.1.0/24')] });
  nodes.put('node2', { name: 'node2', addresses: [otherNodeIp], podCidrs: [cidr('10.244.2.0/24')] });
}

const HEADER = 4;

/** As the ring buffer hands them over. */
export function recordsOf(records: readonly Buffer[]): Records {
  let at = 0;
  const starts = records.map((record) => (at += record.length + HEADER) - record.length);
  const bytes = Buffer.concat(records.flatMap((record) => [Buffer.alloc(HEADER), record]));
  records.forEach((record, index) => bytes.writeUInt32LE(record.length, (starts[index] ?? 0) - HEADER));
  return { bytes, starts };
}

/** A flow without what is not known of it. */
export function known(flow: Flow): Flow {
  return Object.fromEntries(Object.entries(flow).filter(([, value]) => value !== undefined)) as Flow; // as: what is left out may be absent
}
