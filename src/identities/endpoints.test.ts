// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ip, parseMac } from '../base/ip.ts';
import { problemBook } from '../base/problem.ts';
import { table } from '../base/table.ts';
import type { EndpointRow } from '../endpoints/endpoint.ts';
import { remotePodRows } from './facts.ts';
import { labelsIn } from './labels.ts';
import { identity, PROVISIONAL, Reserved } from './numbers.ts';
import type { Range } from './numbers.ts';
import { nodeLabel, nodeObjects, NODE_LABEL, WORKLOAD } from './objects.ts';
import { identitySources, identityTables } from './tables.ts';

const RANGE: Range = [256, 300];
const endpoint: EndpointRow = {
  hostInterface: 'lxc1',
  id: 7,
  interfaceIndex: 7,
  containerId: 'c',
  interfaceName: 'eth0',
  netns: '',
  netnsCookie: '',
  namespace: 'shop',
  pod: 'cart',
  uid: '',
  addresses: [ip('10.244.1.5'), ip('fd00:10:244:1::5')],
  mac: parseMac('02:00:00:00:00:01') ?? assert.fail(),
  mtu: 1500,
};

/** An agent with one endpoint; `before`: its number in the kernel. */
function agent(before?: number) {
  const sources = identitySources();
  const endpoints = table<string, EndpointRow>('endpoints', { indexes: { pod: ({ namespace, pod }) => [`${namespace}/${pod}`] } });
  const nodes = table<string, { readonly addresses: readonly ReturnType<typeof ip>[] }>('nodes');
  const tables = identityTables({
    ...sources,
    endpoints,
    nodes,
    self: 'node1',
    before: new Map(before === undefined ? [] : [['lxc1', before]]),
    clusterName: 'home',
    range: RANGE,
    problems: problemBook(),
  });
  const writers = {
    endpoints: endpoints.writer('test'),
    nodes: nodes.writer('test'),
    pods: sources.pods.writer('test'),
    namespaces: sources.namespaces.writer('test'),
    identities: sources.identities.writer('test'),
  };
  const settle = () => {
    for (let again = true; again; again = tables.derivations.some((one) => one.pending > 0))
      for (const one of tables.derivations) one.run();
    return {
      ...tables.endpointIdentities.get('lxc1'),
      object: tables.endpointObjects.get('shop/cart'),
      wanted: [...tables.wanted.entries()].map(([, row]) => row),
    };
  };
  writers.endpoints.put('lxc1', endpoint);
  writers.endpoints.complete();
  writers.nodes.put('node1', { addresses: [ip('192.168.0.11')] });
  writers.nodes.complete();
  return {
    ...writers,
    settle,
    hearPods(labels = { app: 'cart' }) {
      writers.namespaces.put('shop', {});
      writers.namespaces.complete();
      writers.pods.put('shop/cart', {
        namespace: 'shop',
        name: 'cart',
        uid: 'u1',
        labels,
        serviceAccount: 'default',
        workload: { name: 'cart', kind: 'Deployment' },
      });
      writers.pods.complete();
    },
  };
}

