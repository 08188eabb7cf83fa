// SPDX-License-Identifier: Apache-2.0
// The tables of node1 of the cluster in bpf/test/cluster.ts, filled by the shipped derivations.

import {
  at,
  backendsOf,
  families,
  localPodObject,
  nodes as nodeObjects,
  redirectObjects,
  serviceObject,
  sliceObject,
} from '../../../bpf/test/cluster.ts';
import type { ServiceName } from '../../../bpf/test/cluster.ts';
import { cidr, ip, parseMac } from '../../base/ip.ts';
import { problemBook } from '../../base/problem.ts';
import type { ProblemBook } from '../../base/problem.ts';
import { table } from '../../base/table.ts';
import type { Writer } from '../../base/table.ts';
import { configDefaults } from '../../datapath/schema.gen.ts';
import { AttachType } from '../../kernel/link.ts';
import type { EndpointRow } from '../../endpoints/endpoint.ts';
import { endpointTables } from '../../endpoints/tables.ts';
import type { EndpointTables } from '../../endpoints/tables.ts';
import { identity } from '../../identities/numbers.ts';
import { identitySources } from '../../identities/tables.ts';
import type { PodMtu } from '../../nodes/mtu.ts';
import { nodeRows } from '../../nodes/node.ts';
import { nodeTables } from '../../nodes/tables.ts';
import type { NodeTables } from '../../nodes/tables.ts';
import { localPodRows } from '../../redirects/local-pod.ts';
import { policyRows } from '../../redirects/policy.ts';
import { redirectTables, skipTables } from '../../redirects/tables.ts';
import { servicesBefore } from '../../services/before.ts';
import { serviceRows, sliceRows } from '../../services/service.ts';
import { serviceTables } from '../../services/tables.ts';
import { serviceSources } from '../../services/sources.ts';
import { usualOptions } from '../../services/testdata/options.ts';
import type { TraceTables } from '../trace.ts';

const UPLINK = 10;
const STRANGER = 12;
const noMac = parseMac('02:00:00:00:00:00');
if (noMac === undefined) throw new RangeError('Cannot read a MAC that is one');

export const pods: readonly EndpointRow[] = (['podA', 'podB'] as const).map((name, i) => ({
  hostInterface: `lxc-${name.at(-1)?.toLowerCase()}`,
  id: i + 1,
  interfaceIndex: 21 + i,
  containerId: name,
  interfaceName: 'eth0',
  netns: '',
  netnsCookie: '',
  namespace: 'shop',
  pod: name,
  uid: name,
  addresses: families.map((family) => ip(at[family][name])),
  mac: noMac,
  mtu: 1500,
}));

export type Node1Options = Partial<Pick<TraceTables, 'masquerade' | 'natPortFirst' | 'noBackendReject' | 'socketLbHostOnly'>> & {
  readonly endpoints?: readonly EndpointRow[];
  /** Whether processes are in the cgroup of the socket programs. */
  readonly sockets?: boolean;
  /** Pods whose sockets stay as they are. */
  readonly exempt?: readonly string[];
  /** Whether the pod that policies lead to is ready. */
  readonly redirected?: boolean;
};

