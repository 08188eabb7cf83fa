// SPDX-License-Identifier: Apache-2.0
// Which nodes serve a Service, and which of its endpoints they take: annotations and topology hints.
import type { Json } from '../api/json.ts';
import { until } from '../until.ts';
import { expect, IPV, ofFamily } from './check.ts';
import type { Check, CheckContext } from './check.ts';
import { NAMESPACE } from './places.ts';
import { httpGet, unreachable, url } from './traffic.ts';
import { withValues } from './wire-modes.ts';

const PLACED = 30_085;
const ZONE = 'topology.kubernetes.io/zone';
const TRIES = 12;

/** `act` while a node has a label more. */
async function labelled(
  { cluster: { store } }: CheckContext,
  [name, key, value]: readonly [string, string, string],
  act: () => Promise<string>,
): Promise<string> {
  const label = (to: Json) => store.patch('nodes', { name }, { metadata: { labels: { [key]: to } } });
  label(value);
  try {
    return await act();
  } finally {
    label(null); // a merge patch takes it away
  }
}

/** The Service `hinted` on node2, which is in the zone west: node1's pod is for the east, node3's for the west. */
async function nearby(context: CheckContext): Promise<string> {
  const { cluster, places, signal } = context;
  const [east, west] = [places.echoOn('node1'), places.echoOn('node3')];
  const slice = (hints: readonly Json[]): Json => ({
    metadata: { name: 'hinted-by-hand', namespace: NAMESPACE, labels: { 'kubernetes.io/service-name': 'hinted' } },
    addressType: 'IPv4',
    ports: [{ name: 'http', port: 8080 }],
    endpoints: [east, west].map(({ ips }, i) => ({
      addresses: [ofFamily(ips, 'IPv4')],
      ...(hints[i] === undefined ? {} : { hints: hints[i] }),
    })),
  });
  const zone = (name: string): Json => ({ forZones: [{ name }] });
  const address = ofFamily(places.serviceIps('hinted'), 'IPv4');
  const answering = async () => {
    const names = new Set<string>();
    for (let tries = 0; tries < TRIES; tries++) names.add((await httpGet(places.node('node2'), url(address, 80))).pod);
    return [...names].toSorted();
  };
  const sees = (what: string, wanted: readonly string[]) =>
    until(`${what}`, 10_000, async () => (await answering()).join() === wanted.toSorted().join(), signal);
  const SLICES = 'endpointslices.discovery.k8s.io';
  cluster.store.create(SLICES, slice([zone('east'), zone('west')]));
  try {
    await sees('both pods to answer a node without a zone', [east.name, west.name]);
    await labelled(context, ['node2', ZONE, 'west'], async () => {
      await sees('the pod of the zone west alone to answer', [west.name]);
      cluster.store.update(SLICES, slice([zone('east')]));
      await sees('both pods to answer when one has no hint', [east.name, west.name]);
      return '';
    });
    return `node2 in the zone west is answered by ${west.name}`;
  } finally {
    cluster.store.delete(SLICES, { namespace: NAMESPACE, name: 'hinted-by-hand' });
  }
}

async function whereNamed(context: CheckContext): Promise<string> {
  const { places, signal } = context;
  const { outsider, node } = places;
  await unreachable(outsider, ofFamily(node('node2').ips, 'IPv4'), PLACED); // control: no node has the label yet
  return await labelled(context, ['node2', 'service.cilium.io/node', 'edge'], async () => {
    for (const family of IPV) {
      const at = (name: string) => url(ofFamily(node(name).ips, family), PLACED);
      const isServed = () => httpGet(outsider, at('node2')).then(Boolean, () => false);
      await until('node2 to serve', 10_000, isServed, signal);
      await unreachable(outsider, ofFamily(node('node1').ips, family), PLACED);
    }
    const seen = await httpGet(node('node2'), url(ofFamily(places.serviceIps('placed'), 'IPv4'), 80));
    expect(seen.pod !== '', 'node2 does not serve the ClusterIP');
    return 'node2, and not node1';
  });
}

export const placementChecks: readonly Check[] = [
  // covers: topology-zone
  {
    name: 'Topology hints lead a node to the endpoints of its zone, and to all where hints are missing',
    needs: 'services',
    run: (context) => withValues(context, ['mode: dsr', 'mode: dsr\n  serviceTopology: true'], () => nearby(context)),
  },
  { name: 'A Service with service.cilium.io/node is served by the nodes that have the label', needs: 'services', run: whereNamed },
];