describe('an endpoint', () => {
  it('is init as long as nobody has told who its pod is', () => {
    const { identity: number, object } = agent().settle();
    assert.deepEqual([number, object], [Reserved.init, undefined]);
  });

  it('has a number of this node at once, and of the cluster when it is agreed on; only then others are told', () => {
    const { settle, hearPods, identities } = agent();
    hearPods();
    identities.complete();
    const first = settle();
    assert.deepEqual([first.identity, first.agreed, first.object, first.wanted.length], [PROVISIONAL[0], false, undefined, 1]);
    const wanted = first.wanted[0] ?? assert.fail();
    identities.put(`${wanted.id}`, { ...wanted, created: '', retired: false });
    const then = settle();
    assert.deepEqual([then.identity, then.agreed, then.object?.status?.identity?.id, then.wanted], [wanted.id, true, wanted.id, []]);
    assert.deepEqual(then.object?.status?.networking, {
      addressing: [{ ipv4: '10.244.1.5', ipv6: 'fd00:10:244:1::5' }],
      node: '192.168.0.11',
    });
    assert.equal(then.object?.metadata.ownerReferences?.[0]?.uid, 'u1');
    assert.equal(then.object.metadata.annotations?.[WORKLOAD], 'Deployment/cart');
  });

  it('keeps its number over a restart until everything is known', () => {
    const { settle, hearPods, identities } = agent(290);
    assert.equal(settle().identity, 290);
    hearPods();
    assert.deepEqual([settle().identity, settle().wanted], [290, []]);
    identities.complete();
    assert.equal(settle().identity, PROVISIONAL[0]);
  });

  it('keeps a number of this node over a restart', () => {
    const { settle, hearPods, identities } = agent(PROVISIONAL[0] + 5);
    hearPods();
    identities.complete();
    assert.equal(settle().identity, PROVISIONAL[0] + 5);
  });

  it('has a number without the definitions of CiliumIdentity', () => {
    const { settle, hearPods } = agent();
    hearPods();
    assert.deepEqual([settle().identity, settle().wanted], [PROVISIONAL[0], []]);
  });

  it("stays who it is when its pod's object goes first", () => {
    const { settle, hearPods, pods, identities } = agent();
    hearPods();
    const labels =
      labelsIn({
        'k8s:app': 'cart',
        'k8s:io.cilium.k8s.policy.cluster': 'home',
        'k8s:io.cilium.k8s.policy.serviceaccount': 'default',
        'k8s:io.kubernetes.pod.namespace': 'shop',
      }) ?? assert.fail();
    identities.put('270', { id: identity(270), labels, created: '', retired: false });
    identities.complete();
    assert.equal(settle().identity, 270);
    pods.delete('shop/cart');
    const then = settle();
    assert.deepEqual([then.identity, then.labels, then.object], [270, labels, undefined]);
  });

  it('with other labels has another number at once, and is told of under the old until the new is agreed on', () => {
    const { settle, hearPods, identities } = agent();
    hearPods();
    identities.complete();
    const [first = assert.fail()] = settle().wanted;
    identities.put(`${first.id}`, { ...first, created: '', retired: false });
    settle();
    hearPods({ app: 'other' });
    const then = settle();
    assert.ok(then.identity !== undefined && then.identity >= PROVISIONAL[0]);
    assert.equal(then.object?.status?.identity?.id, first.id);
    const [second = assert.fail()] = then.wanted;
    identities.put(`${second.id}`, { ...second, created: '', retired: false });
    assert.equal(settle().object?.status?.identity?.id, second.id);
  });
});

describe('objects', () => {
  it('a CiliumEndpoint without identity or address is not known', () => {
    const rows = (status: object) => [...remotePodRows({ metadata: { name: 'cart', namespace: 'shop' }, status }, 'node1')];
    assert.deepEqual(rows({ identity: { id: 300 } }), []);
    assert.deepEqual(rows({ networking: { addressing: [{ ipv4: '10.244.1.5' }] } }), []);
    assert.deepEqual(rows({ identity: { id: 300 }, networking: { addressing: [{ ipv4: '10.244.1.5', ipv6: 'x' }] } }), [
      ['shop/cart', { identity: 300, addresses: ['10.244.1.5'], node: undefined }],
    ]);
  });

  it('a CiliumEndpoint says who made its pod; who does not say it, or nonsense, is known all the same', () => {
    const status = { identity: { id: 300 }, networking: { addressing: [{ ipv4: '10.244.1.5' }] } };
    const workload = (text: string) => {
      const [[, row] = assert.fail()] = remotePodRows({ metadata: { name: 'cart', annotations: { [WORKLOAD]: text } }, status }, 'node1');
      return row.workload;
    };
    assert.deepEqual(['StatefulSet/db', '', 'db', '/'].map(workload), [
      { name: 'db', kind: 'StatefulSet' },
      undefined,
      undefined,
      undefined,
    ]);
  });

  it('a CiliumEndpoint of this node is no remote pod', () => {
    const status = { identity: { id: 300 }, networking: { addressing: [{ ipv4: '10.244.1.5' }] } };
    const rows = (node: string) => [
      ...remotePodRows({ metadata: { name: 'cart', namespace: 'shop', labels: { [NODE_LABEL]: node } }, status }, 'node1'),
    ];
    assert.deepEqual([rows('node1').length, rows('node2').length], [0, 1]);
  });

  it("the CiliumNode of this node says its addresses and ranges; others are others'", () => {
    const node = {
      metadata: { name: 'node1', uid: 'u' },
      spec: { podCIDRs: ['10.244.1.0/24'] },
      status: {
        addresses: [
          { type: 'InternalIP', address: '192.168.0.11' },
          { type: 'Hostname', address: 'node1' },
        ],
      },
    };
    assert.deepEqual(
      [...nodeObjects(node, 'node1')].map(([, { spec }]) => spec),
      [{ addresses: [{ type: 'InternalIP', ip: '192.168.0.11' }], ipam: { podCIDRs: ['10.244.1.0/24'] } }],
    );
    assert.deepEqual([...nodeObjects(node, 'node2')], []);
  });

  it('the name of a node fits into a label, however long it is', () =>
    assert.match(nodeLabel(`${'a'.repeat(20)}-.${'b'.repeat(62)}`), /^[a-z0-9][-a-z0-9.]{0,62}$/));
});
