// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LbServiceFlag } from '../datapath/schema.gen.ts';
import type { EndpointSlice, Service } from '../kube/types.ts';
import { cluster, service } from './testdata/cluster.ts';

type Endpoint = NonNullable<EndpointSlice['endpoints']>[number];
type Hint = {
  readonly zones?: readonly string[];
  readonly nodes?: readonly string[];
  readonly node?: string;
  readonly conditions?: Endpoint['conditions'];
};

const cart = (spec: Partial<Service['spec'] & object> = {}) =>
  service('cart', { clusterIPs: ['10.96.4.7'], ports: [{ name: 'http', port: 80, protocol: 'TCP' }], ...spec });

/** Endpoints 10.244.1.1, 10.244.1.2, … */
function hinted(...hints: readonly Hint[]): EndpointSlice {
  const named = (names: readonly string[] | undefined) => names?.map((name) => ({ name }));
  return {
    metadata: { namespace: 'shop', name: 'a', labels: { 'kubernetes.io/service-name': 'cart' } },
    addressType: 'IPv4',
    ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
    endpoints: hints.map(({ zones, nodes, node, conditions }, i) => ({
      addresses: [`10.244.1.${i + 1}`],
      ...(node !== undefined && { nodeName: node }),
      ...(conditions && { conditions }),
      hints: { ...(zones && { forZones: named(zones) ?? [] }), ...(nodes && { forNodes: named(nodes) ?? [] }) },
    })),
  };
}

type Setting = {
  readonly topology?: boolean;
  readonly labels?: Readonly<Record<string, string>>;
  readonly spec?: Partial<Service['spec'] & object>;
};

async function withHints(
  slice: EndpointSlice,
  { topology = true, labels = { 'topology.kubernetes.io/zone': 'a' }, spec = {} }: Setting = {},
) {
  const found = cluster(undefined, { topology });
  found.putNode(labels);
  found.put(cart(spec));
  found.putSlice(slice);
  await found.synced();
  return found;
}

/** The last numbers of the addresses of who is selected. */
function selected({ sets }: Awaited<ReturnType<typeof withHints>>): string {
  const [set] = Array.from(sets.entries(), ([, row]) => row);
  return (set?.backends ?? []).map(({ address }) => address.split('.').at(-1)).join();
}

const a = { zones: ['a'] };
const b = { zones: ['b'] };
const ending = { ready: false, serving: true, terminating: true };

// covers: topology-zone, topology-node
describe('topology hints', () => {
  const cases: readonly [what: string, endpoints: readonly Hint[], selected: string, setting?: Setting][] = [
    ['lead to the endpoints for the zone of this node (PreferClose, PreferSameZone)', [a, b, a], '1,3'],
    ['may name several zones', [{ zones: ['b', 'a'] }, b], '1'],
    ['are not followed when an endpoint has none', [a, b, {}], '1,2,3'],
    ['are not followed when nobody is meant for this zone', [b, b], '1,2'],
    ['are not followed while the node has no zone', [a, b], '1,2', { labels: {} }],
    ['are not followed without loadBalancer.serviceTopology', [a, b], '1,2', { topology: false }],
    [
      'lead to the endpoints for this node (PreferSameNode)',
      [
        { nodes: ['node2'], zones: ['a'] },
        { nodes: ['node1'], zones: ['a'] },
      ],
      '2',
    ],
    [
      'lead to the zone where the node has none',
      [
        { nodes: ['node2'], ...a },
        { nodes: ['node3'], ...b },
      ],
      '1',
    ],
    ['lead to the zone where not everyone is meant for a node', [{ nodes: ['node1'], ...b }, { ...a }], '2'],
    ['of a node need no zone', [{ nodes: ['node1'] }, { nodes: ['node2'] }], '1', { labels: {} }],
    ['of endpoints that are not ready count for nothing', [a, b, { conditions: { ready: false } }], '1'],
    [
      'are not followed among those that terminate',
      [
        { ...a, conditions: ending },
        { ...b, conditions: ending },
      ],
      '1,2',
    ],
    [
      'are not followed with internalTrafficPolicy: Local',
      [
        { ...b, node: 'node1' },
        { ...a, node: 'node2' },
      ],
      '1',
      { spec: { internalTrafficPolicy: 'Local' } },
    ],
  ];
  for (const [what, endpoints, wanted, setting] of cases)
    it(what, async () => {
      assert.equal(selected(await withHints(hinted(...endpoints), setting)), wanted);
    });

  it('are followed anew when the zone of this node changes', async () => {
    const found = await withHints(hinted(a, b));
    found.putNode({ 'topology.kubernetes.io/zone': 'b' });
    await found.settled();
    assert.equal(selected(found), '2');
  });
});

