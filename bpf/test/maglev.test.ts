// SPDX-License-Identifier: Apache-2.0
// Backends by Maglev: the same for one client on every node, few of them another when the backends change.
import { namespaceMissing } from './own-namespace.ts';
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { nodePortOf, vipOf } from './cluster.ts';
import { link, loadNode, packetFrom } from './loaded.ts';
import type { LoadedNode } from './loaded.ts';
import { cases, fromPod, fromWire, withPorts } from './traffic.ts';

const everybody = ['podB', 'far', 'far2'] as const;
const backwards = ['far2', 'far', 'podB'] as const;
const config = { maglevSeed: 7 };
const maglev = { algorithm: 'maglev', seed: 7 } as const;

describe('Maglev', { skip: namespaceMissing }, () => {
  const nodes: LoadedNode[] = [];
  const load = async (...given: Parameters<typeof loadNode>): Promise<LoadedNode> => {
    const node = await loadNode(...given);
    nodes.push(node);
    return node;
  };
  let [node, other, byFlow, random]: LoadedNode[] = [];
  before(async () => {
    node = await load(config, 'snat', maglev);
    other = await load(config, 'snat', maglev);
    byFlow = await load(config, 'snat', { ...maglev, key: 'flow' });
    random = await load(config);
    other.serve('cart', everybody); // numbers its backends otherwise
    for (const name of ['far2', 'podB', 'far'] as const) other.serve('away', [name]);
  });
  after(() => nodes.forEach((one) => one[Symbol.dispose]()));
  beforeEach(() => nodes.forEach((one, i) => one.serve('away', i === 0 ? everybody : backwards)));
  afterEach(() => nodes.forEach((one) => one.forget()));

  for (const { label, protocol, family, body, node: host, podA, far, away } of cases.filter((one) => one.protocol !== 'ping')) {
    const clients = Array.from({ length: 120 }, (_, i) => (family === 4 ? `203.0.113.${i + 1}` : `2001:db8:ffff::${(i + 1).toString(16)}`));
    const [first = ''] = clients;
    const [index, port] = protocol === 'TCP' ? [0, 80] : [1, 53];
    const vip = { destination: vipOf('away', family), destinationPort: port };
    const nodePort = { destination: host, destinationPort: (nodePortOf.away ?? 0) + index };
    const at = (one: LoadedNode | undefined, source: string, sourcePort: number, to: typeof vip): string => {
      assert.ok(one);
      const request = fromWire(
        { source, destination: to.destination },
        withPorts(body(sourcePort), { destinationPort: to.destinationPort }),
      );
      return packetFrom(one.run('host_from', request, { ifindex: link.uplink })).destination;
    };
    const ports = Array.from({ length: 40 }, (_, i) => 2000 + i);
    const spread = (one: LoadedNode | undefined, to: typeof vip) => new Set(ports.map((from) => at(one, first, from, to))).size;

    for (const [way, to] of [
      ['a VIP', vip],
      ['a node port', nodePort],
    ] as const) {
      it(`gives one client one backend for all its connections: ${label} to ${way}`, () => {
        assert.equal(spread(node, to), 1);
        assert.equal(spread(random, to), 3, 'control: at random they spread');
        assert.equal(spread(byFlow, to), 3, 'by flow they spread');
      });

      it(`gives many clients all backends, each the same on another node: ${label} to ${way}`, () => {
        const chosen = clients.map((client) => at(node, client, 2000, to));
        for (const backend of new Set(chosen)) assert.ok(chosen.filter((one) => one === backend).length > 20);
        assert.equal(new Set(chosen).size, 3);
        assert.deepEqual(
          clients.map((client) => at(other, client, 3000, to)),
          chosen,
        );
      });
    }

    it(`moves the clients of a backend that is gone, and few others: ${label}`, () => {
      const chosen = clients.map((client) => at(node, client, 2000, vip));
      node?.serve('away', ['podB', 'far2'], ['far']);
      const later = clients.map((client) => at(node, client, 2001, vip));
      assert.ok(!later.includes(far));
      const moved = clients.filter((_, i) => chosen[i] !== far && chosen[i] !== later[i]).length;
      assert.ok(moved < 12, `${moved} of ${clients.length} clients lost a backend that is there`);
      node?.serve('away', everybody);
      assert.deepEqual(
        clients.map((client) => at(node, client, 2002, vip)),
        chosen,
        'and they are where they were when it is back',
      );
    });

    it(`goes on without its table, among all backends: ${label}`, () => {
      assert.ok(node);
      const parts = node.datapath.map('lb_maglev_parts');
      const kept = Array.from(parts.entries(), ([key, value]) => [Buffer.from(key), Buffer.from(value)] as const);
      for (const [key] of kept) parts.delete(key);
      try {
        assert.equal(new Set(clients.map((client) => at(node, client, 4000, vip))).size, 3);
      } finally {
        for (const [key, value] of kept) parts.update(key, value);
      }
    });

    it(`gives a pod one backend at the VIP, and any at the ClusterIP: ${label}`, () => {
      const from = (destination: string, sourcePort: number) => {
        assert.ok(node);
        return packetFrom(node.run('pod_from', fromPod('podA', { source: podA, destination }, body(sourcePort)), { ifindex: link.podA }))
          .destination;
      };
      assert.equal(new Set(ports.map((one) => from(vip.destination, one))).size, 1);
      assert.equal(new Set(ports.map((one) => from(away, one))).size, 3);
    });
  }
});