export function node1({
  endpoints: rows = pods,
  sockets = true,
  masquerade = { ipv4: true, ipv6: true },
  natPortFirst = configDefaults.natPortFirst,
  noBackendReject = true,
  socketLbHostOnly = false,
  exempt = [],
  redirected = true,
}: Node1Options = {}): TraceTables {
  const problems = problemBook();
  const podMtu = table<'now', PodMtu>('pod_mtu');
  const { remotePods, endpointIdentities } = identitySources();
  endpointIdentities.writer('test').complete();
  const addresses = families.map((family) => ip(at[family].far));
  fill(remotePods.writer('test'), [['shop/far', { identity: identity(300), addresses, node: undefined }]]);
  const endpoints = endpointTables({ programs: { from: 1, to: 2 }, identities: endpointIdentities, podMtu });
  fill(
    endpoints.endpoints.writer('test'),
    rows.map((row) => [row.hostInterface, row]),
  );
  fill(
    endpoints.exemptPods.writer('test'),
    exempt.map((pod) => [pod, { because: 'the test says so' }]),
  );
  const values = { devices: [], nativeRoutingCidrs: [], nodePortPrefixes: [], autoDirectNodeRoutes: true, skipUnreachableNodes: false };
  const options = { ...values, mtu: undefined, podMtu, programs: { from: 3, to: 4, xdp: undefined } };
  const nodes = nodeTables({ ...options, remotePods, self: 'node1', endpoints: endpoints.endpoints, problems });
  fill(nodes.nodes.writer('test'), facts(nodeObjects.flatMap((node) => [...nodeRows(node)])));
  fill(nodes.interfaces.writer('test'), interfaces());
  if (sockets)
    for (const name of ['sock_connect4', 'sock_connect6'])
      nodes.hooks.put(name, { kind: 'cgroup', path: '', type: AttachType.cgroupInet4Connect, program: 5 });
  nodes.hooks.complete();
  const { services, redirects, skips } = serving(nodes.addresses, endpoints.endpoints, { problems, redirected });
  for (const { derivations } of [endpoints, nodes, redirects, services, skips]) for (const derivation of derivations) derivation.run();
  const asked = { masquerade, natPortFirst, noBackendReject, socketLbHostOnly };
  return { self: 'node1', endpoints, nodes, services, skips, remotePods, hostCookie: 1n, ...asked };
}

/** The cluster's Services and redirects. */
function serving(
  nodeAddresses: NodeTables['addresses'],
  endpoints: EndpointTables['endpoints'],
  { problems, redirected }: { readonly problems: ProblemBook; readonly redirected: boolean },
) {
  const before = servicesBefore({ services: [], slots: [], backends: [] });
  const sources = serviceSources();
  const redirects = redirectTables(sources, problems);
  const services = serviceTables({ ...usualOptions, sources, redirected: redirects, nodeAddresses, self: 'node1', before, problems });
  const skips = skipTables(redirects, services, { endpoints, hostCookie: 1n });
  fill(redirects.policies.writer('test'), facts(redirectObjects().flatMap((one) => [...policyRows(one)])));
  fill(redirects.pods.writer('test'), localPodRows(localPodObject(redirected ? 'ready' : 'not ready')));
  const names = Object.keys(backendsOf) as ServiceName[]; // as: keys of this very object
  fill(sources.services.writer('test'), facts(names.flatMap((name) => [...serviceRows(serviceObject(name), '')])));
  const slices = names.flatMap((name) => families.flatMap((family) => [...sliceRows(sliceObject(name, family))]));
  fill(sources.slices.writer('test'), facts(slices));
  for (const one of [services.hostPorts, services.ownNode]) one.writer('test').complete();
  return { services, redirects, skips };
}

function interfaces() {
  const common = { kind: 'veth', mac: noMac, mtu: 1500, up: true, carrier: true, loopback: false, master: undefined };
  const own = (v4: string, v6: string) => [
    { ip: ip(v4), bits: 24 },
    { ip: ip(v6), bits: 64 },
  ];
  const segments = [cidr(`${at[4].node}/24`), cidr(`${at[6].node}/64`)];
  return [
    [
      String(UPLINK),
      { ...common, segments, index: UPLINK, name: 'eth0', addresses: own(at[4].node, at[6].node), defaultRoute: true, gateways: [] },
    ],
    [
      String(STRANGER),
      {
        ...common,
        segments: [],
        index: STRANGER,
        name: 'stranger0',
        addresses: own('192.168.77.1', 'fd00:77::1'),
        defaultRoute: false,
        gateways: [],
      },
    ],
  ] as const;
}

function fill<R>(writer: Writer<string, R>, rows: Iterable<readonly [string, R]>): void {
  for (const [key, row] of rows) writer.put(key, row);
  writer.complete();
}

/** The rows among what a parser yields; problems are left out. */
function facts<R>(found: readonly (readonly [string, R] | { readonly kind: string })[]): (readonly [string, R])[] {
  return found.filter((one): one is readonly [string, R] => !('kind' in one));
}