describe('annotations that name nodes', () => {
  const [NODE, SELECTOR] = ['service.cilium.io/node', 'service.cilium.io/node-selector'];
  const labels = { [NODE]: 'edge', zone: 'a', tier: 'web' };
  const cases: readonly [annotations: Readonly<Record<string, string>>, isServed: boolean, troubles?: number][] = [
    [{}, true],
    [{ [NODE]: 'edge' }, true],
    [{ [NODE]: 'core' }, false],
    [{ [SELECTOR]: 'zone=a' }, true],
    [{ [SELECTOR]: 'zone==a,tier!=db' }, true],
    [{ [SELECTOR]: 'zone!=a' }, false],
    [{ [SELECTOR]: 'zone in (b, a), tier' }, true],
    [{ [SELECTOR]: 'zone notin (a,b)' }, false],
    [{ [SELECTOR]: '!spare' }, true],
    [{ [SELECTOR]: '!tier' }, false],
    [{ [SELECTOR]: '' }, true],
    [{ [NODE]: 'core', [SELECTOR]: 'zone=a' }, true],
    [{ [SELECTOR]: 'zone in a' }, true, 1],
    [{ [SELECTOR]: 'zone=a,' }, true, 1],
    [{ [NODE]: 'not a label' }, true, 1],
  ];
  for (const [annotations, isServed, troubles = 0] of cases)
    it(`${JSON.stringify(annotations)}: ${isServed ? 'served' : 'not served'} on this node${troubles > 0 ? ', and a Problem' : ''}`, async () => {
      const found = cluster();
      found.putNode(labels);
      const one = cart();
      found.put({ ...one, metadata: { ...one.metadata, annotations } });
      await found.synced();
      assert.deepEqual([found.frontends.size, found.sets.size, found.problems.size], [Number(isServed), Number(isServed), troubles]);
    });

  it('keep a Service from direct server return: nodes that do not serve it believe nobody who names it', async () => {
    const spec = { type: 'NodePort', clusterIPs: ['10.96.4.7'], ports: [{ name: 'http', port: 80, nodePort: 30_080 }] } as const;
    const direct = async (annotations: Readonly<Record<string, string>>) => {
      const found = cluster(undefined, { mode: 'dsr' });
      found.putNode(labels);
      found.put({ metadata: { namespace: 'shop', name: 'cart', annotations }, spec });
      await found.synced();
      return (found.lbServices.get('0.0.0.0:30080/TCP')?.value.flags ?? 0) & LbServiceFlag.dsr;
    };
    assert.equal(await direct({}), LbServiceFlag.dsr);
    assert.equal(await direct({ [NODE]: 'edge' }), 0);
  });

  it('are followed when the labels of this node change', async () => {
    const found = cluster();
    found.putNode(labels);
    const one = cart();
    found.put({ ...one, metadata: { ...one.metadata, annotations: { [NODE]: 'core' } } });
    await found.synced();
    found.putNode({ [NODE]: 'core' });
    await found.settled();
    assert.equal(found.lbServices.size, 1);
    found.putNode({});
    await found.settled();
    assert.deepEqual([found.lbServices.size, found.lbAddresses.size], [0, 1], "the node's own address stays");
  });
});
